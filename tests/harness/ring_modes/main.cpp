// SPDX-License-Identifier: GPL-2.0-only
// nf-ring-modes: how much multishot receives, registered descriptors and splice(2) are worth on this machine, in runs
// that are interleaved. For decisions about userspace/io; no part of the product.
// Usage: nf-ring-modes [ROUNDS [MILLISECONDS]]; each figure is a median, each ratio that of pairs of one round.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <functional>

#include "ring_modes/modes.hpp"

namespace nfr::modes {

Joined join() {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  Joined joined;
  joined.far.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool ok = ::bind(listener.get(), any, length) == 0 && ::listen(listener.get(), 1) == 0 &&
                  ::getsockname(listener.get(), any, &length) == 0 && ::connect(joined.far.get(), any, length) == 0;
  if (ok) joined.near.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!joined.near.valid()) {
    std::perror("loopback");
    std::exit(1);
  }
  const int on = 1;
  for (const int fd : {joined.near.get(), joined.far.get()}) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  }
  return joined;
}

double thread_cpu_us() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

ModeRing::ModeRing(unsigned entries, const std::vector<int>& files) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
  params.cq_entries = entries * 4;
  int rc = io_uring_queue_init_params(entries, &ring_, &params);
  if (rc == 0 && !files.empty())
    rc = io_uring_register_files(&ring_, files.data(), static_cast<unsigned>(files.size()));
  if (rc == 0) return;
  errno = -rc;
  std::perror("io_uring");
  std::exit(1);
}

io_uring_sqe* ModeRing::entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry != nullptr) return entry;
  ++enters_;
  io_uring_submit(&ring_);
  return io_uring_get_sqe(&ring_);
}

void ModeRing::enter() {
  ++enters_;
  __kernel_timespec limit{.tv_sec = 0, .tv_nsec = 10'000'000};
  io_uring_cqe* first = nullptr;
  io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr);
}

namespace {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

using Run = std::function<Outcome(const Mode&)>;

void table(std::string_view title, std::string_view unit, const std::vector<Mode>& modes, unsigned rounds,
           const Run& run) {
  std::vector<std::vector<Outcome>> all(modes.size());
  for (unsigned round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < modes.size(); ++i) {
      const std::size_t which = (i + round) % modes.size();
      all[which].push_back(run(modes[which]));
    }
  }
  fmt::print("{}\n{:<30} {:>12} {:>8} {:>10} {:>8} {:>10}\n", title, "mode", std::string(unit) + "/s", "ratio",
             "CPU us", "ratio", "calls");
  for (std::size_t i = 0; i < modes.size(); ++i) {
    std::vector<double> speed, speed_ratio, cpu, cpu_ratio, calls;
    for (unsigned round = 0; round < rounds; ++round) {
      speed.push_back(all[i][round].per_second);
      speed_ratio.push_back(all[i][round].per_second / all[0][round].per_second);
      cpu.push_back(all[i][round].cpu_us);
      cpu_ratio.push_back(all[i][round].cpu_us / all[0][round].cpu_us);
      calls.push_back(all[i][round].calls_each);
    }
    fmt::print("{:<30} {:>12.0f} {:>8.2f} {:>10.2f} {:>8.2f} {:>10.2f}\n", modes[i].name, median(speed),
               median(speed_ratio), median(cpu), median(cpu_ratio), median(calls));
  }
  std::fflush(stdout);
}

int run(unsigned rounds, std::chrono::milliseconds time) {
  const std::vector<Mode> ways = {{.name = "ring, single-shot"},
                                  {.name = "ring, single-shot, poll first", .poll_first = true},
                                  {.name = "ring, multishot", .multishot = true},
                                  {.name = "ring, single-shot, fixed", .fixed = true},
                                  {.name = "ring, multishot, fixed", .multishot = true, .fixed = true},
                                  {.name = "epoll", .ring = false}};
  for (const unsigned connections : {1U, 64U, 1000U}) {
    table(fmt::format("ping-pong, {} connections, {} rounds of {} ms", connections, rounds, time.count()), "echo", ways,
          rounds, [&](const Mode& mode) { return ping_pong(mode, connections, time); });
  }
  const std::vector<Mode> bulks = {{.name = "ring, 64 KiB copied"},
                                   {.name = "ring to wait, splice", .splice = true},
                                   {.name = "epoll, 64 KiB copied", .ring = false}};
  table(fmt::format("one stream, {} rounds of {} ms", rounds, time.count()), "MiB", bulks, rounds,
        [&](const Mode& mode) { return bulk(mode, time); });
  return 0;
}

}  // namespace
}  // namespace nfr::modes

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 15;
  const long time = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 400;
  if (rounds < 1 || rounds > 1000 || time < 10 || time > 60'000 || argc > 3) {
    fmt::print(stderr, "error: usage: nf-ring-modes [ROUNDS 1-1000 [MILLISECONDS 10-60000]]\n");
    return 2;
  }
  return nfr::modes::run(static_cast<unsigned>(rounds), std::chrono::milliseconds(time));
}
