// SPDX-License-Identifier: GPL-2.0-only
// One byte there and back again and again on each of many connections.
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "load/load.hpp"

namespace nfr::load {
namespace {

constexpr auto kSettle = std::chrono::seconds(10);
/// How well a burst of new connections goes is another question: a relay bounds the handshakes under way.
constexpr unsigned kSettleAtOnce = 100;
constexpr auto kWarmUp = std::chrono::milliseconds(300);

struct Connection {
  Fd socket;
  SteadyClock::time_point sent;
  bool connected = false;
};

class PingPong {
 public:
  PingPong(const net::Endpoint& to, unsigned count) : to_(to), connections_(count) {}

  /// Ends at the first connection that breaks.
  Status run_until(SteadyClock::time_point end) {
    std::array<epoll_event, 512> events{};
    while (SteadyClock::now() < end) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 20);
      for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (const Status went = step(connections_[event.data.u64], event.events); !went) return went;
      }
    }
    return {};
  }

  /// Makes all connections and waits until each had its byte back once: only then the way to the server stands,
  /// whatever it is made of. Until all have, none sends a second byte, which would take processor time from the others'
  /// handshakes.
  Status settle() {
    const auto end = SteadyClock::now() + kSettle;
    for (unsigned i = 0; i < kSettleAtOnce; ++i) {
      if (const Status opened = open_next(); !opened) return opened;
    }
    while (answered_ < connections_.size()) {
      if (SteadyClock::now() > end)
        return Error(Code::kUnavailable, fmt::format("only {} of {} connections had an answer within {} s", answered_,
                                                     connections_.size(), kSettle.count()));
      if (const Status went = run_until(SteadyClock::now() + std::chrono::milliseconds(5)); !went) return went;
    }
    settled_ = true;
    for (Connection& each : connections_) {
      if (const Status sent = send(each); !sent) return sent;
    }
    return {};
  }

  void forget_latencies() { latencies_ = {}; }
  Latencies& latencies() { return latencies_; }
  void close() {
    for (Connection& each : connections_) close_now(each.socket);
  }

 private:
  Status open_next() {
    if (opened_ == connections_.size()) return {};
    auto socket = start_connect(to_);
    if (!socket) return socket.error();
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = opened_}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket->get(), &event) != 0) return Error::system("epoll_ctl", errno);
    connections_[opened_++].socket = std::move(*socket);
    return {};
  }

  Status step(Connection& each, std::uint32_t events) {
    if (!each.connected && (events & (EPOLLOUT | EPOLLERR)) != 0) {
      if (const int error = connect_error(each.socket.get())) return Error::system("connecting", error);
      each.connected = true;
      return send(each);
    }
    char byte = 0;
    const ssize_t got = ::recv(each.socket.get(), &byte, 1, 0);
    if (got < 0 && errno == EAGAIN) return {};
    if (got <= 0) return Error::system("receiving", got == 0 ? ECONNRESET : errno);
    latencies_.add(SteadyClock::now() - each.sent);
    if (settled_) return send(each);
    ++answered_;
    return open_next();
  }

  static Status send(Connection& each) {
    each.sent = SteadyClock::now();
    if (::send(each.socket.get(), "x", 1, MSG_NOSIGNAL) != 1) return Error::system("sending", errno);
    return {};
  }

  const Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  const net::Endpoint to_;
  std::vector<Connection> connections_;
  std::size_t opened_ = 0, answered_ = 0;
  bool settled_ = false;
  Latencies latencies_;
};

}  // namespace

Result<nlohmann::json> ping_pong(const net::Endpoint& to, unsigned connections, std::chrono::milliseconds time) {
  PingPong load(to, connections);
  if (const Status settled = load.settle(); !settled) return settled.error();
  if (const Status warm = load.run_until(SteadyClock::now() + kWarmUp); !warm) return warm.error();
  load.forget_latencies();
  const double busy_before = machine_busy_seconds();
  const auto began = SteadyClock::now();
  if (const Status went = load.run_until(began + time); !went) return went.error();
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
  nlohmann::json out = {{"transactions", load.latencies().count()},
                        {"seconds", seconds},
                        {"busy_s", machine_busy_seconds() - busy_before}};
  load.latencies().put(out, "latency");
  load.close();
  return out;
}

}  // namespace nfr::load
