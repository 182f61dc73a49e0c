// SPDX-License-Identifier: GPL-2.0-only
// Where a server of nf-load takes its connections from: its port and, where it has one, a unix socket over which
// another process hands them over. Both are served alike. One thread, level-triggered epoll.
#pragma once

#include <set>

#include "load/load.hpp"

namespace nfr::load {

class Service {
 public:
  virtual ~Service() = default;
  /// A connection has something to do: one round of it, so that the others get theirs. Closes it at its end.
  virtual void ready(int socket) = 0;
};

class Server {
 public:
  static Result<Server> create(const Places& places);
  /// Prints "ready", then serves until SIGTERM. A connection begins with EPOLLIN.
  [[noreturn]] void serve(Service& service);
  void want(int socket, std::uint32_t events);

 private:
  Server(Fd epoll, Fd listener, Fd handover);
  void handle(int fd, Service& service);
  void accept_all(int listener);
  void take_all(int giver);
  void begin(int socket);

  Fd epoll_, listener_, handover_;
  std::set<int> givers_;  ///< accepted from `handover_`
};

}  // namespace nfr::load
