// SPDX-License-Identifier: GPL-2.0-only
// One stream: source thread -> measured thread -> sink thread, copied in 64 KiB steps or spliced through a pipe.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "ring_modes/modes.hpp"

namespace nfr::modes {
namespace {

constexpr std::size_t kStep = 64 * 1024;
constexpr int kPipeBytes = 1 << 20;

struct Counts {
  std::uint64_t bytes = 0;
  std::uint64_t calls = 0;
};

void wait_for(int fd, short events) {
  pollfd entry{fd, events, 0};
  ::poll(&entry, 1, 10);
}

void source(int fd, const std::atomic<bool>& stop) {
  const std::vector<char> bytes(kStep * 4);
  while (!stop.load(std::memory_order_relaxed)) {
    if (::write(fd, bytes.data(), bytes.size()) < 0) wait_for(fd, POLLOUT);
  }
}

void sink(int fd, const std::atomic<bool>& stop) {
  std::vector<char> bytes(kStep * 4);
  while (!stop.load(std::memory_order_relaxed)) {
    if (::read(fd, bytes.data(), bytes.size()) <= 0) wait_for(fd, POLLIN);
  }
}

Counts copy_plain(int from, int to, const std::atomic<bool>& stop) {
  Counts counts;
  std::vector<char> buffer(kStep);
  while (!stop.load(std::memory_order_relaxed)) {
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    ++counts.calls;
    if (got <= 0) {
      wait_for(from, POLLIN);
      ++counts.calls;
      continue;
    }
    for (ssize_t at = 0; at < got && !stop.load(std::memory_order_relaxed);) {
      const ssize_t sent = ::write(to, buffer.data() + at, static_cast<std::size_t>(got - at));
      ++counts.calls;
      if (sent > 0) at += sent;
      if (sent < 0) wait_for(to, POLLOUT), ++counts.calls;
    }
    counts.bytes += static_cast<std::uint64_t>(got);
  }
  return counts;
}

/// A ring on which one thing at a time is asked for.
class OneAtATime {
 public:
  /// What became of it; -ETIME when `stop` came first.
  template <class Prepare>
  int ask(const Prepare& prepare, const std::atomic<bool>& stop) {
    prepare(ring_.entry());
    for (;;) {
      ring_.enter();
      io_uring_cqe* event = nullptr;
      if (io_uring_cq_ready(ring_.raw()) > 0 && io_uring_peek_cqe(ring_.raw(), &event) == 0) {
        const int result = event->res;
        io_uring_cqe_seen(ring_.raw(), event);
        return result;
      }
      if (stop.load(std::memory_order_relaxed)) return -ETIME;
    }
  }
  std::uint64_t enters() const { return ring_.enters(); }

 private:
  ModeRing ring_{64, {}};
};

Counts copy_ring(int from, int to, const std::atomic<bool>& stop) {
  Counts counts;
  OneAtATime ring;
  std::vector<char> buffer(kStep);
  while (!stop.load(std::memory_order_relaxed)) {
    const int got =
        ring.ask([&](io_uring_sqe* entry) { io_uring_prep_recv(entry, from, buffer.data(), kStep, 0); }, stop);
    for (int at = 0; at < got;) {
      const auto left = static_cast<std::size_t>(got - at);
      const int sent = ring.ask(
          [&](io_uring_sqe* entry) { io_uring_prep_send(entry, to, buffer.data() + at, left, MSG_NOSIGNAL); }, stop);
      if (sent <= 0) break;
      at += sent;
    }
    counts.bytes += static_cast<std::uint64_t>(std::max(got, 0));
  }
  counts.calls = ring.enters();
  return counts;
}

/// splice(2) inline; only waiting is asked of the ring.
Counts splice_ring(int from, int to, const std::atomic<bool>& stop) {
  Counts counts;
  OneAtATime ring;
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return counts;
  const Fd out(ends[0]);
  const Fd in(ends[1]);
  ::fcntl(in.get(), F_SETPIPE_SZ, kPipeBytes);
  const auto wait = [&](int fd, unsigned events) {
    ring.ask([&](io_uring_sqe* entry) { io_uring_prep_poll_add(entry, fd, events); }, stop);
  };
  std::size_t held = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    if (held == 0) {
      const ssize_t got = ::splice(from, nullptr, in.get(), nullptr, kPipeBytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      ++counts.calls;
      if (got <= 0) wait(from, POLLIN);
      if (got > 0) held = static_cast<std::size_t>(got);
      continue;
    }
    const ssize_t sent = ::splice(out.get(), nullptr, to, nullptr, held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    ++counts.calls;
    if (sent <= 0) wait(to, POLLOUT);
    if (sent > 0) held -= static_cast<std::size_t>(sent), counts.bytes += static_cast<std::uint64_t>(sent);
  }
  counts.calls += ring.enters();
  return counts;
}

}  // namespace

Outcome bulk(const Mode& mode, std::chrono::milliseconds time) {
  const Joined left = join();
  const Joined right = join();
  std::atomic<bool> stop{false};
  Counts counts;
  double cpu = 0;
  std::thread measured([&] {
    const double before = thread_cpu_us();
    const auto move = mode.splice ? splice_ring : mode.ring ? copy_ring : copy_plain;
    counts = move(left.near.get(), right.near.get(), stop);
    cpu = thread_cpu_us() - before;
  });
  std::thread from([&] { source(left.far.get(), stop); });
  std::thread to([&] { sink(right.far.get(), stop); });
  std::this_thread::sleep_for(time);
  stop.store(true);
  for (std::thread* thread : {&measured, &from, &to}) thread->join();
  const double mib = std::max(static_cast<double>(counts.bytes) / (1 << 20), 1e-6);
  return {mib * 1000 / static_cast<double>(time.count()), cpu / mib, static_cast<double>(counts.calls) / mib};
}

}  // namespace nfr::modes
