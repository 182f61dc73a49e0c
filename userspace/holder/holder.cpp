// SPDX-License-Identifier: GPL-2.0-only
#include "holder/holder.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <optional>

#include "base/descriptors.hpp"
#include "base/log.hpp"
#include "holder/admin_socket.hpp"
#include "holder/instance_lock.hpp"
#include "holder/listener_table.hpp"
#include "holder/notify.hpp"
#include "holder/privileges.hpp"
#include "holder/relay_process.hpp"
#include "holder/request_server.hpp"
#include "holder/reserved_ports.hpp"
#include "holder/visitor_reset.hpp"

namespace nfr::holder {
namespace {

constexpr std::size_t kReservedDescriptors = 64;  // signalfd, socketpairs, /proc while an owner is looked for
constexpr Millis kResetRetry{100};
constexpr Millis kReserveEvery{200};  // a start opens thousands of ports in many rounds

void notify(std::string_view state) {
  if (const Status told = notify_service_manager(state); !told) spdlog::warn("{}", told.error().message());
}

class Holder {
 public:
  Holder(const HolderOptions& options, const RelayUser& user, Fd signals, int admin_fd, std::size_t socket_count_max)
      : options_(options),
        launch_{options.program, options.relay_arguments, user},
        signals_(std::move(signals)),
        table_(socket_count_max),
        reserved_(options.run_dir),
        server_(table_, admin_fd, [this] { on_ready(); }),
        delay_(options.restart_delays, options.healthy_after),
        unserved_since_(now()) {}

  int run() {
    start();
    while (!exit_code_) {
      round();
    }
    return *exit_code_;
  }

 private:
  static Instant now() { return std::chrono::steady_clock::now(); }

  void start();
  void round();
  void on_signal();
  void on_ready();
  void on_exit(int wait_status);
  void on_channel_closed();
  void stop();
  void reap();
  void schedule_restart(Millis lived);
  void expire();
  void reset_visitors(std::span<const pollfd> entries);
  bool resetting() const;
  void reserve_ports();
  int poll_timeout_ms() const;

  const HolderOptions& options_;
  RelayLaunch launch_;
  Fd signals_;
  ListenerTable table_;
  ReservedPorts reserved_;
  std::uint64_t reserved_generation_ = 0;
  std::optional<Instant> reserve_at_;
  RequestServer server_;
  RestartDelay delay_;
  pid_t pid_ = 0;
  Instant started_at_{};
  bool stopping_ = false;
  std::optional<Instant> restart_at_;
  std::optional<Instant> kill_at_;         // after SIGTERM, or after the relay closed its end
  std::optional<Instant> unserved_since_;  // no relay process has said READY since then
  std::optional<Instant> reset_pause_;     // accept() failed for want of something
  std::uint64_t reset_count_ = 0;
  std::optional<int> exit_code_;
};

void Holder::start() {
  restart_at_.reset();
  started_at_ = now();
  auto started = start_relay(launch_);
  if (!started) {
    spdlog::error("{}", started.error().message());
    return schedule_restart(Millis(0));
  }
  pid_ = started->pid;
  server_.attach(std::move(started->channel));
  spdlog::info("relay process {} started as {}", pid_, launch_.user.name);
}

void Holder::schedule_restart(Millis lived) {
  const Millis delay = delay_.after_death(lived);
  restart_at_ = now() + delay;
  spdlog::info("the relay process starts again in {} ms", delay.count());
}

void Holder::round() {
  std::vector<pollfd> entries = {{.fd = signals_.get(), .events = POLLIN, .revents = 0}, server_.poll_entry()};
  if (resetting() && !reset_pause_) {
    for (const int socket : table_.unclaimed_public())
      entries.push_back({.fd = socket, .events = POLLIN, .revents = 0});
  }
  const int ready = ::poll(entries.data(), entries.size(), poll_timeout_ms());
  if (ready < 0) {
    NFR_ASSERT(errno == EINTR || errno == EAGAIN || errno == ENOMEM);
    return;
  }
  // Visitors first: what follows may close or hand out the sockets polled.
  reset_visitors(std::span(entries).subspan(2));
  if (entries[1].revents != 0 && !server_.serve(entries[1].revents)) on_channel_closed();
  if (entries[0].revents != 0) on_signal();
  reserve_ports();
  expire();
}

void Holder::reserve_ports() {
  if (table_.generation() == reserved_generation_) return;
  if (!reserve_at_) reserve_at_ = now() + kReserveEvery;
  if (now() < *reserve_at_) return;
  reserve_at_.reset();
  reserved_generation_ = table_.generation();
  reserved_.set(table_.ports());
}

void Holder::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    switch (info.ssi_signo) {
      case SIGTERM:
      case SIGINT: stop(); break;
      case SIGHUP:
        if (pid_ != 0) ::kill(pid_, SIGHUP);
        break;
      default: break;
    }
  }
  // Always: signals of one number that come together are reported once.
  reap();
}

void Holder::reap() {
  if (pid_ == 0) return;
  int wait_status = 0;
  if (::waitpid(pid_, &wait_status, WNOHANG) == pid_) on_exit(wait_status);
}

void Holder::on_ready() {
  unserved_since_.reset();
  if (reset_count_ > 0) spdlog::info("{} visitors were reset while no relay process served", reset_count_);
  reset_count_ = 0;
  notify("READY=1");
}

void Holder::on_exit(int wait_status) {
  const auto lived = std::chrono::duration_cast<Millis>(now() - started_at_);
  const pid_t died = std::exchange(pid_, 0);
  server_.detach();
  table_.forget_claims();
  kill_at_.reset();
  if (!unserved_since_) unserved_since_ = now();
  if (stopping_) {
    spdlog::info("relay process {} {}", died, exit_text(wait_status));
    exit_code_ = 0;
    return;
  }
  spdlog::error("relay process {} {} after {} ms", died, exit_text(wait_status), lived.count());
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kExitConfiguration) {
    spdlog::error("that is a configuration error: starting it again would not help");
    exit_code_ = kExitConfiguration;
    return;
  }
  schedule_restart(lived);
}

// It is ending, or broken: without its channel it can serve no mapping. It gets the time to end by itself, so that
// its exit code survives.
void Holder::on_channel_closed() {
  if (pid_ != 0 && !kill_at_) kill_at_ = now() + options_.stop_timeout;
}

void Holder::stop() {
  if (stopping_) return;
  stopping_ = true;
  notify("STOPPING=1");
  if (pid_ == 0) {
    exit_code_ = 0;
    return;
  }
  ::kill(pid_, SIGTERM);
  kill_at_ = now() + options_.stop_timeout;
}

void Holder::expire() {
  const Instant time = now();
  if (reset_pause_ && time >= *reset_pause_) reset_pause_.reset();
  if (kill_at_ && time >= *kill_at_ && pid_ != 0) {
    spdlog::warn("relay process {} did not end within {} ms: killing it", pid_, options_.stop_timeout.count());
    ::kill(pid_, SIGKILL);
    kill_at_.reset();
  }
  if (restart_at_ && time >= *restart_at_ && !stopping_) start();
}

bool Holder::resetting() const { return unserved_since_ && now() >= *unserved_since_ + options_.reset_visitors_after; }

void Holder::reset_visitors(std::span<const pollfd> entries) {
  for (const pollfd& entry : entries) {
    if (entry.revents == 0) continue;
    const ResetResult result = reset_queued(entry.fd);
    reset_count_ += result.count;
    if (result.os_errno == 0) continue;
    spdlog::warn("resetting waiting visitors: {}", Error::system("accept", result.os_errno).message());
    reset_pause_ = now() + kResetRetry;  // a level-triggered poll would spin
    return;
  }
}

int Holder::poll_timeout_ms() const {
  std::optional<Instant> next;
  const auto consider = [&](const std::optional<Instant>& deadline) {
    if (deadline && (!next || *deadline < *next)) next = deadline;
  };
  consider(restart_at_);
  consider(kill_at_);
  consider(reset_pause_);
  consider(reserve_at_);
  if (unserved_since_ && !resetting()) consider(*unserved_since_ + options_.reset_visitors_after);
  if (!next) return -1;
  const auto wait = std::chrono::ceil<Millis>(*next - now()).count();
  return static_cast<int>(std::clamp<decltype(wait)>(wait, 0, 60'000));
}

Result<Fd> take_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, signal);
  if (::sigprocmask(SIG_BLOCK, &wanted, nullptr) < 0) return Error::system("blocking signals", errno);
  ::signal(SIGPIPE, SIG_IGN);
  Fd signals(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals.valid()) return Error::system("making a signalfd", errno);
  return signals;
}

/// Of the limit, which the relay process inherits.
std::size_t sockets_allowed(std::size_t limit) {
  return limit > 2 * kReservedDescriptors ? limit - kReservedDescriptors : kReservedDescriptors;
}

int failed(const Error& error, int exit_code) {
  spdlog::error("{}", error.message());
  return exit_code;
}

}  // namespace

int run_holder(const HolderOptions& options) {
  auto signals = take_signals();
  if (!signals) return failed(signals.error(), 1);
  const auto user = resolve_relay_user(options.user);
  if (!user) return failed(user.error(), kExitConfiguration);
  const auto lock = InstanceLock::acquire(options.run_dir);
  if (!lock) return failed(lock.error(), 1);
  if (const Status made = prepare_state_dir(options.state_dir, *user); !made) return failed(made.error(), 1);
  const auto admin = AdminSocket::create(*lock);
  if (!admin) return failed(admin.error(), 1);
  const std::size_t socket_count_max = sockets_allowed(raise_descriptor_limit());
  if (const Status kept = keep_holder_capabilities(); !kept) return failed(kept.error(), 1);
  return Holder(options, *user, std::move(*signals), admin->fd(), socket_count_max).run();
}

}  // namespace nfr::holder
