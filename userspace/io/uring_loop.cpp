// SPDX-License-Identifier: GPL-2.0-only
// The face of the io_uring loop: creation, submitting, cancelling, posting, running, destruction.
// On the loop's thread, but for post() and stop(). What completions lead to is in io/uring_dispatch.cpp.
#include "io/uring_loop.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/assert.hpp"

namespace nfr::io {

namespace {

constexpr Millis kLongestWait = std::chrono::hours(1);
// The length field is 32 bits and results are an int.
constexpr std::size_t kLengthMax = std::size_t{1} << 30;
constexpr Token kWakeToken(Tag::kWake, 0, 0);

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
    : ring_(std::move(ring)),
      buffers_(std::move(buffers)),
      now_(std::chrono::steady_clock::now()),
      mailbox_(std::move(wake)),
      spare_(mailbox_.fd()),
      accept_timer_(*this, [this] { resume_accepts(); }) {
  pending_.push_back(kWakeToken);
}

UringLoop::~UringLoop() {
  NFR_ASSERT(!in_round_);
  mailbox_.drop();
  forget_timers();
  forget_operations();
  drain_kernel();
  NFR_ASSERT(buffers_->lent() == 0);
}

void UringLoop::forget_operations() {
  for (Slot& slot : slots_.all()) {
    if (slot.operation != nullptr) clear_slot(*std::exchange(slot.operation, nullptr));
  }
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

void UringLoop::begin(Operation& operation, Request request) {
  NFR_ASSERT(!operation.in_flight());
  const Token token = slots_.take(operation, std::move(request));
  set_slot(operation, token.slot());
  pending_.push_back(token);
}

void UringLoop::accept(Operation& operation, int listener) {
  begin(operation, Request{.kind = Kind::kAccept, .fd = listener});
}

void UringLoop::receive(Operation& operation, int socket) {
  begin(operation, Request{.kind = Kind::kReceive, .fd = socket});
}

void UringLoop::receive_into(Operation& operation, int socket, std::span<std::byte> into) {
  NFR_ASSERT(!into.empty());  // 0 bytes would read as the end of the stream
  const std::size_t size = std::min(into.size(), kLengthMax);
  begin(operation, Request{.kind = Kind::kReceiveInto, .fd = socket, .bytes = into.data(), .size = size});
}

void UringLoop::send(Operation& operation, int socket, std::span<const std::byte> bytes) {
  std::byte* data = const_cast<std::byte*>(bytes.data());  // only read: one field serves both directions
  const std::size_t size = std::min(bytes.size(), kLengthMax);
  begin(operation, Request{.kind = Kind::kSend, .fd = socket, .bytes = data, .size = size});
}

void UringLoop::connect(Operation& operation, int socket, const sockaddr_storage& to, socklen_t length) {
  NFR_ASSERT(length <= sizeof(to));
  Request request{.kind = Kind::kConnect, .fd = socket, .address_length = length};
  request.address = std::make_unique<sockaddr_storage>(to);
  begin(operation, std::move(request));
}

void UringLoop::poll(Operation& operation, int fd, short events) {
  begin(operation, Request{.kind = Kind::kPoll, .fd = fd, .events = events});
}

void UringLoop::watch(Operation& operation, int fd) { begin(operation, Request{.kind = Kind::kWatch, .fd = fd}); }

void UringLoop::cancel(Operation& operation) {
  if (!operation.in_flight()) return;
  const Token token = slots_.token(slot_of(operation));
  Slot& slot = slots_.at(token);
  if (slot.cancel_asked) return;
  slot.cancel_asked = true;
  if (slot.state == State::kKernel) {
    pending_.push_back(token.as(Tag::kCancel));
  } else {
    slot.state = State::kCancelled;
    cancelled_.push_back(token);
  }
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

// One receive a free buffer. A resumed receive that finds no bytes holds no buffer, so the rest goes on next round.
void UringLoop::resume_parked() {
  for (unsigned free = buffers_->free(); free > 0 && !parked_.empty();) {
    const Token token = parked_.front();
    parked_.pop_front();
    if (!slots_.current(token) || slots_.at(token).state != State::kParked) continue;
    resubmit(token);
    --free;
  }
}

std::chrono::nanoseconds UringLoop::time_to_wait(Millis wait) const {
  const bool parked_can_go = !parked_.empty() && buffers_->free() > 0;
  if (!pending_.empty() || !cancelled_.empty() || parked_can_go) return std::chrono::nanoseconds(0);
  return time_to_timer(std::clamp(wait, Millis(0), kLongestWait));
}

void UringLoop::post(std::function<void()> work) { mailbox_.post(std::move(work)); }

void UringLoop::stop() {
  stopped_.store(true, std::memory_order_release);
  mailbox_.wake();
}

void UringLoop::run() {
  while (!stopped_.load(std::memory_order_acquire)) round(kLongestWait);
}

void UringLoop::run_once(Millis wait) { round(wait); }

// Between rounds the cached time may be old, and a timer armed then would fire early.
Instant UringLoop::now() const { return in_round_ ? now_ : std::chrono::steady_clock::now(); }

Loop::Statistics UringLoop::statistics() const { return {completions_, ring_->enters()}; }

}  // namespace nfr::io
