// SPDX-License-Identifier: GPL-2.0-only
#include "net/socket_names.hpp"

#include <sys/socket.h>

namespace nfr::net {
namespace {

std::optional<Endpoint> name_of(int socket, int (*get_name)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (get_name(socket, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return std::nullopt;
  return Endpoint::from_sockaddr(storage);
}

}  // namespace

std::optional<Endpoint> local_name(int socket) { return name_of(socket, ::getsockname); }
std::optional<Endpoint> peer_name(int socket) { return name_of(socket, ::getpeername); }

}  // namespace nfr::net
