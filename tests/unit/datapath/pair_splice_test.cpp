// SPDX-License-Identifier: GPL-2.0-only
// A pair whose directions are worth splicing: every byte and every end as without, pipes lent only while bytes wait.
#include "unit/datapath/joined_peers.hpp"

namespace nfr::datapath {
namespace {

using core::FlowEnd;
using namespace std::chrono_literals;

// More than the buffers of four sockets take.
const std::uint64_t kMany = test::scaled(48, 24) * 1024ULL * 1024;
// Enough for a pipe to be lent again and again.
const std::uint64_t kSome = test::scaled(48, 8) * 1024ULL * 1024;

class SpliceTest : public test::LoopbackTest, public JoinedPeers, public PairEvents {
 protected:
  void open(int buffer = 0) {
    end.reset();
    join(*loop, {buffer, buffer, 0ms}, *this);
    pair->start();
  }
  void TearDown() override {
    if (pair && !end) pair->cut(FlowEnd::kShutdown);
    EXPECT_TRUE(until([&] { return !pair || end; }));
    pair.reset();
    EXPECT_FALSE(visitor.corrupt || target.corrupt);
    EXPECT_EQ(loop->pipes().lent_count(), 0U);
    EXPECT_EQ(loop->statistics().outstanding, 0U);
  }
  void on_pair_ended(FlowEnd why) override { end = why; }
  void on_pair_rested() override { rested = true; }

  bool run(const std::function<bool()>& condition) { return until(condition, {&visitor, &target}); }
  /// Until the pair has used a pipe.
  void get_going() {
    const auto lends = loop->pipes().lends();
    ASSERT_TRUE(run([&] { return loop->pipes().lends() > lends + 3; }));
  }

  std::optional<FlowEnd> end;
  bool rested = false;
};

TEST_F(SpliceTest, EveryByteBothWaysAndBothEnds) {
  open();
  visitor.to_send = target.to_send = kSome;
  visitor.fin_after = target.fin_after = true;
  get_going();
  ASSERT_TRUE(run([&] { return end && visitor.over() && target.over(); }));
  EXPECT_EQ(*end, FlowEnd::kFinished);
  EXPECT_EQ(visitor.received, kSome);
  EXPECT_EQ(target.received, kSome);
  EXPECT_EQ(counters->in_bytes.load(), kSome);
  EXPECT_EQ(counters->out_bytes.load(), kSome);
}

TEST_F(SpliceTest, SmallPiecesAreCopied) {
  open();
  visitor.to_send = 2'000'000;
  visitor.send_chunk = 1000;
  ASSERT_TRUE(run([&] { return target.received == visitor.to_send; }));
  EXPECT_EQ(loop->pipes().lends(), 0U);
}

TEST_F(SpliceTest, WhenPiecesBecomeSmallTheyAreCopiedAgain) {
  open();
  visitor.to_send = kSome;
  get_going();
  ASSERT_TRUE(run([&] { return target.received == kSome; }));
  visitor.send_chunk = 100;
  visitor.to_send += 100'000;
  ASSERT_TRUE(run([&] { return target.received == visitor.to_send; }));
  const auto lends = loop->pipes().lends();
  visitor.to_send += 100'000;
  ASSERT_TRUE(run([&] { return target.received == visitor.to_send; }));
  EXPECT_EQ(loop->pipes().lends(), lends);
}

TEST_F(SpliceTest, AStuckReaderHoldsNoPipeForLongAndGetsEveryByte) {
  open();
  visitor.to_send = kMany;
  visitor.fin_after = true;
  get_going();
  target.reading = false;
  const auto lends = loop->pipes().lends();
  // Its bytes are private memory after the stall limit.
  ASSERT_TRUE(run([&] { return loop->pipes().lent_count() > 0 || loop->pipes().lends() > lends; }));
  ASSERT_TRUE(run([&] { return pair->held_to_target() > 0 && loop->pipes().lent_count() == 0; }));
  settle(300ms);
  target.reading = true;
  ASSERT_TRUE(run([&] { return target.eof; }));
  EXPECT_EQ(target.received, kMany);
}

// A ring says of a poll for room that the peer has ended its own direction, at once and for ever.
TEST_F(SpliceTest, AStuckReaderThatHasEndedItsDirectionCostsNothing) {
  open();
  target.fin_after = true;
  visitor.to_send = kMany;
  get_going();
  target.reading = false;
  ASSERT_TRUE(run([&] { return pair->held_to_target() > 0 && loop->pipes().lent_count() == 0; }));
  settle(100ms);
  const auto before = loop->statistics();
  settle(300ms);
  EXPECT_LT(loop->statistics().completions - before.completions, 50U);
  target.reading = true;
  ASSERT_TRUE(run([&] { return target.received == kMany; }));
}

TEST_F(SpliceTest, TheIdleTimeoutOfAStuckReaderThatHasEndedItsDirection) {
  join(*loop, {0, 0, 500ms}, *this);
  pair->start();
  target.fin_after = true;
  visitor.to_send = kMany;
  get_going();
  target.reading = false;
  ASSERT_TRUE(run([&] { return end.has_value(); }));
  EXPECT_EQ(*end, FlowEnd::kIdle);
}

// splice(2) stops in front of an urgent byte and says that there is nothing; a receive steps over it.
TEST_F(SpliceTest, AnUrgentByteDoesNotStopTheStream) {
  open();
  visitor.to_send = kSome;
  get_going();
  ASSERT_TRUE(run([&] { return target.received == kSome; }));
  ASSERT_EQ(::send(visitor.fd.get(), "!", 1, MSG_OOB), 1);
  ASSERT_EQ(::send(visitor.fd.get(), "after", 5, 0), 5);
  target.reading = false;
  std::string rest;
  char bytes[16];
  ASSERT_TRUE(until([&] {
    const ssize_t got = ::recv(target.fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) rest.append(bytes, static_cast<std::size_t>(got));
    return rest.size() >= 5;
  }));
  EXPECT_EQ(rest, "after");
  const auto before = loop->statistics();
  settle(200ms);
  EXPECT_LT(loop->statistics().completions - before.completions, 20U);
}

TEST_F(SpliceTest, WithoutAPipeBytesAreCopied) {
  std::vector<std::unique_ptr<io::Pipe>> taken;
  while (auto pipe = loop->pipes().lend()) taken.push_back(std::move(pipe));
  const auto lends = loop->pipes().lends();
  open();
  visitor.to_send = 8'000'000;
  ASSERT_TRUE(run([&] { return target.received == visitor.to_send; }));
  EXPECT_EQ(loop->pipes().lends(), lends);
  for (auto& pipe : taken) loop->pipes().give_back(std::move(pipe));
}

// What a peer said before its RST is still delivered while the pair goes on reading.
TEST_F(SpliceTest, ResetsInTheMiddleEndBothAndLoseNoPipe) {
  for (int i = 0, turns = static_cast<int>(test::scaled(30, 6)); i < turns; ++i) {
    open();
    visitor.to_send = target.to_send = kMany;
    get_going();
    test::Peer& broken = i % 2 == 0 ? visitor : target;
    test::Peer& other = i % 2 == 0 ? target : visitor;
    other.reading = i % 3 != 0;  // so that bytes wait in the pipe now and then
    for (int rounds = 0; rounds < i; ++rounds) visitor.step(), target.step(), loop->run_once(0ms);
    broken.reset();
    ASSERT_TRUE(until([&] { return end.has_value(); }, {&other}));
    other.reading = true;
    ASSERT_TRUE(until([&] { return other.over(); }, {&other}));
    EXPECT_EQ(*end, i % 2 == 0 ? FlowEnd::kVisitorReset : FlowEnd::kAgentReset);
    EXPECT_EQ(other.error, ECONNRESET);
    EXPECT_EQ(loop->pipes().lent_count(), 0U);
    pair.reset();
  }
}

TEST_F(SpliceTest, ItRestsAtRandomMomentsAndGoesOn) {
  open();
  visitor.to_send = target.to_send = kMany;
  get_going();
  std::mt19937 random(11);
  unsigned in_pipe = 0;
  while (visitor.received < kMany || target.received < kMany) {
    for (auto rounds = random() % 20; rounds > 0; --rounds) {
      visitor.reading = random() % 3 != 0;
      target.reading = random() % 3 != 0;
      visitor.step();
      target.step();
      loop->run_once(0ms);
    }
    rested = false;
    ASSERT_TRUE(pair->rest());
    ASSERT_TRUE(run([&] { return rested || end; }));
    ASSERT_FALSE(end);
    EXPECT_EQ(loop->statistics().outstanding, 0U);
    if (loop->pipes().lent_count() > 0) ++in_pipe;
    const std::size_t held = pair->held_to_target() + pair->held_to_visitor();
    visitor.step();
    target.step();
    EXPECT_EQ(pair->held_to_target() + pair->held_to_visitor(), held);
    pair->resume();
  }
  EXPECT_GT(in_pipe, 0U);
}

TEST_F(SpliceTest, AReleasedPairGivesWhatWasInItsPipes) {
  unsigned in_pipe = 0;
  for (unsigned i = 0; i < test::scaled(20, 3); ++i) {
    open();
    visitor.to_send = kMany;
    get_going();
    target.reading = false;
    ASSERT_TRUE(run([&] { return loop->pipes().lent_count() > 0; }));
    rested = false;
    ASSERT_TRUE(pair->rest());
    ASSERT_TRUE(run([&] { return rested; }));
    in_pipe += loop->pipes().lent_count() > 0 ? 1 : 0;
    const std::size_t held = pair->held_to_target();
    ReleasedPair given = pair->release();
    EXPECT_EQ(given.to_target.held.size(), held);
    EXPECT_EQ(loop->pipes().lent_count(), 0U);
    pair.reset();
    target.reading = true;
    move_by_hand(given, target.received + held + (4U << 20));
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(in_pipe, 0U);
}

}  // namespace
}  // namespace nfr::datapath
