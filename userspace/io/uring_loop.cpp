// SPDX-License-Identifier: GPL-2.0-only
// The io_uring loop: creation, submitting, cancelling, waiting, destruction. On the loop's thread. What completions
// lead to is in io/uring_dispatch.cpp.
#include "io/uring_loop.hpp"

#include <unistd.h>

#include <cerrno>

#include "base/assert.hpp"

namespace nfr::io {

namespace {

constexpr Token kWakeToken(Tag::kWake, 0, 0);

/// Ends of the wait that are the weather, not a bug of ours (wrong thread, ring not enabled, bad memory).
bool ordinary(int rc) {
  return rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN || rc == -ENOMEM;
}

}  // namespace

Result<std::unique_ptr<UringLoop>> UringLoop::create(const LoopOptions& options, std::span<const unsigned> flag_sets) {
  if (options.entries == 0) return Error(Code::kInvalid, "entries 0: must be a power of two");
  auto ring = Ring::open(options.entries, flag_sets);
  if (!ring) return ring.error();
  auto buffers = ProvidedBuffers::create((*ring)->raw(), options.buffer_count, options.buffer_bytes);
  if (!buffers) return buffers.error();
  // Blocking on purpose: a ring read of a non-blocking eventfd answers -EAGAIN instead of waiting.
  auto wake = Mailbox::make_eventfd(0);
  if (!wake) return wake.error();
  return std::unique_ptr<UringLoop>(new UringLoop(std::move(*ring), std::move(*buffers), std::move(*wake)));
}

UringLoop::UringLoop(std::unique_ptr<Ring> ring, std::unique_ptr<ProvidedBuffers> buffers, Fd wake)
    : SlotLoop(std::move(wake)), ring_(std::move(ring)), buffers_(std::move(buffers)) {
  pending_.push_back(kWakeToken);
}

UringLoop::~UringLoop() {
  forget_everything();
  drain_kernel();
  NFR_ASSERT(buffers_->lent() == 0);
}

// Closing a ring cancels what is in it, but later and elsewhere: the kernel could still write into memory that its
// owner frees right after us. So cancel here and wait, a bounded time. On another thread than the ring's the kernel
// answers -EEXIST; then the ring's thread is gone and its exit has cancelled everything.
void UringLoop::drain_kernel() {
  constexpr int kRoundsMax = 20;
  constexpr Millis kRoundWait{50};
  for (int attempt = 0; attempt < kRoundsMax && ring_->enabled() && kernel_count_ > 0; ++attempt) {
    io_uring_sqe* entry = ring_->next_entry();
    if (entry != nullptr) {
      io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
      entry->user_data = Token(Tag::kCancel, 0, 0).user_data();
    }
    const int rc = ring_->submit_and_wait(kRoundWait);
    while (ring_->completions_ready() > 0) {
      const RingEvent event = ring_->take();
      const Token token(event.user_data);
      if (token.tag() == Tag::kCancel) continue;
      if ((event.flags & IORING_CQE_F_MORE) == 0) --kernel_count_;
      const bool known = token.tag() == Tag::kOperation && token.slot() < slots_.all().size();
      if (known && slots_.all()[token.slot()].request.kind == Kind::kAccept && event.result >= 0) ::close(event.result);
    }
    if (rc == -EEXIST) return;
  }
}

bool UringLoop::withdraw(Token token) {
  pending_.push_back(token.as(Tag::kCancel));
  return false;
}

void UringLoop::await(Millis wait) {
  ring_->enable();
  fill_submissions();
  NFR_ASSERT(ordinary(ring_->submit_and_wait(time_to_wait(wait))));
  enters_.set(ring_->enters());
}

void UringLoop::fill_submissions() {
  std::size_t done = 0;
  for (; done < pending_.size(); ++done) {
    io_uring_sqe* entry = ring_->next_entry();
    if (entry == nullptr && ring_->submit() > 0) entry = ring_->next_entry();
    if (entry == nullptr) break;  // the completion ring is full: next round, after taking some
    prepare(*entry, pending_[done]);
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
}

void UringLoop::prepare(io_uring_sqe& entry, Token token) {
  if (token.tag() == Tag::kCancel) {
    io_uring_prep_cancel64(&entry, token.as(Tag::kOperation).user_data(), 0);
  } else if (token.tag() == Tag::kWake) {
    io_uring_prep_read(&entry, mailbox_.fd(), &wake_value_, sizeof(wake_value_), 0);
  } else {
    const Request& request = slots_.at(token).request;
    switch (request.kind) {
      case Kind::kAccept:
        io_uring_prep_multishot_accept(&entry, request.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
      case Kind::kReceive:
        io_uring_prep_recv(&entry, request.fd, nullptr, buffers_->bytes_each(), 0);
        entry.flags |= IOSQE_BUFFER_SELECT;
        entry.buf_group = ProvidedBuffers::kGroup;
        break;
      case Kind::kReceiveInto: io_uring_prep_recv(&entry, request.fd, request.bytes, request.size, 0); break;
      case Kind::kSend: io_uring_prep_send(&entry, request.fd, request.bytes, request.size, MSG_NOSIGNAL); break;
      case Kind::kConnect: {
        const auto* address = reinterpret_cast<const sockaddr*>(request.address.get());
        io_uring_prep_connect(&entry, request.fd, address, request.address_length);
        break;
      }
      case Kind::kPoll: io_uring_prep_poll_add(&entry, request.fd, static_cast<unsigned short>(request.events)); break;
      case Kind::kWatch: io_uring_prep_poll_multishot(&entry, request.fd, 0); break;
    }
  }
  entry.user_data = token.user_data();
  if (token.tag() != Tag::kCancel) ++kernel_count_;
}

}  // namespace nfr::io
