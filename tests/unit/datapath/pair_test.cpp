// SPDX-License-Identifier: GPL-2.0-only
// Pair between two TCP connections: exact bytes, every way a flow can end, and what it costs meanwhile. The peers
// check each byte at its offset; a receiver may see all bytes and EOF, or a prefix and an error, nothing else.
#include <sys/wait.h>

#include <csignal>

#include "unit/datapath/joined_peers.hpp"

namespace nfr::datapath {
namespace {

using core::FlowEnd;
using test::Peer;
using transport::RawEndpoint;
using namespace std::chrono_literals;

/// One flow: visitor peer -- pair -- target peer.
struct Flow final : JoinedPeers, PairEvents {
  void open(io::Loop& loop, int buffer = 0, Millis idle = 0ms) {
    join(loop, {buffer, buffer, idle}, *this);
    pair->start();
  }
  void on_pair_ended(FlowEnd why) override {
    EXPECT_FALSE(end.has_value());
    end = why;
    pair.reset();
  }

  std::optional<FlowEnd> end;
};

class PairTest : public test::LoopbackTest {
 protected:
  void TearDown() override {
    if (flow.pair) flow.pair->cut(FlowEnd::kShutdown);
    EXPECT_TRUE(until([&] { return !flow.pair; }));
    EXPECT_FALSE(flow.visitor.corrupt);
    EXPECT_FALSE(flow.target.corrupt);
  }
  bool run(const std::function<bool()>& condition) { return until(condition, {&flow.visitor, &flow.target}); }
  bool run_to_end() {
    return run([&] {
      const bool visitor_over = flow.visitor.over() || !flow.visitor.fd.valid();
      const bool target_over = flow.target.over() || !flow.target.fd.valid();
      return flow.end.has_value() && visitor_over && target_over;
    });
  }
  Flow flow;
};

TEST_F(PairTest, ZeroBytesBothEnd) {
  flow.open(*loop);
  flow.visitor.fin_after = flow.target.fin_after = true;
  ASSERT_TRUE(run_to_end());
  EXPECT_EQ(*flow.end, FlowEnd::kFinished);
  EXPECT_TRUE(flow.visitor.eof && flow.target.eof);
}

TEST_F(PairTest, VisitorEndsFirst) {
  flow.open(*loop);
  flow.visitor.to_send = 100'000;
  flow.visitor.fin_after = true;
  ASSERT_TRUE(run([&] { return flow.target.eof; }));
  EXPECT_EQ(flow.target.received, 100'000U);
  EXPECT_FALSE(flow.visitor.over());
  flow.target.to_send = 200'000;
  flow.target.fin_after = true;
  ASSERT_TRUE(run_to_end());
  EXPECT_EQ(*flow.end, FlowEnd::kFinished);
  EXPECT_TRUE(flow.visitor.eof);
  EXPECT_EQ(flow.visitor.received, 200'000U);
  EXPECT_EQ(flow.counters->in_bytes.load(), 100'000U);
  EXPECT_EQ(flow.counters->out_bytes.load(), 200'000U);
}

TEST_F(PairTest, TargetEndsFirst) {
  flow.open(*loop);
  flow.target.to_send = 1;
  flow.target.fin_after = true;
  ASSERT_TRUE(run([&] { return flow.visitor.eof; }));
  flow.visitor.to_send = 300'000;
  flow.visitor.fin_after = true;
  ASSERT_TRUE(run_to_end());
  EXPECT_EQ(*flow.end, FlowEnd::kFinished);
  EXPECT_EQ(flow.target.received, 300'000U);
}

TEST_F(PairTest, BigBothWaysAtOnceWithRandomChunksAndASlowReader) {
  flow.open(*loop);
  constexpr std::uint64_t kBytes = 24ULL * 1024 * 1024;
  std::mt19937 random(42);
  flow.visitor.to_send = flow.target.to_send = kBytes;
  flow.visitor.fin_after = flow.target.fin_after = true;
  const auto limit = std::chrono::steady_clock::now() + 100s;
  while (!(flow.end && flow.visitor.over() && flow.target.over()) && std::chrono::steady_clock::now() < limit) {
    for (Peer* peer : {&flow.visitor, &flow.target}) {
      peer->send_chunk = 1 + random() % (random() % 8 == 0 ? 100 : 300'000);
      peer->receive_chunk = 1 + random() % 300'000;
    }
    flow.visitor.reading = random() % 4 == 0;
    flow.visitor.step();
    flow.target.step();
    loop->run_once(0ms);
  }
  ASSERT_TRUE(flow.end.has_value());
  EXPECT_EQ(*flow.end, FlowEnd::kFinished);
  EXPECT_TRUE(flow.visitor.eof && flow.target.eof);
  EXPECT_EQ(flow.visitor.received, kBytes);
  EXPECT_EQ(flow.target.received, kBytes);
  EXPECT_EQ(flow.counters->in_bytes.load(), kBytes);
}

TEST_F(PairTest, RstOfEitherSideReachesTheOther) {
  for (const bool by_visitor : {true, false}) {
    flow = Flow();
    flow.open(*loop);
    settle(5ms);
    (by_visitor ? flow.visitor : flow.target).reset();
    ASSERT_TRUE(run_to_end());
    EXPECT_EQ(*flow.end, by_visitor ? FlowEnd::kVisitorReset : FlowEnd::kAgentReset);
    EXPECT_EQ((by_visitor ? flow.target : flow.visitor).error, ECONNRESET);
  }
}

TEST_F(PairTest, RstAfterHalfCloseOfEitherSide) {
  for (const bool reset_by_visitor : {true, false}) {
    for (const bool closed_by_visitor : {true, false}) {
      flow = Flow();
      flow.open(*loop);
      Peer& closer = closed_by_visitor ? flow.visitor : flow.target;
      Peer& other = closed_by_visitor ? flow.target : flow.visitor;
      closer.to_send = 10;
      closer.fin_after = true;
      ASSERT_TRUE(run([&] { return other.eof; }));
      Peer& resetter = reset_by_visitor ? flow.visitor : flow.target;
      resetter.reset();
      ASSERT_TRUE(run([&] { return flow.end.has_value(); }));
      EXPECT_EQ(*flow.end, reset_by_visitor ? FlowEnd::kVisitorReset : FlowEnd::kAgentReset);
      Peer& left = reset_by_visitor ? flow.target : flow.visitor;
      // Whoever had read EOF already cannot read the RST, but poll and SO_ERROR tell it.
      int error = 0;
      socklen_t length = sizeof error;
      ASSERT_TRUE(run([&] {
        if (left.error != 0) return true;
        ::getsockopt(left.fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        return error != 0;
      }));
    }
  }
}

TEST_F(PairTest, RstUnderBackPressureEitherWay) {
  for (const bool by_sender : {true, false}) {
    flow = Flow();
    flow.open(*loop, 16384);
    flow.visitor.to_send = 1ULL << 40;
    flow.target.reading = false;
    ASSERT_TRUE(run([&] { return flow.visitor.sent > 50'000; }));
    for (int i = 0; i < 50; ++i) flow.visitor.step(), loop->run_once(1ms);
    const auto before = std::chrono::steady_clock::now();
    (by_sender ? flow.visitor : flow.target).reset();
    ASSERT_TRUE(until([&] { return flow.end.has_value(); }));
    EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
    EXPECT_EQ(*flow.end, by_sender ? FlowEnd::kVisitorReset : FlowEnd::kAgentReset);
    flow.target.reading = true;
    Peer& left = by_sender ? flow.target : flow.visitor;
    ASSERT_TRUE(until([&] { return left.over(); }, {&left}));
    EXPECT_EQ(left.error, ECONNRESET);
    EXPECT_FALSE(left.eof);
  }
}

TEST_F(PairTest, BytesBeforeAnRstArriveWhereNothingBlocks) {
  flow.open(*loop);
  flow.visitor.to_send = 50'000;
  while (flow.visitor.sent < flow.visitor.to_send) flow.visitor.step_send();
  flow.visitor.reset();
  ASSERT_TRUE(run_to_end());
  EXPECT_EQ(flow.target.received, 50'000U);
  EXPECT_EQ(flow.target.error, ECONNRESET);
}

TEST_F(PairTest, CutInEveryState) {
  for (int state = 0; state < 4; ++state) {
    flow = Flow();
    flow.open(*loop, 16384);
    if (state == 1) flow.visitor.to_send = 1ULL << 40;
    if (state == 2) flow.target.reading = false, flow.visitor.to_send = 1ULL << 40;
    if (state == 3) flow.visitor.fin_after = true;
    for (int i = 0; i < 30; ++i) flow.visitor.step(), flow.target.step(), loop->run_once(1ms);
    flow.pair->cut(FlowEnd::kCut);
    EXPECT_FALSE(flow.end.has_value());
    flow.target.reading = true;
    ASSERT_TRUE(run_to_end()) << state;
    EXPECT_EQ(*flow.end, FlowEnd::kCut);
    EXPECT_EQ(flow.visitor.error, ECONNRESET) << state;
    if (state != 3) {
      EXPECT_EQ(flow.target.error, ECONNRESET) << state;
    }
  }
}

TEST_F(PairTest, IdleTimeoutCountsFromTheLastByte) {
  flow.open(*loop, 0, 200ms);
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 4; ++i) {
    flow.visitor.to_send += 10;
    ASSERT_TRUE(run([&] { return flow.target.received == flow.visitor.to_send; }));
    settle(80ms);
  }
  EXPECT_FALSE(flow.end.has_value());
  ASSERT_TRUE(run_to_end());
  EXPECT_EQ(*flow.end, FlowEnd::kIdle);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 440ms);
  EXPECT_EQ(flow.visitor.error, ECONNRESET);
  EXPECT_EQ(flow.target.error, ECONNRESET);
}

TEST_F(PairTest, NeverReadingReceiversDoNotStarveOtherFlows) {
  make({.entries = 256, .buffer_count = 4, .buffer_bytes = 65536});
  std::vector<std::unique_ptr<Flow>> stuck;
  for (int i = 0; i < 12; ++i) {
    stuck.push_back(std::make_unique<Flow>());
    stuck.back()->open(*loop, 16384);
    stuck.back()->visitor.to_send = 1ULL << 40;
    stuck.back()->target.reading = false;
  }
  for (int i = 0; i < 100; ++i) {
    for (auto& each : stuck) each->visitor.step();
    loop->run_once(1ms);
  }
  flow.open(*loop);
  flow.visitor.to_send = flow.target.to_send = 8'000'000;
  flow.visitor.fin_after = flow.target.fin_after = true;
  ASSERT_TRUE(run_to_end());
  EXPECT_EQ(*flow.end, FlowEnd::kFinished);
  for (auto& each : stuck) {
    EXPECT_FALSE(each->end.has_value());
    each->pair->cut(FlowEnd::kShutdown);
  }
  EXPECT_TRUE(until([&] { return std::ranges::all_of(stuck, [](auto& each) { return each->end.has_value(); }); }));
}

/// What is written towards a visitor that has reset must not keep the buffer without which the reset cannot be read.
TEST_F(PairTest, ManyResetsAtOnceWithFewBuffers) {
  make({.entries = 256, .buffer_count = 2, .buffer_bytes = 4096});
  std::vector<std::unique_ptr<Flow>> flows;
  for (int i = 0; i < 40; ++i) {
    flows.push_back(std::make_unique<Flow>());
    flows.back()->open(*loop);
  }
  settle(5ms);
  for (auto& each : flows) {
    each->target.to_send = 1;
    each->target.step_send();
  }
  for (auto& each : flows) each->visitor.reset();
  EXPECT_TRUE(until([&] { return std::ranges::all_of(flows, [](auto& each) { return each->end.has_value(); }); }));
  for (auto& each : flows) EXPECT_EQ(each->end, FlowEnd::kVisitorReset);
}

/// The child holds the pair; both peers stay here.
TEST_F(PairTest, AKilledProcessIsAnErrorForBothEnds) {
  for (const bool half_closed : {false, true}) {
    test::TcpPair left = test::tcp_pair();
    test::TcpPair right = test::tcp_pair();
    Peer visitor{.fd = std::move(left.theirs), .send_seed = 1, .receive_seed = 2, .to_send = 40'000};
    Peer target{.fd = std::move(right.theirs), .send_seed = 2, .receive_seed = 1, .to_send = 30'000};
    visitor.fin_after = half_closed;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      visitor.fd.reset();
      target.fd.reset();
      auto own = io::Loop::create({.entries = 64, .buffer_count = 8});
      if (!own) ::_exit(1);
      Flow held;
      held.pair = std::make_unique<Pair>(**own, RawEndpoint::adopt(**own, std::move(left.ours)),
                                         RawEndpoint::adopt(**own, std::move(right.ours)), held.counters, 0ms, held);
      held.pair->start();
      (*own)->run();
      ::_exit(0);
    }
    left.ours.reset();
    right.ours.reset();
    ASSERT_TRUE(until([&] { return target.received == 40'000 && visitor.received == 30'000; }, {&visitor, &target}));
    if (half_closed) {
      ASSERT_TRUE(until([&] { return target.eof; }, {&visitor, &target}));
    }
    EXPECT_FALSE(visitor.over());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(until([&] { return visitor.over() && target.over(); }, {&visitor, &target}));
    EXPECT_EQ(visitor.error, ECONNRESET);
    EXPECT_FALSE(visitor.eof);
    if (!half_closed) {
      EXPECT_EQ(target.error, ECONNRESET);
    }
    EXPECT_FALSE(visitor.corrupt || target.corrupt);
  }
}

/// Sizes, chunks, half-closes, resets and cuts as the seed has it; no descriptor and no lease is left over (the
/// loop asserts the latter when it goes).
TEST_F(PairTest, ManyRandomFlows) {
  loop->run_once(0ms);
  const int descriptors = test::open_descriptors();
  for (unsigned seed = 0; seed < test::scaled(1000, 48); ++seed) {
    std::mt19937 random(seed);
    Flow each;
    each.open(*loop, random() % 3 == 0 ? 8192 : 0);
    const auto ending = random() % 6;  // 0..2 in order, 3 visitor resets, 4 target resets, 5 cut
    for (Peer* peer : {&each.visitor, &each.target}) {
      peer->to_send = random() % 4 == 0 ? 0 : random() % 60'000;
      // Small chunks are wanted, tens of thousands of rounds are not.
      peer->send_chunk = 300 + random() % 20'000;
      peer->receive_chunk = 300 + random() % 20'000;
      peer->fin_after = ending < 3 || random() % 2 == 0;
    }
    const auto disturbed_at = random() % 12;
    const auto limit = std::chrono::steady_clock::now() + 20s;
    for (unsigned round = 0; !each.end && std::chrono::steady_clock::now() < limit; ++round) {
      each.visitor.step();
      each.target.step();
      if (round == disturbed_at && ending == 3) each.visitor.reset();
      if (round == disturbed_at && ending == 4) each.target.reset();
      if (round == disturbed_at && ending == 5 && each.pair) each.pair->cut(FlowEnd::kCut);
      loop->run_once(round < 16 ? 0ms : 1ms);
    }
    ASSERT_TRUE(each.end.has_value()) << "seed " << seed;
    ASSERT_TRUE(until(
        [&] {
          return (each.visitor.over() || !each.visitor.fd.valid()) && (each.target.over() || !each.target.fd.valid());
        },
        {&each.visitor, &each.target}))
        << "seed " << seed;
    for (const auto& [from, to] : {std::pair(&each.visitor, &each.target), std::pair(&each.target, &each.visitor)}) {
      EXPECT_FALSE(to->corrupt) << "seed " << seed;
      if (to->eof) {
        EXPECT_TRUE(from->fin_sent && to->received == from->to_send) << "seed " << seed;
      }
    }
    if (ending < 3) {
      EXPECT_EQ(*each.end, FlowEnd::kFinished) << "seed " << seed;
    }
    if (ending < 3) {
      EXPECT_TRUE(each.visitor.eof && each.target.eof) << "seed " << seed;
    }
  }
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

}  // namespace
}  // namespace nfr::datapath
