// SPDX-License-Identifier: GPL-2.0-only
// The epoll loop: its rounds, and who waits on which descriptor. What a single try does is in
// io/epoll_attempts.cpp.
#include "io/epoll_loop.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace nfr::io {
namespace {

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
    : SlotLoop(std::move(wake)), epoll_(std::move(epoll)), buffers_(std::move(buffers)) {}

EpollLoop::~EpollLoop() {
  forget_everything();
  NFR_ASSERT(buffers_->all_back());
}

/// A bad descriptor fails when it is tried; until then it counts as number 0.
EpollLoop::Watched& EpollLoop::watched(int fd) {
  const auto place = static_cast<std::size_t>(std::max(fd, 0));
  if (place >= watched_.size()) watched_.resize(place + 1);
  return watched_[place];
}

void EpollLoop::joined(int fd) { ++watched(fd).operations; }

void EpollLoop::await(Millis wait) {
  const auto limit = std::chrono::ceil<Millis>(time_to_wait(wait));
  enters_.increment();
  event_count_ =
      ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), static_cast<int>(limit.count()));
  NFR_ASSERT(event_count_ >= 0 || errno == EINTR);
}

void EpollLoop::dispatch() {
  bool woken = false;
  for (int i = 0; i < event_count_; ++i) woken |= on_event(events_[static_cast<std::size_t>(i)]);
  // Handlers run from here on: one of them may close a descriptor and have its number again for another socket, to
  // which an event taken before would not belong.
  if (woken) on_wake();
  try_pending();
}

/// True: the event is the mailbox's.
bool EpollLoop::on_event(const epoll_event& event) {
  if (event.data.u64 == kWake) return true;
  Watched& place = watched_[event.data.u64];
  place.hang_up |= event.events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);
  pending_.insert(pending_.end(), place.waiting.begin(), place.waiting.end());
  place.waiting.clear();
  return false;
}

void EpollLoop::on_wake() {
  std::uint64_t ignored = 0;
  NFR_ASSERT(::read(mailbox_.fd(), &ignored, sizeof ignored) == sizeof ignored);
  run_posted();
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
  Watched& place = watched(fd);
  if (!place.registered) {
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                      .data = {.u64 = static_cast<std::uint64_t>(fd)}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return finish(token, -errno);
    place.registered = true;
  }
  place.waiting.push_back(token);
}

/// Before the owner hears of the end of the descriptor's last operation, and may close it: a registration outlives
/// the descriptor where another process holds a duplicate, and the number comes back for another socket.
void EpollLoop::left(int fd) {
  Watched& place = watched(fd);
  if (--place.operations > 0) return;
  place.waiting.clear();
  place.hang_up = 0;
  if (std::exchange(place.registered, false)) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace nfr::io
