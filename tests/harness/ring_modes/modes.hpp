// SPDX-License-Identifier: GPL-2.0-only
// What the runs of nf-ring-modes share: a mode, its result, connected sockets, a ring as the loop sets it up.
#pragma once

#include <liburing.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"

namespace nfr::modes {

struct Mode {
  std::string name;
  bool ring = true;         ///< else epoll
  bool multishot = false;   ///< receives stay armed
  bool fixed = false;       ///< registered descriptors
  bool poll_first = false;  ///< a receive behind one that emptied the socket waits before it tries
  bool splice = false;      ///< bulk: splice(2) through a pipe instead of copying
};

struct Outcome {
  double per_second = 0;  ///< transactions or MiB
  double cpu_us = 0;      ///< of the measured thread, a transaction or a MiB
  double calls_each = 0;  ///< system calls of the measured thread, a transaction or a MiB
};

struct Joined {
  Fd near;  ///< the measured thread's end
  Fd far;
};
/// Loopback TCP, non-blocking, TCP_NODELAY.
Joined join();

/// Microseconds of user and system time of the calling thread.
double thread_cpu_us();

/// Flags as the loop prefers them; ends the program when there is no ring.
class ModeRing {
 public:
  ModeRing(unsigned entries, const std::vector<int>& files);
  ~ModeRing() { io_uring_queue_exit(&ring_); }
  ModeRing(const ModeRing&) = delete;
  ModeRing& operator=(const ModeRing&) = delete;
  io_uring* raw() { return &ring_; }
  io_uring_sqe* entry();
  void enter();  ///< submits and waits for one completion, 10 ms at most
  std::uint64_t enters() const { return enters_; }

 private:
  io_uring ring_{};
  std::uint64_t enters_ = 0;
};

/// One byte there and back on each of `connections`, echoed by the measured thread.
Outcome ping_pong(const Mode& mode, unsigned connections, std::chrono::milliseconds time);
/// One stream through the measured thread.
Outcome bulk(const Mode& mode, std::chrono::milliseconds time);

}  // namespace nfr::modes
