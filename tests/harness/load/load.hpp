// SPDX-License-Identifier: GPL-2.0-only
// What nf-load does: one thread with epoll each. sockperf, wrk and hey have no one-byte transactions on many TCP
// connections, and none of them tells when the first byte of a new connection comes back. iperf3 accepts its own
// connections, so it cannot stand where another process has made them.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "net/address.hpp"

namespace nfr::load {

using SteadyClock = std::chrono::steady_clock;

/// A non-blocking connection that is being made; TCP_NODELAY.
Result<Fd> start_connect(const net::Endpoint& to);
/// 0 once connected; a positive errno.
int connect_error(int socket);
/// Closes with RST, so that no port waits in TIME_WAIT.
void close_now(Fd& socket);

/// Seconds of processor time the whole machine has used so far, idle and stolen time left out; steps of 10 ms.
double machine_busy_seconds();

/// Latencies in microseconds.
class Latencies {
 public:
  void add(SteadyClock::duration time) {
    values_.push_back(static_cast<float>(std::chrono::duration<double, std::micro>(time).count()));
  }
  std::size_t count() const { return values_.size(); }
  /// Adds PREFIX_p50_us and PREFIX_p99_us; nothing if there are none.
  void put(nlohmann::json& into, const std::string& prefix);

 private:
  std::vector<float> values_;
};

/// Where a server takes connections.
struct Places {
  net::Endpoint at;
  /// Path of a unix socket (SOCK_SEQPACKET) where another process hands over connected sockets, one byte with one
  /// descriptor (SCM_RIGHTS) a message; empty: none.
  std::string handover;
};

/// Echoes whatever comes; until SIGTERM.
Status echo(const Places& places);
/// The other end of bulk(); until SIGTERM.
Status stream(const Places& places);
/// As many bytes as go in one direction on `streams` connections. Only what is received within `time` counts, processor
/// time as well; 200 ms to warm up do not.
Result<nlohmann::json> bulk(const net::Endpoint& to, bool download, unsigned streams, std::chrono::milliseconds time);
/// One byte there and back again and again on each of `connections`. Only what falls into `time` counts, processor time
/// included: not connecting, which may cost a TLS handshake each.
Result<nlohmann::json> ping_pong(const net::Endpoint& to, unsigned connections, std::chrono::milliseconds time);
/// New connections, `at_once` under way, each with a byte there and back. `oldest_waiting_ms`: how long one that had no
/// answer at the end had waited.
Result<nlohmann::json> connects(const net::Endpoint& to, unsigned at_once, std::chrono::milliseconds time);
/// Opens connections, has a byte echoed on each, says "open" with their number on standard output, keeps them until
/// standard input ends.
Status idle(const net::Endpoint& to, unsigned connections);

}  // namespace nfr::load
