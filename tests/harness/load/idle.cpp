// SPDX-License-Identifier: GPL-2.0-only
// Connections that do nothing after one echo, for what they cost in memory.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "load/load.hpp"

namespace nfr::load {
namespace {

constexpr int kWaitMs = 10'000;

Status wait_for(int socket, short events, const char* what) {
  pollfd entry{socket, events, 0};
  if (::poll(&entry, 1, kWaitMs) == 1) return {};
  return Error(Code::kUnavailable, fmt::format("{}: nothing within {} ms", what, kWaitMs));
}

Status one_echo(int socket) {
  if (const Status ready = wait_for(socket, POLLOUT, "connecting"); !ready) return ready;
  if (const int error = connect_error(socket)) return Error::system("connecting", error);
  if (::send(socket, "x", 1, MSG_NOSIGNAL) != 1) return Error::system("sending", errno);
  if (const Status ready = wait_for(socket, POLLIN, "the echo"); !ready) return ready;
  char byte = 0;
  if (::recv(socket, &byte, 1, 0) != 1) return Error::system("receiving", errno);
  return {};
}

}  // namespace

Status idle(const net::Endpoint& to, unsigned connections) {
  std::vector<Fd> open;
  for (unsigned i = 0; i < connections; ++i) {
    auto socket = start_connect(to);
    if (!socket) return socket.error().context(fmt::format("connection {}", i + 1));
    if (const Status echoed = one_echo(socket->get()); !echoed)
      return echoed.error().context(fmt::format("connection {}", i + 1));
    open.push_back(std::move(*socket));
  }
  fmt::print("open {}\n", open.size());
  std::fflush(stdout);
  std::array<char, 64> ignored;
  while (::read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) {
  }
  for (Fd& socket : open) close_now(socket);
  return {};
}

}  // namespace nfr::load
