// SPDX-License-Identifier: GPL-2.0-only
// New connections, each with a byte there and back: how many, and how soon the byte is back.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "load/load.hpp"

namespace nfr::load {
namespace {

struct Attempt {
  Fd socket;
  SteadyClock::time_point began;
  bool connected = false;
};

class Connects {
 public:
  Connects(const net::Endpoint& to, unsigned at_once) : to_(to), attempts_(at_once) {}

  Status run_until(SteadyClock::time_point end) {
    for (std::size_t i = 0; i < attempts_.size(); ++i) {
      if (const Status begun = begin(i); !begun) return begun;
    }
    std::array<epoll_event, 256> events{};
    while (SteadyClock::now() < end) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 20);
      for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (const Status went = step(event.data.u64, event.events); !went) return went;
      }
    }
    const auto now = SteadyClock::now();
    for (Attempt& each : attempts_) {
      oldest = std::max(oldest, std::chrono::duration_cast<std::chrono::milliseconds>(now - each.began));
      close_now(each.socket);
    }
    return {};
  }

  Latencies first_byte;
  std::chrono::milliseconds oldest{0};  // of those without an answer at the end
  std::uint64_t failed = 0;

 private:
  Status begin(std::size_t i) {
    Attempt& each = attempts_[i];
    each.began = SteadyClock::now();
    each.connected = false;
    auto socket = start_connect(to_);
    if (!socket) return socket.error();
    each.socket = std::move(*socket);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = i}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, each.socket.get(), &event) != 0)
      return Error::system("epoll_ctl", errno);
    return {};
  }

  Status again(std::size_t i) {
    close_now(attempts_[i].socket);
    return begin(i);
  }

  Status step(std::size_t i, std::uint32_t events) {
    Attempt& each = attempts_[i];
    if (!each.connected && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
      each.connected = connect_error(each.socket.get()) == 0 && ::send(each.socket.get(), "x", 1, MSG_NOSIGNAL) == 1;
      if (!each.connected) return ++failed, again(i);
    }
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) return {};
    char byte = 0;
    const ssize_t got = ::recv(each.socket.get(), &byte, 1, 0);
    if (got < 0 && errno == EAGAIN) return {};
    if (got == 1) first_byte.add(SteadyClock::now() - each.began);
    if (got != 1) ++failed;
    return again(i);
  }

  const net::Endpoint to_;
  const Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Attempt> attempts_;
};

}  // namespace

Result<nlohmann::json> connects(const net::Endpoint& to, unsigned at_once, std::chrono::milliseconds time) {
  Connects load(to, at_once);
  const auto began = SteadyClock::now();
  if (const Status went = load.run_until(began + time); !went) return went.error();
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
  nlohmann::json out = {{"connections", load.first_byte.count()},
                        {"failed", load.failed},
                        {"seconds", seconds},
                        {"oldest_waiting_ms", load.oldest.count()}};
  load.first_byte.put(out, "first_byte");
  return out;
}

}  // namespace nfr::load
