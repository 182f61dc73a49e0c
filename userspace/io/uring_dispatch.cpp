// SPDX-License-Identifier: GPL-2.0-only
// One round of the io_uring loop: submit, wait, and what each completion leads to, then timers.
// On the loop's thread only, from run() and run_once(). Handlers may submit, cancel and destroy from here.
#include <unistd.h>

#include <cerrno>

#include "base/assert.hpp"
#include "io/uring_loop.hpp"

namespace nfr::io {

namespace {

/// Ends of the wait that are the weather, not a bug of ours (wrong thread, ring not enabled, bad memory).
bool ordinary(int rc) {
  return rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN || rc == -ENOMEM;
}

constexpr auto kAcceptLogEvery = std::chrono::minutes(1);

}  // namespace

void UringLoop::round(Millis wait) {
  NFR_ASSERT(!in_round_);  // a handler must not run the loop it runs on
  ring_->enable();
  resume_parked();
  fill_submissions();
  NFR_ASSERT(ordinary(ring_->submit_and_wait(time_to_wait(wait))));
  now_ = std::chrono::steady_clock::now();
  in_round_ = true;
  // Only what is there now: completions caused by this round's handlers wait for their turn after the timers.
  for (unsigned count = ring_->completions_ready(); count > 0; --count) dispatch(ring_->take());
  complete_cancelled();
  fire_timers(now_);
  in_round_ = false;
}

void UringLoop::dispatch(const RingEvent& event) {
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
  for (auto& work : mailbox_.take()) work();
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
  Slot& slot = slots_.at(token);
  if (!armed && slot.cancel_asked) return finish(token, event.result);
  // The kernel ends a multishot request when its completion ring overflows: the listener is still good.
  if (!armed) resubmit(token);
  ++completions_;
  slot.operation->complete(Completion{event.result, true, {}});
}

void UringLoop::on_watch(Token token, const RingEvent& event) {
  if ((event.flags & IORING_CQE_F_MORE) == 0) return finish(token, event.result);
  ++completions_;
  slots_.at(token).operation->complete(Completion{event.result, true, {}});
}

void UringLoop::accept_failed(Token token, int error) {
  if (slots_.at(token).cancel_asked) return finish(token, -ECANCELED);
  switch (judge_accept_error(error)) {
    case AcceptVerdict::kAgain: return resubmit(token);
    case AcceptVerdict::kPause: return pause_accept(token, error);
    case AcceptVerdict::kEnd: return finish(token, -error);
  }
}

void UringLoop::pause_accept(Token token, int error) {
  spare_.let_go();
  slots_.at(token).state = State::kPaused;
  paused_.push_back(token);
  if (!accept_timer_.armed()) accept_timer_.arm(kAcceptPause);
  if (accept_logged_ && now_ - *accept_logged_ < kAcceptLogEvery) return;
  accept_logged_ = now_;
  log_accept_pause(error);
}

void UringLoop::resume_accepts() {
  if (!spare_.retake()) return accept_timer_.arm(kAcceptPause);
  std::vector<Token> paused;
  paused.swap(paused_);
  for (const Token token : paused) {
    if (slots_.current(token) && slots_.at(token).state == State::kPaused) resubmit(token);
  }
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
  Slot& slot = slots_.at(token);
  if (slot.cancel_asked) return finish(token, -ECANCELED);
  slot.state = State::kParked;
  parked_.push_back(token);
}

void UringLoop::resubmit(Token token) {
  slots_.at(token).state = State::kKernel;
  pending_.push_back(token);
}

// The slot is free before the handler runs, so that it may submit the operation again or destroy it.
void UringLoop::finish(Token token, int result, Lease lease) {
  Operation& operation = slots_.release(token);
  clear_slot(operation);
  ++completions_;
  operation.complete(Completion{result, false, std::move(lease)});
}

void UringLoop::complete_cancelled() {
  std::vector<Token> cancelled;
  cancelled.swap(cancelled_);
  for (const Token token : cancelled) finish(token, -ECANCELED);
}

}  // namespace nfr::io
