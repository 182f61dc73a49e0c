// SPDX-License-Identifier: GPL-2.0-only
#include "channel_agent/handover.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace channel_agent {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

}  // namespace

Handover::Handover(const std::string& path) : fd_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + ": too long for a unix socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail(path);
}

Handover::~Handover() {
  if (fd_ >= 0) close(fd_);
}

Handover::Handover(Handover&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

void Handover::give(int socket) const {
  char byte = 'c';
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof socket)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof socket);
  std::memcpy(CMSG_DATA(head), &socket, sizeof socket);
  if (sendmsg(fd_, &message, MSG_NOSIGNAL) != 1) fail("handing over");
}

}  // namespace channel_agent
