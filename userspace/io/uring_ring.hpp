// SPDX-License-Identifier: GPL-2.0-only
// Ring: the one owner of an io_uring; flags probed by trying, one enter a round, every enter counted.
// Called by UringLoop only; opened on any thread, used on the one that enabled it. Knows nothing of operations.
#pragma once

#include <liburing.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.hpp"

namespace nfr::io {

/// One completion as the kernel posted it.
struct RingEvent {
  std::uint64_t user_data = 0;
  int result = 0;
  std::uint32_t flags = 0;
};

/// Sets of IORING_SETUP_* to try, best first. All of them start disabled, because the ring belongs to the thread
/// that enables it, which need not be the one that opens it.
std::span<const unsigned> preferred_flag_sets();

class Ring {
 public:
  /// Takes the first set of flags the kernel knows. kSystem with the likely cause when it knows none.
  static Result<std::unique_ptr<Ring>> open(unsigned entries, std::span<const unsigned> flag_sets);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// Binds the ring to the calling thread; before that nothing can be submitted.
  void enable();
  bool enabled() const { return enabled_; }

  /// A cleared entry; null while the submission ring is full.
  io_uring_sqe* next_entry() { return io_uring_get_sqe(&ring_); }
  /// Submits without waiting. 0 or more, or -errno.
  int submit();
  /// Submits and waits for the first completion, at most that long. Interruptions, a full completion ring and
  /// short kernel memory end the wait early; -EEXIST is returned for a call from the wrong thread.
  int submit_and_wait(std::chrono::nanoseconds at_most);

  unsigned completions_ready() const { return io_uring_cq_ready(&ring_); }
  /// Takes the oldest completion; only when completions_ready() > 0.
  RingEvent take();

  io_uring* raw() { return &ring_; }
  unsigned setup_flags() const { return ring_.flags; }
  std::uint64_t enters() const { return enters_; }

 private:
  Ring() = default;
  io_uring ring_{};
  bool open_ = false;
  bool enabled_ = false;
  std::uint64_t enters_ = 0;
};

}  // namespace nfr::io
