// SPDX-License-Identifier: GPL-2.0-only
// The server of small messages: echoes them on any number of connections.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "load/server.hpp"

namespace nfr::load {
namespace {

class Echo : public Service {
 public:
  /// Small answers only: what does not fit into the socket's buffer ends the connection.
  void ready(int socket) override {
    std::array<char, 16384> buffer;
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || ::send(socket, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) ::close(socket);
  }
};

}  // namespace

Status echo(const Places& places) {
  auto server = Server::create(places);
  if (!server) return server.error();
  Echo service;
  server->serve(service);
}

}  // namespace nfr::load
