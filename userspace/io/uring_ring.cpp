// SPDX-License-Identifier: GPL-2.0-only
// The io_uring calls behind Ring. Called by UringLoop on the loop's thread; open() on the creating thread.
// Decides nothing about operations.
#include "io/uring_ring.hpp"

#include <array>
#include <cerrno>

#include "base/assert.hpp"
#include "base/fatal.hpp"

namespace nfr::io {

namespace {

// SUBMIT_ALL: one bad entry must not leave those behind it unsubmitted (5.18).
constexpr unsigned kBase = IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
// DEFER_TASKRUN (6.1): the kernel's half of a completion runs inside our own wait, not in between.
constexpr std::array kFlagSets = {kBase | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                  kBase | IORING_SETUP_COOP_TASKRUN, kBase};

// A completion ring that overflows costs an allocation a completion and ends multishot requests.
constexpr unsigned kCompletionsAnEntry = 4;

Error refused(int error) {
  std::string_view cause = "io_uring_setup";
  if (error == EPERM || error == EACCES) {
    cause =
        "io_uring_setup (set sysctl kernel.io_uring_disabled=0, or allow io_uring in the container's seccomp filter)";
  } else if (error == ENOSYS || error == EINVAL) {
    cause = "io_uring_setup (needs Linux 6.1 built with io_uring, and a seccomp filter that lets it through)";
  } else if (error == ENOMEM) {
    cause = "io_uring_setup (raise the memory limit of the service, or RLIMIT_MEMLOCK)";
  } else if (error == EMFILE || error == ENFILE) {
    cause = "io_uring_setup (raise LimitNOFILE)";
  }
  return Error::system(cause, error);
}

}  // namespace

std::span<const unsigned> preferred_flag_sets() { return kFlagSets; }

Result<std::unique_ptr<Ring>> Ring::open(unsigned entries, std::span<const unsigned> flag_sets) {
  int rc = -EINVAL;
  for (const unsigned flags : flag_sets) {
    std::unique_ptr<Ring> ring(new Ring);
    io_uring_params params{};
    params.flags = flags;
    params.cq_entries = entries * kCompletionsAnEntry;
    rc = io_uring_queue_init_params(entries, &ring->ring_, &params);
    if (rc == 0) {
      ring->open_ = true;
      return ring;
    }
    if (rc != -EINVAL) break;  // only an unknown flag is answered by asking for less
  }
  return refused(-rc);
}

Ring::~Ring() {
  if (open_) io_uring_queue_exit(&ring_);
}

void Ring::enable() {
  if (enabled_) return;
  // liburing 2.3 declares io_uring_enable_rings but its library does not export it.
  const int rc = io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  if (rc == -ENOMEM) fatal("io_uring: not enough kernel memory to enable the ring");
  NFR_ASSERT(rc >= 0);
  enabled_ = true;
}

int Ring::submit() {
  ++enters_;
  return io_uring_submit(&ring_);
}

int Ring::submit_and_wait(std::chrono::nanoseconds at_most) {
  constexpr std::int64_t kNanosASecond = 1'000'000'000;
  __kernel_timespec limit{};
  limit.tv_sec = at_most.count() / kNanosASecond;
  limit.tv_nsec = at_most.count() % kNanosASecond;
  // liburing stays in user space when there is something to take and nothing to submit.
  if (io_uring_sq_ready(&ring_) > 0 || completions_ready() == 0) ++enters_;
  io_uring_cqe* first = nullptr;
  return io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr);
}

RingEvent Ring::take() {
  io_uring_cqe* entry = nullptr;
  NFR_ASSERT(io_uring_peek_cqe(&ring_, &entry) == 0 && entry != nullptr);
  const RingEvent event{entry->user_data, entry->res, entry->flags};
  io_uring_cqe_seen(&ring_, entry);
  return event;
}

}  // namespace nfr::io
