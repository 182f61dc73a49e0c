// SPDX-License-Identifier: GPL-2.0-only
// What each completion of the ring leads to. On the loop's thread only, from a round. Handlers may submit, cancel and
// destroy from here.
#include <unistd.h>

#include <cerrno>

#include "base/assert.hpp"
#include "io/uring_loop.hpp"

namespace nfr::io {

// Only what is there now: completions caused by this round's handlers wait for their turn after the timers.
void UringLoop::dispatch() {
  for (unsigned count = ring_->completions_ready(); count > 0; --count) handle(ring_->take());
}

void UringLoop::handle(const RingEvent& event) {
  const Token token(event.user_data);
  if (token.tag() == Tag::kCancel) return on_cancel_answer(token, event.result);
  if ((event.flags & IORING_CQE_F_MORE) == 0) --kernel_count_;
  if (token.tag() == Tag::kWake) return on_wake();
  NFR_ASSERT(token.tag() == Tag::kOperation);
  on_operation(token, event);
}

// -ENOENT while the operation is still in the kernel: its socket had just become ready and it was between two
// queues. It may go back to waiting, so ask again.
void UringLoop::on_cancel_answer(Token token, int result) {
  if (result != -ENOENT) return;
  const Token target = token.as(Tag::kOperation);
  if (slots_.current(target) && slots_.at(target).state == State::kKernel) pending_.push_back(token);
}

void UringLoop::on_wake() {
  pending_.push_back(Token(Tag::kWake, 0, 0));
  run_posted();
}

void UringLoop::on_operation(Token token, RingEvent event) {
  const Slot& slot = slots_.at(token);
  // A request that the kernel has handed to one of its worker threads is cancelled there by a signal, and says so.
  if (event.result == -EINTR && slot.cancel_asked) event.result = -ECANCELED;
  switch (slot.request.kind) {
    case Kind::kAccept: return on_accept(token, event);
    case Kind::kReceive: return on_receive(token, event);
    case Kind::kReceiveInto:
    case Kind::kSend:
    case Kind::kConnect:
    case Kind::kPoll: return finish(token, event.result);
    case Kind::kWatch: return on_watch(token, event);
  }
}

void UringLoop::on_accept(Token token, const RingEvent& event) {
  const bool armed = (event.flags & IORING_CQE_F_MORE) != 0;
  if (event.result < 0) {
    if (!armed) accept_failed(token, -event.result);
    return;
  }
  if (!armed && slots_.at(token).cancel_asked) return finish(token, event.result);
  // The kernel ends a multishot request when its completion ring overflows: the listener is still good.
  if (!armed) resubmit(token);
  report(token, event.result);
}

void UringLoop::on_watch(Token token, const RingEvent& event) {
  if ((event.flags & IORING_CQE_F_MORE) == 0) return finish(token, event.result);
  report(token, event.result);
}

void UringLoop::on_receive(Token token, const RingEvent& event) {
  const bool has_buffer = (event.flags & IORING_CQE_F_BUFFER) != 0;
  const auto index = static_cast<std::uint16_t>(event.flags >> IORING_CQE_BUFFER_SHIFT);
  if (event.result > 0) {
    NFR_ASSERT(has_buffer);
    return finish(token, event.result,
                  Lease(this, index, buffers_->lend(index, static_cast<std::size_t>(event.result))));
  }
  // Kernels up to 6.18 keep the buffer in the ring at the end of the stream and on errors; the flag says otherwise.
  if (has_buffer) buffers_->recycle(index);
  if (event.result != -ENOBUFS) return finish(token, event.result);
  if (slots_.at(token).cancel_asked) return finish(token, -ECANCELED);
  park(token);
}

}  // namespace nfr::io
