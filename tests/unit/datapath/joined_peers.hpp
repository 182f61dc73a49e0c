// SPDX-License-Identifier: GPL-2.0-only
// Two peers with a pair between them over loopback TCP; what the tests of Pair begin with.
#pragma once

#include "datapath/pair.hpp"
#include "harness/loopback.hpp"
#include "transport/raw_endpoint.hpp"

namespace nfr::datapath {

struct JoinedPeers {
  /// How a pair is made; the rest of it is the same for all tests.
  struct Options {
    int visitor_buffer = 0;  ///< of the sockets, bytes; 0: the kernel's
    int target_buffer = 0;
    Millis idle{0};
  };

  /// Fresh connections and a pair over them, not started. What each peer sends, the other expects.
  void join(io::Loop& loop, const Options& options, PairEvents& events) {
    test::TcpPair left = test::tcp_pair(options.visitor_buffer);
    test::TcpPair right = test::tcp_pair(options.target_buffer);
    visitor_socket = left.ours.get();
    target_socket = right.ours.get();
    visitor = test::Peer{.fd = std::move(left.theirs), .send_seed = 1, .receive_seed = 2};
    target = test::Peer{.fd = std::move(right.theirs), .send_seed = 2, .receive_seed = 1};
    const auto adopt = [&](Fd socket) { return transport::RawEndpoint::adopt(loop, std::move(socket)); };
    pair = std::make_unique<Pair>(loop, adopt(std::move(left.ours)), adopt(std::move(right.ours)), counters,
                                  options.idle, events);
  }

  /// Goes on with plain calls where a released pair stopped, until the target has received so many bytes in all.
  void move_by_hand(ReleasedPair& given, std::uint64_t bytes) {
    std::size_t at = 0;
    std::vector<std::byte>& moving = given.to_target.held;
    while (target.received < bytes) {
      visitor.step_send();
      target.step_receive();
      ASSERT_FALSE(target.over() || target.corrupt);
      if (at < moving.size()) {
        const ssize_t sent = ::send(given.target.get(), moving.data() + at, moving.size() - at, MSG_DONTWAIT);
        if (sent > 0) at += static_cast<std::size_t>(sent);
        continue;
      }
      moving.resize(65536);
      const ssize_t got = ::recv(given.visitor.get(), moving.data(), moving.size(), MSG_DONTWAIT);
      moving.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      at = 0;
    }
  }

  test::Peer visitor;
  test::Peer target;
  int visitor_socket = -1;  ///< the pair's ends
  int target_socket = -1;
  std::shared_ptr<core::FlowCounters> counters = std::make_shared<core::FlowCounters>();
  std::unique_ptr<Pair> pair;
};

}  // namespace nfr::datapath
