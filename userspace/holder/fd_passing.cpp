// SPDX-License-Identifier: GPL-2.0-only
#include "holder/fd_passing.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "holder/listener_source.hpp"

namespace nfr::holder {
namespace {

union Control {
  char bytes[CMSG_SPACE(kSocketCountMax * sizeof(int))];
  cmsghdr align;
};

void put_fds(msghdr& message, Control& control, std::span<const int> fds) {
  if (fds.empty()) return;
  std::memset(&control, 0, sizeof control);
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
}

std::vector<Fd> take_fds(msghdr& message) {
  std::vector<Fd> fds;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

int send_with_fds(int socket, std::span<const std::byte> packet, std::span<const int> fds) {
  NFR_ASSERT(fds.size() <= kSocketCountMax);
  iovec bytes{.iov_base = const_cast<std::byte*>(packet.data()), .iov_len = packet.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  put_fds(message, control, fds);
  while (::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

Result<ReceivedPacket> receive_with_fds(int socket, std::span<std::byte> packet) {
  iovec bytes{.iov_base = packet.data(), .iov_len = packet.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t length = 0;
  do {
    length = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length < 0 && errno == EAGAIN) return Error(Code::kUnavailable, "no packet is there");
  if (length < 0) return Error::system("receiving a packet with descriptors", errno);
  ReceivedPacket received;
  received.bytes = static_cast<std::size_t>(length);
  received.fds = take_fds(message);
  received.cut = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
  return received;
}

}  // namespace nfr::holder
