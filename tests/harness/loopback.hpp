// SPDX-License-Identifier: GPL-2.0-only
// Loopback TCP for tests of endpoints and pairs: a loop with bounded waits, connected sockets, and a Peer that sends
// and checks an offset-addressable sequence. Everything runs on the test's own thread. RST needs real TCP, so no
// socketpairs here.
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "harness/chaos_loop.hpp"
#include "harness/scale.hpp"
#include "io/loop.hpp"
#include "net/address.hpp"
#include "net/tcp_options.hpp"
#include "transport/endpoint.hpp"

namespace nfr::test {

using namespace std::chrono_literals;

struct TcpPair {
  Fd ours;    // to be adopted
  Fd theirs;  // the peer's end
};

inline Fd listen_on_loopback(net::Endpoint& address, bool v6 = false) {
  address = *net::Endpoint::parse(v6 ? "[::1]:1" : "127.0.0.1:1");
  address.port.value = 0;
  sockaddr_storage storage{};
  socklen_t length = address.to_sockaddr(storage);
  Fd listener(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  EXPECT_EQ(::listen(listener.get(), 512), 0);
  EXPECT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&storage), &length), 0);
  address = net::Endpoint::from_sockaddr(storage);
  return listener;
}

inline Fd connect_to(const net::Endpoint& address) {
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  return fd;
}

inline void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

/// `buffer` > 0 makes the send buffers and the far receive buffer small, so that back-pressure comes early. Not our
/// receive buffer: below a segment of the loopback device every byte would wait for a timer.
inline TcpPair tcp_pair(int buffer = 0, bool v6 = false) {
  net::Endpoint address;
  const Fd listener = listen_on_loopback(address, v6);
  EXPECT_EQ(net::set_options(listener.get()), 0);  // as what the programs accept
  if (buffer > 0) ::setsockopt(listener.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  TcpPair pair;
  pair.theirs = connect_to(address);
  pair.ours.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (buffer > 0) ::setsockopt(pair.theirs.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  if (buffer > 0) ::setsockopt(pair.theirs.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  set_nonblocking(pair.theirs.get());
  return pair;
}

/// Closing sends RST.
inline void reset_on_close(int fd) {
  const linger value{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

inline void close_with_reset(Fd& fd) {
  reset_on_close(fd.get());
  fd.reset();
}

inline int open_descriptors() {
  DIR* directory = ::opendir("/proc/self/fd");
  int count = 0;
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

/// The eight bytes every stream of `seed` has at `index` * 8.
inline std::uint64_t sequence_word(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t x = (seed * 0x9E3779B97F4A7C15U) ^ index;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

/// What a stream of `seed` has from `offset` on; made and compared in whole words, which is what these tests do most.
inline std::string sequence(std::uint64_t seed, std::uint64_t offset, std::size_t count) {
  const std::uint64_t first = offset / 8;
  std::vector<std::uint64_t> words((offset + count + 7) / 8 - first);
  std::uint64_t* const begin = words.data();
  for (std::size_t i = 0, size = words.size(); i < size; ++i) begin[i] = sequence_word(seed, first + i);
  return {reinterpret_cast<const char*>(begin) + offset % 8, count};
}

/// Some of a sequence, made ahead: a full socket takes few bytes or none of what it is offered, again and again.
struct SequenceAhead {
  std::string bytes;
  std::uint64_t seed = 0;
  std::uint64_t begin = 0;

  std::string_view get(std::uint64_t of, std::uint64_t offset, std::size_t count) {
    if (seed != of || offset < begin || offset + count > begin + bytes.size()) {
      seed = of;
      begin = offset;
      bytes = sequence(of, offset, 4 * count);
    }
    return std::string_view(bytes).substr(offset - begin, count);
  }
};

/// The far end of a connection. step() moves some bytes without blocking; every received byte is checked at its
/// offset. What it wants to send is `to_send` bytes of `send_seed`, then FIN if `fin_after`.
struct Peer {
  Fd fd;
  std::uint64_t send_seed = 1;
  std::uint64_t receive_seed = 2;
  std::uint64_t to_send = 0;
  std::size_t send_chunk = 65536;
  std::size_t receive_chunk = 65536;
  bool fin_after = false;
  bool reading = true;

  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  bool fin_sent = false;
  bool eof = false;
  int error = 0;
  int broken = 0;  // met by a send
  bool corrupt = false;
  SequenceAhead ahead{};

  bool over() const { return eof || error != 0; }

  void step() {
    if (!fd.valid()) return;
    step_send();
    if (reading) step_receive();
  }

  void step_send() {
    if (error != 0 || fin_sent) return;
    if (sent < to_send) {
      const auto chunk = static_cast<std::size_t>(std::min<std::uint64_t>(to_send - sent, send_chunk));
      const std::string_view bytes = ahead.get(send_seed, sent, chunk);
      const ssize_t got = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (got > 0) sent += static_cast<std::uint64_t>(got);
      // Received bytes may still be there, so only a receive says where the stream ended; but the error is reported
      // once, and the receive behind it returns 0.
      if (got < 0 && errno != EAGAIN) broken = errno == EPIPE ? ECONNRESET : errno;
    } else if (fin_after) {
      ::shutdown(fd.get(), SHUT_WR);
      fin_sent = true;
    }
  }

  void step_receive() {
    if (over()) return;
    std::vector<std::byte> buffer(receive_chunk);
    const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0 && broken != 0) error = broken;
    if (got == 0 && broken == 0) eof = true;
    if (got < 0 && errno != EAGAIN) error = errno;
    if (got <= 0) return;
    const auto size = static_cast<std::size_t>(got);
    if (std::memcmp(buffer.data(), sequence(receive_seed, received, size).data(), size) != 0) corrupt = true;
    received += size;
  }

  void reset() { close_with_reset(fd); }
};

/// Records what an endpoint reports; asserts that nothing comes after on_closed.
struct Recorder final : transport::EndpointEvents {
  std::string data;
  bool eof = false;
  int written = 0;
  int copied = 0;
  bool finished = false;
  int error = 0;
  bool closed = false;
  int events = 0;

  void note() {
    EXPECT_FALSE(closed);
    ++events;
  }
  void on_data(std::span<const std::byte> bytes) override {
    note();
    EXPECT_FALSE(bytes.empty());
    data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void on_eof() override { note(), eof = true; }
  void on_written() override { note(), ++written; }
  void on_copied() override { note(), ++copied; }
  void on_finished() override { note(), finished = true; }
  void on_error(int os_errno) override { note(), error = os_errno; }
  void on_closed() override { note(), closed = true; }
};

/// NFR_SEED, or 1.
inline unsigned chaos_seed() {
  const char* seed = std::getenv("NFR_SEED");
  return seed == nullptr ? 1 : static_cast<unsigned>(std::strtoul(seed, nullptr, 10));
}

class LoopbackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as the programs: splice(2) has no MSG_NOSIGNAL
    make({.entries = 256, .buffer_count = 16, .buffer_bytes = 65536});
  }

  /// On the back end that NFR_TEST_IO names; "chaos": on a ChaosLoop.
  void make(io::LoopOptions options) {
    loop.reset();
    const char* choice = std::getenv("NFR_TEST_IO");
    if (choice != nullptr && std::string_view(choice) == "chaos") {
      loop = ChaosLoop::create(options, chaos_seed());
      return;
    }
    if (choice != nullptr) options.choice = *parse_io_choice(choice);
    auto made = io::Loop::create(options);
    ASSERT_TRUE(made.ok()) << made.error().message();
    loop = std::move(*made);
  }

  /// Runs rounds (and the peers) until the condition holds; false after twenty seconds.
  bool until(const std::function<bool()>& condition, std::initializer_list<Peer*> peers = {}) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      for (Peer* peer : peers) peer->step();
      loop->run_once(peers.size() == 0 ? 50ms : 1ms);
    }
    return true;
  }

  /// Lets what is under way arrive; for asserting that nothing more happens.
  void settle(std::chrono::milliseconds time = 60ms) {
    const auto limit = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < limit) loop->run_once(5ms);
  }

  std::unique_ptr<io::Loop> loop;
};

}  // namespace nfr::test
