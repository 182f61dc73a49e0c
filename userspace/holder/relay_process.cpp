// SPDX-License-Identifier: GPL-2.0-only
#include "holder/relay_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/log.hpp"
#include "holder/privileges.hpp"

namespace nfr::holder {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

void reset_signals() {
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Puts the channel at its number and marks everything above it for closing, whoever opened it.
bool place_channel(int channel) {
  if (channel == kRelayChannelFd) {
    if (::fcntl(channel, F_SETFD, 0) < 0) return false;
  } else if (::dup2(channel, kRelayChannelFd) < 0) {
    return false;
  }
  return ::close_range(kRelayChannelFd + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0 || errno == ENOSYS;
}

[[noreturn]] void child(const RelayLaunch& launch, int channel, pid_t parent) {
  reset_signals();
  if (const Status dropped = drop_all_privileges(launch.user, parent); !dropped) {
    spdlog::error("starting the relay process as {}: {}", launch.user.name, dropped.error().message());
    ::_exit(kExitConfiguration);
  }
  std::vector<std::string> arguments = launch.arguments;
  std::vector<std::string> environment = relay_environment(environ);
  if (place_channel(channel)) {
    ::execve(launch.program.c_str(), pointers(arguments).data(), pointers(environment).data());
  }
  spdlog::error("starting the relay process {}: {}", launch.program, std::strerror(errno));
  ::_exit(kExitConfiguration);
}

bool relay_may_see(std::string_view entry) {
  constexpr std::array<std::string_view, 6> kPrefixes = {"NETFERRY_", "LANG=",    "LANGUAGE=",
                                                         "LC_",       "TZ=", "JOURNAL_STREAM="};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](auto prefix) { return entry.starts_with(prefix); });
}

}  // namespace

Result<StartedRelay> start_relay(const RelayLaunch& launch) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
    return Error::system("making the socketpair to the relay process", errno);
  }
  Fd ours(pair[0]);
  const Fd theirs(pair[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return Error::system("forking the relay process", errno);
  if (pid == 0) child(launch, theirs.get(), parent);
  return StartedRelay{pid, std::move(ours)};
}

std::vector<std::string> relay_environment(const char* const* environment) {
  std::vector<std::string> result = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (relay_may_see(*environment)) result.emplace_back(*environment);
  }
  return result;
}

RestartDelay::RestartDelay(std::vector<Millis> delays, Millis healthy_after)
    : delays_(std::move(delays)), healthy_after_(healthy_after) {
  NFR_ASSERT(!delays_.empty());
}

Millis RestartDelay::after_death(Millis lived) {
  if (lived >= healthy_after_) next_ = 0;
  const Millis delay = delays_[next_];
  next_ = std::min(next_ + 1, delays_.size() - 1);
  return delay;
}

std::string exit_text(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return fmt::format("was killed by signal {} ({})", signal, ::strsignal(signal));
  }
  return fmt::format("ended with exit code {}", WEXITSTATUS(wait_status));
}

}  // namespace nfr::holder
