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

  test::Peer visitor;
  test::Peer target;
  int visitor_socket = -1;  ///< the pair's ends
  int target_socket = -1;
  std::shared_ptr<core::FlowCounters> counters = std::make_shared<core::FlowCounters>();
  std::unique_ptr<Pair> pair;
};

}  // namespace nfr::datapath
