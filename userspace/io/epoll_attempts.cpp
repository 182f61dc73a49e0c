// SPDX-License-Identifier: GPL-2.0-only
// One try of each kind of operation: it completes, waits for its descriptor, or waits for a buffer. On the loop's
// thread, from EpollLoop::attempt() only; a handler may run inside.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"
#include "io/epoll_loop.hpp"

namespace nfr::io {
namespace {

constexpr int kAcceptsAtOnce = 64;

template <class Call>
long retried(Call call) {
  for (;;) {
    const long result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

/// connect() that does not wait, whatever the descriptor's flags; they are the owner's and stay.
long start_connect(int fd, const sockaddr_storage& to, socklen_t length) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  if ((flags & O_NONBLOCK) == 0) (void)::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  const long result = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), length) == 0 ? 0 : -errno;
  if ((flags & O_NONBLOCK) == 0) (void)::fcntl(fd, F_SETFL, flags);
  return result;
}

}  // namespace

bool EpollLoop::try_accept(Token token) {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    const int listener = slots_.at(token).request.fd;
    const long result = retried([&] { return ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); });
    if (result == -EAGAIN) return true;
    if (result < 0) {
      if (judge_accept_error(static_cast<int>(-result)) == AcceptVerdict::kAgain) continue;
      accept_failed(token, static_cast<int>(-result));
      return false;
    }
    report(token, static_cast<int>(result));
    if (!slots_.current(token) || slots_.at(token).state != State::kKernel) return false;
  }
  pending_.push_back(token);
  return false;
}

bool EpollLoop::try_receive(Token token) {
  if (buffers_->free() == 0) return park(token), false;
  const std::uint16_t index = buffers_->take();
  const std::span<std::byte> buffer = buffers_->at(index);
  const int fd = slots_.at(token).request.fd;
  const long result = retried([&] { return ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT); });
  if (result <= 0) buffers_->give_back(index);
  if (result == -EAGAIN) return true;
  if (result <= 0) return finish(token, static_cast<int>(result)), false;
  finish(token, static_cast<int>(result), Lease(this, index, buffer.first(static_cast<std::size_t>(result))));
  return false;
}

bool EpollLoop::try_transfer(Token token) {
  const Request& request = slots_.at(token).request;
  const long result = retried([&] {
    return request.kind == Kind::kSend ? ::send(request.fd, request.bytes, request.size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                       : ::recv(request.fd, request.bytes, request.size, MSG_DONTWAIT);
  });
  if (result == -EAGAIN) return true;
  finish(token, static_cast<int>(result));
  return false;
}

/// The address goes with the first try: afterwards the socket tells how it went.
bool EpollLoop::try_connect(Token token) {
  Request& request = slots_.at(token).request;
  if (request.address != nullptr) {
    const long result = start_connect(request.fd, *request.address, request.address_length);
    request.address.reset();
    if (result == -EINPROGRESS) return true;
    finish(token, static_cast<int>(result));
    return false;
  }
  pollfd entry{request.fd, POLLOUT, 0};
  if (::poll(&entry, 1, 0) == 0) return true;
  finish(token, -socket_error(request.fd));
  return false;
}

bool EpollLoop::try_poll(Token token) {
  const Request& request = slots_.at(token).request;
  pollfd entry{request.fd, request.events, 0};
  const long count = retried([&] { return ::poll(&entry, 1, 0); });
  if (count == 0) return true;
  finish(token, count < 0 ? static_cast<int>(count) : entry.revents);
  return false;
}

/// Reports what has come up and was not reported. Stays in the descriptor's list, or asks to be put there.
bool EpollLoop::try_watch(Token token) {
  Request& request = slots_.at(token).request;
  const std::uint32_t hang_up = watched(request.fd).hang_up;
  const auto fresh = hang_up & ~static_cast<std::uint32_t>(request.events);
  if (fresh == 0) return true;
  request.events = static_cast<short>(hang_up);
  report(token, static_cast<int>(hang_up));
  return slots_.current(token) && slots_.at(token).state == State::kKernel;
}

}  // namespace nfr::io
