// SPDX-License-Identifier: GPL-2.0-only
// The face of the epoll loop, its rounds, and who waits on which descriptor. What a single try does is in
// io/epoll_attempts.cpp.
#include "io/epoll_loop.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace nfr::io {
namespace {

constexpr Millis kLongestWait = std::chrono::hours(1);
constexpr std::size_t kLengthMax = std::size_t{1} << 30;
constexpr std::uint64_t kWake = ~std::uint64_t{0};

}  // namespace

Result<std::unique_ptr<EpollLoop>> EpollLoop::create(const LoopOptions& options) {
  auto buffers = BufferPool::create(options.buffer_count, options.buffer_bytes);
  if (!buffers) return buffers.error();
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return Error::system("epoll_create1", errno);
  auto wake = Mailbox::make_eventfd(EFD_NONBLOCK);
  if (!wake) return wake.error();
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWake}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake->get(), &event) != 0) return Error::system("epoll_ctl", errno);
  return std::unique_ptr<EpollLoop>(new EpollLoop(std::move(epoll), std::move(*buffers), std::move(*wake)));
}

EpollLoop::EpollLoop(Fd epoll, std::unique_ptr<BufferPool> buffers, Fd wake)
    : epoll_(std::move(epoll)),
      buffers_(std::move(buffers)),
      now_(std::chrono::steady_clock::now()),
      mailbox_(std::move(wake)),
      spare_(mailbox_.fd()),
      accept_timer_(*this, [this] { resume_accepts(); }) {}

EpollLoop::~EpollLoop() {
  NFR_ASSERT(!in_round_);
  mailbox_.drop();
  forget_timers();
  for (Slot& slot : slots_.all()) {
    if (slot.operation != nullptr) clear_slot(*std::exchange(slot.operation, nullptr));
  }
  NFR_ASSERT(buffers_->all_back());
}

void EpollLoop::begin(Operation& operation, Request request) {
  NFR_ASSERT(!operation.in_flight());
  const Token token = slots_.take(operation, std::move(request));
  set_slot(operation, token.slot());
  pending_.push_back(token);
  const auto fd = static_cast<std::size_t>(std::max(slots_.at(token).request.fd, 0));
  if (fd >= watched_.size()) watched_.resize(fd + 1);
  ++watched_[fd].operations;
}

void EpollLoop::accept(Operation& operation, int listener) {
  begin(operation, Request{.kind = Kind::kAccept, .fd = listener});
}

void EpollLoop::receive(Operation& operation, int socket) {
  begin(operation, Request{.kind = Kind::kReceive, .fd = socket});
}

void EpollLoop::receive_into(Operation& operation, int socket, std::span<std::byte> into) {
  NFR_ASSERT(!into.empty());  // 0 bytes would read as the end of the stream
  const std::size_t size = std::min(into.size(), kLengthMax);
  begin(operation, Request{.kind = Kind::kReceiveInto, .fd = socket, .bytes = into.data(), .size = size});
}

void EpollLoop::send(Operation& operation, int socket, std::span<const std::byte> bytes) {
  std::byte* data = const_cast<std::byte*>(bytes.data());  // only read: one field serves both directions
  const std::size_t size = std::min(bytes.size(), kLengthMax);
  begin(operation, Request{.kind = Kind::kSend, .fd = socket, .bytes = data, .size = size});
}

void EpollLoop::connect(Operation& operation, int socket, const sockaddr_storage& to, socklen_t length) {
  NFR_ASSERT(length <= sizeof(to));
  Request request{.kind = Kind::kConnect, .fd = socket, .address_length = length};
  request.address = std::make_unique<sockaddr_storage>(to);
  begin(operation, std::move(request));
}

void EpollLoop::poll(Operation& operation, int fd, short events) {
  begin(operation, Request{.kind = Kind::kPoll, .fd = fd, .events = events});
}

void EpollLoop::watch(Operation& operation, int fd) { begin(operation, Request{.kind = Kind::kWatch, .fd = fd}); }

// Nothing is in the kernel's hands, so every operation can be ended here.
void EpollLoop::cancel(Operation& operation) {
  if (!operation.in_flight()) return;
  const Token token = slots_.token(slot_of(operation));
  Slot& slot = slots_.at(token);
  if (std::exchange(slot.cancel_asked, true)) return;
  slot.state = State::kCancelled;
  cancelled_.push_back(token);
}

std::chrono::nanoseconds EpollLoop::time_to_wait(Millis wait) const {
  if (!pending_.empty() || !cancelled_.empty()) return std::chrono::nanoseconds(0);
  return time_to_timer(std::clamp(wait, Millis(0), kLongestWait));
}

void EpollLoop::round(Millis wait) {
  NFR_ASSERT(!in_round_);  // a handler must not run the loop it runs on
  resume_parked();
  const auto limit = std::chrono::ceil<Millis>(time_to_wait(wait));
  ++enters_;
  const int count =
      ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), static_cast<int>(limit.count()));
  NFR_ASSERT(count >= 0 || errno == EINTR);
  now_ = std::chrono::steady_clock::now();
  in_round_ = true;
  bool woken = false;
  for (int i = 0; i < count; ++i) woken |= on_event(events_[static_cast<std::size_t>(i)]);
  // Handlers run from here on: one of them may close a descriptor and have its number again for another socket, to
  // which an event taken before would not belong.
  if (woken) on_wake();
  try_pending();
  complete_cancelled();
  fire_timers(now_);
  in_round_ = false;
}

/// True: the event is the mailbox's.
bool EpollLoop::on_event(const epoll_event& event) {
  if (event.data.u64 == kWake) return true;
  Watched& watched = watched_[event.data.u64];
  watched.hang_up |= event.events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);
  pending_.insert(pending_.end(), watched.waiting.begin(), watched.waiting.end());
  watched.waiting.clear();
  return false;
}

void EpollLoop::on_wake() {
  std::uint64_t ignored = 0;
  NFR_ASSERT(::read(mailbox_.fd(), &ignored, sizeof ignored) == sizeof ignored);
  for (auto& work : mailbox_.take()) work();
}

/// What is submitted meanwhile is for the next round: a descriptor that is always ready must not keep the others and
/// the timers waiting.
void EpollLoop::try_pending() {
  trying_.clear();
  trying_.swap(pending_);
  for (const Token token : trying_) {
    if (slots_.current(token) && slots_.at(token).state == State::kKernel) attempt(token);
  }
}

void EpollLoop::attempt(Token token) {
  bool waits = false;
  switch (slots_.at(token).request.kind) {
    case Kind::kAccept: waits = try_accept(token); break;
    case Kind::kReceive: waits = try_receive(token); break;
    case Kind::kReceiveInto:
    case Kind::kSend: waits = try_transfer(token); break;
    case Kind::kConnect: waits = try_connect(token); break;
    case Kind::kPoll: waits = try_poll(token); break;
    case Kind::kWatch: waits = try_watch(token); break;
  }
  if (waits) wait_for(token);
}

void EpollLoop::wait_for(Token token) {
  const int fd = slots_.at(token).request.fd;
  Watched& watched = watched_[static_cast<std::size_t>(std::max(fd, 0))];
  if (!watched.registered) {
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                      .data = {.u64 = static_cast<std::uint64_t>(fd)}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return finish(token, -errno);
    watched.registered = true;
  }
  watched.waiting.push_back(token);
}

/// Before the owner hears of the end of the descriptor's last operation, and may close it: a registration outlives
/// the descriptor where another process holds a duplicate, and the number comes back for another socket.
void EpollLoop::leave(int fd) {
  Watched& watched = watched_[static_cast<std::size_t>(std::max(fd, 0))];
  if (--watched.operations > 0) return;
  watched.waiting.clear();
  watched.hang_up = 0;
  if (std::exchange(watched.registered, false)) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

// The slot is free before the handler runs, so that it may submit the operation again or destroy it.
void EpollLoop::finish(Token token, int result, Lease lease) {
  const int fd = slots_.at(token).request.fd;
  Operation& operation = slots_.release(token);
  clear_slot(operation);
  leave(fd);
  ++completions_;
  operation.complete(Completion{result, false, std::move(lease)});
}

void EpollLoop::complete_cancelled() {
  std::vector<Token> cancelled;
  cancelled.swap(cancelled_);
  for (const Token token : cancelled) finish(token, -ECANCELED);
}

void EpollLoop::stop() {
  stopped_.store(true, std::memory_order_release);
  mailbox_.wake();
}

void EpollLoop::run() {
  while (!stopped_.load(std::memory_order_acquire)) round(kLongestWait);
}

Instant EpollLoop::now() const { return in_round_ ? now_ : std::chrono::steady_clock::now(); }

}  // namespace nfr::io
