// SPDX-License-Identifier: GPL-2.0-only
// The options of every TCP connection that carries a flow. What a listener has before listen(), every connection it
// accepts has from its first moment, at no cost.
#pragma once

#include "base/clock.hpp"

namespace nfr::net {

/// Whole seconds, at least 1.
struct Keepalive {
  Millis idle{60'000};
  Millis interval{10'000};
  int probes = 3;
};
inline constexpr Keepalive kVisitorKeepalive{};
/// The agent's NAT must not forget an idle connection.
inline constexpr Keepalive kChannelKeepalive{.idle = Millis{25'000}};

/// Before listen() or connect(): SO_LINGER {1,0} (closing means RST, also when the process dies) and TCP_NODELAY; on a
/// unix socket only the first. 0, or the errno with which SO_LINGER was refused: the socket must not be used then.
int set_options(int socket);

/// Best effort; on a unix socket without effect. A connection that was dialled needs it once it has lived for a moment.
void set_keepalive(int socket, const Keepalive& keepalive);

}  // namespace nfr::net
