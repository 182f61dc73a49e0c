// SPDX-License-Identifier: GPL-2.0-only
#include "net/tcp_options.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace nfr::net {
namespace {

void set_tcp(int socket, int name, int value) {
  // Best effort: on a unix socket there is nothing to set, on a connection that is already broken the first read says
  // so.
  (void)::setsockopt(socket, IPPROTO_TCP, name, &value, sizeof value);
}

int whole_seconds(Millis time) { return std::max(1, static_cast<int>(time.count() / 1000)); }

}  // namespace

int set_options(int socket) {
  const linger reset{.l_onoff = 1, .l_linger = 0};
  if (::setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0) return errno;
  set_tcp(socket, TCP_NODELAY, 1);
  return 0;
}

void set_keepalive(int socket, const Keepalive& keepalive) {
  const int on = 1;
  if (::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0) return;
  set_tcp(socket, TCP_KEEPIDLE, whole_seconds(keepalive.idle));
  set_tcp(socket, TCP_KEEPINTVL, whole_seconds(keepalive.interval));
  set_tcp(socket, TCP_KEEPCNT, keepalive.probes);
}

}  // namespace nfr::net
