// SPDX-License-Identifier: GPL-2.0-only
// One byte there and back again and again on each of many connections.
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "load/load.hpp"

namespace nfr::load {
namespace {

constexpr auto kWarmUp = std::chrono::milliseconds(300);

struct Connection {
  Fd socket;
  SteadyClock::time_point sent;
  bool connected = false;
};

class PingPong {
 public:
  Status open(const net::Endpoint& to, unsigned count) {
    connections_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto socket = start_connect(to);
      if (!socket) return socket.error();
      connections_[i].socket = std::move(*socket);
      epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = i}};
      if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connections_[i].socket.get(), &event) != 0)
        return Error::system("epoll_ctl", errno);
    }
    return {};
  }

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

  std::size_t connected() const { return connected_; }
  void forget_latencies() { latencies_ = {}; }
  Latencies& latencies() { return latencies_; }
  void close() {
    for (Connection& each : connections_) close_now(each.socket);
  }

 private:
  Status step(Connection& each, std::uint32_t events) {
    if (!each.connected && (events & (EPOLLOUT | EPOLLERR)) != 0) {
      if (const int error = connect_error(each.socket.get())) return Error::system("connecting", error);
      each.connected = true;
      ++connected_;
      return send(each);
    }
    char byte = 0;
    const ssize_t got = ::recv(each.socket.get(), &byte, 1, 0);
    if (got < 0 && errno == EAGAIN) return {};
    if (got <= 0) return Error::system("receiving", got == 0 ? ECONNRESET : errno);
    latencies_.add(SteadyClock::now() - each.sent);
    return send(each);
  }

  static Status send(Connection& each) {
    each.sent = SteadyClock::now();
    if (::send(each.socket.get(), "x", 1, MSG_NOSIGNAL) != 1) return Error::system("sending", errno);
    return {};
  }

  const Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Connection> connections_;
  std::size_t connected_ = 0;
  Latencies latencies_;
};

}  // namespace

Result<nlohmann::json> ping_pong(const net::Endpoint& to, unsigned connections, std::chrono::milliseconds time) {
  PingPong load;
  if (const Status opened = load.open(to, connections); !opened) return opened.error();
  const auto limit = SteadyClock::now() + std::chrono::seconds(10);
  while (load.connected() < connections && SteadyClock::now() < limit) {
    if (const Status went = load.run_until(SteadyClock::now() + std::chrono::milliseconds(20)); !went)
      return went.error();
  }
  if (load.connected() < connections) return Error(Code::kUnavailable, "not all connections could be made in 10 s");
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
