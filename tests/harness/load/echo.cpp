// SPDX-License-Identifier: GPL-2.0-only
// The server: echoes small messages on any number of connections.
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "load/load.hpp"

namespace nfr::load {
namespace {

Result<Fd> listen_at(const net::Endpoint& at) {
  sockaddr_storage address{};
  const socklen_t length = at.to_sockaddr(address);
  Fd listener(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  (void)::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(listener.get(), 4096) != 0)
    return Error::system("listening on " + at.text(), errno);
  return listener;
}

void accept_all(int epoll, int listener) {
  for (;;) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    epoll_event event{.events = EPOLLIN, .data = {.fd = socket}};
    (void)::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  }
}

/// Small answers only: what does not fit into the socket's buffer ends the connection.
void echo_once(int socket) {
  std::array<char, 16384> buffer;
  const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0 || ::send(socket, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) ::close(socket);
}

}  // namespace

Status echo(const net::Endpoint& at) {
  const auto listener = listen_at(at);
  if (!listener) return listener.error();
  const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener->get()}};
  (void)::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener->get(), &event);
  fmt::print("ready\n");
  std::fflush(stdout);
  std::array<epoll_event, 512> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      fd == listener->get() ? accept_all(epoll.get(), fd) : echo_once(fd);
    }
  }
}

}  // namespace nfr::load
