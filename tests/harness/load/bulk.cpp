// SPDX-License-Identifier: GPL-2.0-only
// Bulk in one direction on a few connections. What counts is what was received: of a download the client knows, of an
// upload it asks the server at both ends of the window, on a connection of its own along the same way. What the
// client's sockets took would count what fills the buffers on the way too, and those on the relay SIOCOUTQ does not
// see.
#include "load/bulk.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "load/load.hpp"

namespace nfr::load {
namespace {

constexpr auto kWarmUp = std::chrono::milliseconds(200);
constexpr auto kSetUp = std::chrono::seconds(10);
constexpr auto kAnswer = std::chrono::seconds(5);

class Bulk {
 public:
  Bulk(unsigned streams, bool download) : download_(download), sockets_(download ? streams : streams + 1) {}

  /// Until all are connected and, for an upload, the server has answered once.
  Status open(const net::Endpoint& to) {
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      auto socket = start_connect(to);
      if (!socket) return socket.error();
      sockets_[i] = std::move(*socket);
      if (const Status added = watch(EPOLL_CTL_ADD, i, EPOLLOUT); !added) return added;
    }
    connected_.resize(sockets_.size());
    const auto limit = SteadyClock::now() + kSetUp;
    while (connected_count_ < sockets_.size()) {
      if (SteadyClock::now() > limit) return Error(Code::kTimeout, "not all connections could be made in 10 s");
      if (const Status went = round(); !went) return went;
    }
    const auto first = received();
    return first ? Status() : first.error();
  }

  /// Ends at the first connection that breaks.
  Status run_until(SteadyClock::time_point end) {
    while (SteadyClock::now() < end) {
      if (const Status went = round(); !went) return went;
    }
    return {};
  }

  /// The bytes go on meanwhile.
  Result<Received> received() {
    if (download_) return Received{taken_, std::chrono::nanoseconds(SteadyClock::now().time_since_epoch()).count()};
    answered_ = 0;
    if (::send(sockets_.back().get(), &kQuestion, 1, MSG_NOSIGNAL) != 1) return Error::system("asking", errno);
    const auto limit = SteadyClock::now() + kAnswer;
    while (answered_ < answer_.size()) {
      if (SteadyClock::now() > limit) return Error(Code::kTimeout, "the server does not say what it received");
      if (const Status went = round(); !went) return went.error();
    }
    Received out{};
    std::memcpy(&out, answer_.data(), sizeof out);
    return out;
  }

  void close() {
    for (Fd& each : sockets_) close_now(each);
  }

 private:
  bool asks(std::size_t i) const { return !download_ && i + 1 == sockets_.size(); }

  Status watch(int operation, std::size_t i, std::uint32_t events) {
    epoll_event event{.events = events, .data = {.u64 = i}};
    if (::epoll_ctl(epoll_.get(), operation, sockets_[i].get(), &event) != 0) return Error::system("epoll_ctl", errno);
    return {};
  }

  Status round() {
    std::array<epoll_event, 64> events{};
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 5);
    for (int i = 0; i < count; ++i) {
      if (const Status went = step(events[static_cast<std::size_t>(i)].data.u64); !went) return went;
    }
    return {};
  }

  Status step(std::size_t i) {
    if (!connected_[i]) return begin(i);
    const int socket = sockets_[i].get();
    if (asks(i)) {
      const ssize_t got = ::recv(socket, answer_.data() + answered_, answer_.size() - answered_, 0);
      if (got > 0) answered_ += static_cast<std::size_t>(got);
      return outcome("receiving the answer", got);
    }
    if (!download_) return outcome("sending", ::send(socket, buffer_.data(), buffer_.size(), MSG_NOSIGNAL));
    const ssize_t got = ::recv(socket, buffer_.data(), buffer_.size(), 0);
    if (got > 0) taken_ += static_cast<std::uint64_t>(got);
    return outcome("receiving", got);
  }

  Status begin(std::size_t i) {
    const int socket = sockets_[i].get();
    if (const int error = connect_error(socket)) return Error::system("connecting", error);
    if (!asks(i) && ::send(socket, download_ ? &kDownload : &kUpload, 1, MSG_NOSIGNAL) != 1)
      return Error::system("sending", errno);
    connected_[i] = true;
    ++connected_count_;
    return download_ || asks(i) ? watch(EPOLL_CTL_MOD, i, EPOLLIN) : Status();
  }

  static Status outcome(const char* what, ssize_t moved) {
    if (moved > 0 || (moved < 0 && errno == EAGAIN)) return {};
    return Error::system(what, moved == 0 ? ECONNRESET : errno);
  }

  const bool download_;
  const Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Fd> sockets_;  ///< of an upload the last one asks
  std::vector<bool> connected_;
  std::size_t connected_count_ = 0;
  std::vector<char> buffer_ = std::vector<char>(kBulkBytes);
  std::uint64_t taken_ = 0;
  std::array<char, sizeof(Received)> answer_{};
  std::size_t answered_ = 0;  ///< bytes of it
};

}  // namespace

Result<nlohmann::json> bulk(const net::Endpoint& to, bool download, unsigned streams, std::chrono::milliseconds time) {
  Bulk load(streams, download);
  if (const Status opened = load.open(to); !opened) return opened.error();
  if (const Status warm = load.run_until(SteadyClock::now() + kWarmUp); !warm) return warm.error();
  const auto before = load.received();
  if (!before) return before.error();
  const double busy_before = machine_busy_seconds();
  if (const Status went = load.run_until(SteadyClock::now() + time); !went) return went.error();
  const auto after = load.received();
  if (!after) return after.error();
  const double busy = machine_busy_seconds() - busy_before;
  load.close();
  const auto bytes = after->bytes - before->bytes;
  const double seconds = static_cast<double>(after->steady_ns - before->steady_ns) / 1e9;
  return nlohmann::json{{"bytes", bytes},
                        {"seconds", seconds},
                        {"gbit_s", static_cast<double>(bytes) * 8 / 1e9 / seconds},
                        {"busy_s", busy}};
}

}  // namespace nfr::load
