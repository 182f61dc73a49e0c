// SPDX-License-Identifier: GPL-2.0-only
#include "load/server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace nfr::load {
namespace {

constexpr int kBacklog = 4096;
constexpr int kNone = -1, kEnded = -2;

Result<Fd> listen_at(const net::Endpoint& at) {
  sockaddr_storage address{};
  const socklen_t length = at.to_sockaddr(address);
  Fd listener(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  (void)::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(listener.get(), kBacklog) != 0)
    return Error::system("listening on " + at.text(), errno);
  return listener;
}

/// What a process that is gone left at this path is replaced.
Result<Fd> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error(Code::kInvalid, path + ": too long for a unix socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  ::unlink(path.c_str());
  Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), kBacklog) != 0)
    return Error::system("listening on " + path, errno);
  return listener;
}

/// The next connection handed over; kNone or kEnded without one.
int receive_descriptor(int giver) {
  char byte = 0;
  iovec data{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(giver, &message, MSG_CMSG_CLOEXEC);
  if (got <= 0) return got < 0 && errno == EAGAIN ? kNone : kEnded;
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head == nullptr || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) return kEnded;
  int descriptor = kEnded;
  std::memcpy(&descriptor, CMSG_DATA(head), sizeof descriptor);
  return descriptor;
}

}  // namespace

Result<Server> Server::create(const Places& places) {
  auto listener = listen_at(places.at);
  if (!listener) return listener.error();
  Fd handover;
  if (!places.handover.empty()) {
    auto made = listen_at(places.handover);
    if (!made) return made.error();
    handover = std::move(*made);
  }
  return Server(Fd(::epoll_create1(EPOLL_CLOEXEC)), std::move(*listener), std::move(handover));
}

Server::Server(Fd epoll, Fd listener, Fd handover)
    : epoll_(std::move(epoll)), listener_(std::move(listener)), handover_(std::move(handover)) {
  begin(listener_.get());
  if (handover_.valid()) begin(handover_.get());
}

void Server::begin(int socket) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = socket}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &event);
}

void Server::want(int socket, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = socket}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket, &event);
}

void Server::serve(Service& service) {
  fmt::print("ready\n");
  std::fflush(stdout);
  std::array<epoll_event, 512> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) handle(events[static_cast<std::size_t>(i)].data.fd, service);
  }
}

void Server::handle(int fd, Service& service) {
  if (fd == listener_.get() || fd == handover_.get()) return accept_all(fd);
  if (!givers_.empty() && givers_.contains(fd)) return take_all(fd);
  service.ready(fd);
}

void Server::accept_all(int listener) {
  for (;;) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    if (listener == handover_.get()) givers_.insert(socket);
    begin(socket);
  }
}

void Server::take_all(int giver) {
  for (;;) {
    const int socket = receive_descriptor(giver);
    if (socket == kNone) return;
    if (socket == kEnded) break;
    // Blocking or not belongs to the socket, which its last owner used as it liked.
    (void)::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
    begin(socket);
  }
  givers_.erase(giver);
  ::close(giver);
}

}  // namespace nfr::load
