// SPDX-License-Identifier: GPL-2.0-only
// The face of the loop over a table of slots, and what does not depend on how the kernel is asked.
// On the loop's thread, but for post() and stop(). Handlers may submit, cancel and destroy from inside.
#include "io/slot_loop.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace nfr::io {

namespace {

constexpr Millis kLongestWait = std::chrono::hours(1);
// io_uring's length field is 32 bits, and results are an int.
constexpr std::size_t kLengthMax = std::size_t{1} << 30;
constexpr auto kAcceptLogEvery = std::chrono::minutes(1);

}  // namespace

SlotLoop::SlotLoop(Fd wake)
    : now_(std::chrono::steady_clock::now()),
      mailbox_(std::move(wake)),
      spare_(mailbox_.fd()),
      accept_timer_(*this, [this] { resume_accepts(); }) {}

void SlotLoop::forget_everything() {
  NFR_ASSERT(!in_round_);
  mailbox_.drop();
  forget_timers();
  for (Slot& slot : slots_.all()) {
    if (slot.operation != nullptr) clear_slot(*std::exchange(slot.operation, nullptr));
  }
}

void SlotLoop::begin(Operation& operation, Request request) {
  NFR_ASSERT(!operation.in_flight());
  const int fd = request.fd;
  const Token token = slots_.take(operation, std::move(request));
  set_slot(operation, token.slot());
  outstanding_.increment();
  pending_.push_back(token);
  joined(fd);
}

void SlotLoop::accept(Operation& operation, int listener) {
  begin(operation, Request{.kind = Kind::kAccept, .fd = listener});
}

void SlotLoop::receive(Operation& operation, int socket) {
  begin(operation, Request{.kind = Kind::kReceive, .fd = socket});
}

void SlotLoop::receive_into(Operation& operation, int socket, std::span<std::byte> into) {
  NFR_ASSERT(!into.empty());  // 0 bytes would read as the end of the stream
  const std::size_t size = std::min(into.size(), kLengthMax);
  begin(operation, Request{.kind = Kind::kReceiveInto, .fd = socket, .bytes = into.data(), .size = size});
}

void SlotLoop::send(Operation& operation, int socket, std::span<const std::byte> bytes) {
  std::byte* data = const_cast<std::byte*>(bytes.data());  // only read: one field serves both directions
  const std::size_t size = std::min(bytes.size(), kLengthMax);
  begin(operation, Request{.kind = Kind::kSend, .fd = socket, .bytes = data, .size = size});
}

void SlotLoop::connect(Operation& operation, int socket, const sockaddr_storage& to, socklen_t length) {
  NFR_ASSERT(length <= sizeof(to));
  Request request{.kind = Kind::kConnect, .fd = socket, .address_length = length};
  request.address = std::make_unique<sockaddr_storage>(to);
  begin(operation, std::move(request));
}

void SlotLoop::poll(Operation& operation, int fd, short events) {
  begin(operation, Request{.kind = Kind::kPoll, .fd = fd, .events = events});
}

void SlotLoop::watch(Operation& operation, int fd) { begin(operation, Request{.kind = Kind::kWatch, .fd = fd}); }

void SlotLoop::cancel(Operation& operation) {
  if (!operation.in_flight()) return;
  const Token token = slots_.token(slot_of(operation));
  Slot& slot = slots_.at(token);
  if (std::exchange(slot.cancel_asked, true)) return;
  if (slot.state == State::kKernel && !withdraw(token)) return;
  slot.state = State::kCancelled;
  cancelled_.push_back(token);
}

void SlotLoop::round(Millis wait) {
  NFR_ASSERT(!in_round_);  // a handler must not run the loop it runs on
  resume_parked();
  await(wait);
  now_ = std::chrono::steady_clock::now();
  in_round_ = true;
  dispatch();
  complete_cancelled();
  fire_timers(now_);
  in_round_ = false;
}

std::chrono::nanoseconds SlotLoop::time_to_wait(Millis wait) const {
  const bool parked_can_go = !parked_.empty() && free_buffers() > 0;
  if (!pending_.empty() || !cancelled_.empty() || parked_can_go) return std::chrono::nanoseconds(0);
  return time_to_timer(std::clamp(wait, Millis(0), kLongestWait));
}

void SlotLoop::run_posted() {
  for (auto& work : mailbox_.take()) work();
}

void SlotLoop::run() {
  while (!stopped_.load(std::memory_order_acquire)) round(kLongestWait);
}

void SlotLoop::stop() {
  stopped_.store(true, std::memory_order_release);
  mailbox_.wake();
}

// Between rounds the cached time may be old, and a timer armed then would fire early.
Instant SlotLoop::now() const { return in_round_ ? now_ : std::chrono::steady_clock::now(); }

void SlotLoop::accept_failed(Token token, int error) {
  if (slots_.at(token).cancel_asked) return finish(token, -ECANCELED);
  switch (judge_accept_error(error)) {
    case AcceptVerdict::kAgain: return resubmit(token);
    case AcceptVerdict::kPause: return pause_accept(token, error);
    case AcceptVerdict::kEnd: return finish(token, -error);
  }
}

void SlotLoop::pause_accept(Token token, int error) {
  spare_.let_go();
  slots_.at(token).state = State::kPaused;
  paused_.push_back(token);
  if (!accept_timer_.armed()) accept_timer_.arm(kAcceptPause);
  if (accept_logged_ && now_ - *accept_logged_ < kAcceptLogEvery) return;
  accept_logged_ = now_;
  log_accept_pause(error);
}

void SlotLoop::resume_accepts() {
  if (!spare_.retake()) return accept_timer_.arm(kAcceptPause);
  std::vector<Token> paused;
  paused.swap(paused_);
  for (const Token token : paused) {
    if (slots_.current(token) && slots_.at(token).state == State::kPaused) resubmit(token);
  }
}

void SlotLoop::park(Token token) {
  slots_.at(token).state = State::kParked;
  parked_.push_back(token);
}

// One receive a free buffer. A resumed receive that finds no bytes holds no buffer, so the rest goes on next round.
void SlotLoop::resume_parked() {
  for (unsigned free = free_buffers(); free > 0 && !parked_.empty();) {
    const Token token = parked_.front();
    parked_.pop_front();
    if (!slots_.current(token) || slots_.at(token).state != State::kParked) continue;
    resubmit(token);
    --free;
  }
}

void SlotLoop::resubmit(Token token) {
  slots_.at(token).state = State::kKernel;
  pending_.push_back(token);
}

void SlotLoop::report(Token token, int result) {
  completions_.increment();
  slots_.at(token).operation->complete(Completion{result, true, {}});
}

// The slot is free before the handler runs, so that it may submit the operation again or destroy it.
void SlotLoop::finish(Token token, int result, Lease lease) {
  const int fd = slots_.at(token).request.fd;
  Operation& operation = slots_.release(token);
  clear_slot(operation);
  left(fd);
  outstanding_.decrement();
  completions_.increment();
  operation.complete(Completion{result, false, std::move(lease)});
}

void SlotLoop::complete_cancelled() {
  being_ended_.clear();
  being_ended_.swap(cancelled_);
  for (const Token token : being_ended_) finish(token, -ECANCELED);
}

}  // namespace nfr::io
