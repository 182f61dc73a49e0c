// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/program_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/fd.hpp"

namespace nfr::nfctl {
namespace {

constexpr std::size_t kBytesMax = 16 << 20;
constexpr std::array<const char*, 4> kDirectories = {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"};

std::string program_path(const std::string& name) {
  for (const char* directory : kDirectories) {
    const std::string path = directory + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

std::optional<pid_t> start(const std::string& path, const std::vector<std::string>& argv, int output) {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  // The words that are looked for are English ones; ufw is a script with imports of its own.
  std::array<char*, 3> environment = {const_cast<char*>("LC_ALL=C"),
                                      const_cast<char*>("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nullptr};
  posix_spawn_file_actions_t actions;
  if (::posix_spawn_file_actions_init(&actions) != 0) return std::nullopt;
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, path.c_str(), &actions, nullptr, words.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  return failed == 0 ? std::optional(pid) : std::nullopt;
}

/// False: too late or too much.
bool read_all(int input, Instant deadline, std::string& out) {
  std::array<char, 16384> buffer{};
  while (out.size() <= kBytesMax) {
    const auto left = std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now()).count();
    pollfd ready{input, POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) return false;
    const ssize_t count = ::read(input, buffer.data(), buffer.size());
    if (count <= 0) return count == 0;
    out.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return false;
}

}  // namespace

std::optional<std::string> program_output(const std::vector<std::string>& argv, Millis timeout) {
  const std::string path = program_path(argv[0]);
  std::array<int, 2> ends{};
  if (path.empty() || ::pipe2(ends.data(), O_CLOEXEC) < 0) return std::nullopt;
  const Fd input(ends[0]);
  Fd output(ends[1]);
  const auto pid = start(path, argv, output.get());
  output = Fd();
  if (!pid) return std::nullopt;
  std::string text;
  const bool complete = read_all(input.get(), std::chrono::steady_clock::now() + timeout, text);
  if (!complete) ::kill(*pid, SIGKILL);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  return complete && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace nfr::nfctl
