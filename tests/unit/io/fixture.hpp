// SPDX-License-Identifier: GPL-2.0-only
// What every test of the loop needs: a loop, sockets on loopback, operations that record, a bounded wait.
// Included by tests/unit/io/*_test.cpp only.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "io/loop.hpp"

namespace nfr::io {

using namespace std::chrono_literals;

/// Keeps what became of it; leases are copied out and given back unless told to keep them.
struct Recorder final : Operation {
  std::vector<int> results;
  std::string text;
  std::vector<Lease> leases;
  bool keep_leases = false;
  bool last_more = false;
  std::function<void(Completion&)> then;

  void complete(Completion completion) override {
    results.push_back(completion.result);
    last_more = completion.more;
    const auto bytes = completion.lease.bytes();
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (then) then(completion);
    if (keep_leases) leases.push_back(std::move(completion.lease));
  }
};

struct Pair {
  Fd left;
  Fd right;
};

inline Pair socket_pair() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

struct Listener {
  Fd fd;
  sockaddr_storage address{};
  socklen_t length = sizeof(sockaddr_in);
};

inline Listener listen_loopback(int backlog = 128) {
  Listener listener;
  listener.fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  auto* v4 = reinterpret_cast<sockaddr_in*>(&listener.address);
  v4->sin_family = AF_INET;
  v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* any = reinterpret_cast<sockaddr*>(&listener.address);
  EXPECT_EQ(::bind(listener.fd.get(), any, listener.length), 0);
  EXPECT_EQ(::listen(listener.fd.get(), backlog), 0);
  EXPECT_EQ(::getsockname(listener.fd.get(), any, &listener.length), 0);
  return listener;
}

inline Fd tcp_socket() { return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

/// Blocking; loopback answers from the listen queue.
inline Fd connect_to(const Listener& listener) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&listener.address), listener.length), 0);
  return fd;
}

inline void write_all(int fd, std::string_view text) {
  ASSERT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

class LoopTest : public ::testing::Test {
 protected:
  void SetUp() override { make({.entries = 64, .buffer_count = 8, .buffer_bytes = 4096}); }

  void make(const LoopOptions& options) {
    loop.reset();
    LoopOptions chosen = options;
    if (const char* io = std::getenv("NFR_TEST_IO")) chosen.choice = *parse_io_choice(io);
    auto made = Loop::create(chosen);
    ASSERT_TRUE(made.ok()) << made.error().message();
    loop = std::move(*made);
  }

  /// Runs rounds until the condition holds; false after ten seconds.
  bool until(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      loop->run_once(100ms);
    }
    return true;
  }

  bool until_results(const Recorder& operation, std::size_t count) {
    return until([&] { return operation.results.size() >= count; });
  }

  /// Runs rounds until everything queued so far has been seen by the kernel.
  void settle() {
    for (int i = 0; i < 3; ++i) loop->run_once(0ms);
  }

  std::unique_ptr<Loop> loop;
};

}  // namespace nfr::io
