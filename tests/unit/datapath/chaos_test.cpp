// SPDX-License-Identifier: GPL-2.0-only
// Pairs on a loop whose completions come in any order and whose calls fail: a receiver gets all bytes and EOF, or a
// prefix and an error; both sockets are closed exactly once; no lease and no operation is left.
#include "harness/chaos_loop.hpp"
#include "unit/datapath/joined_peers.hpp"

namespace nfr::datapath {
namespace {

using core::FlowEnd;
using test::Peer;
using namespace std::chrono_literals;

/// A flow between two peers that rests, goes on, or is cut as the seed has it.
class ChaosFlow final : private JoinedPeers, public PairEvents {
 public:
  ChaosFlow(test::ChaosLoop& loop, std::mt19937& random) : loop_(loop), random_(random) {
    const auto buffer = [&] { return random() % 2 == 0 ? 8192 : 0; };
    join(loop, {buffer(), buffer(), 60ms}, *this);
    for (Peer* peer : {&visitor, &target}) {
      peer->to_send = random() % 100'000;
      peer->fin_after = random() % 4 != 0;
    }
    pair->start();
  }

  /// False: it did not come to an end.
  bool run() {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!(over_ && visitor.over() && target.over()) && std::chrono::steady_clock::now() < limit) {
      visitor.step();
      target.step();
      loop_.run_once(1ms);
      disturb();
    }
    return over_ && visitor.over() && target.over();
  }

  void check() const {
    EXPECT_EQ(ends_, 1);
    EXPECT_FALSE(visitor.corrupt || target.corrupt);
    for (const auto& [sender, receiver] : {std::pair{&visitor, &target}, {&target, &visitor}}) {
      EXPECT_LE(receiver->received, sender->to_send);
      if (!receiver->eof) continue;
      EXPECT_TRUE(sender->fin_sent);
      EXPECT_EQ(receiver->received, sender->to_send);
    }
  }

 private:
  void on_pair_ended(FlowEnd) override {
    ++ends_;
    over_ = true;
  }
  void on_pair_rested() override { rested_ = true; }

  void disturb() {
    if (over_ || pair->ending()) return;
    if (rested_ && random_() % 3 == 0) {
      rested_ = resting_ = false;
      pair->resume();
    } else if (!resting_ && random_() % 40 == 0) {
      resting_ = pair->rest();
    } else if (random_() % 2000 == 0) {
      pair->cut(FlowEnd::kCut);
    }
  }

  test::ChaosLoop& loop_;
  std::mt19937& random_;
  bool resting_ = false;
  bool rested_ = false;
  bool over_ = false;
  int ends_ = 0;
};

void run_seeds(unsigned count, unsigned faults) {
  unsigned met = 0;
  for (unsigned seed = 0; seed < count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    auto loop = test::ChaosLoop::create({.entries = 64, .buffer_count = 2, .buffer_bytes = 65536}, seed, faults);
    loop->run_once(0ms);
    const int descriptors = test::open_descriptors();
    {
      ChaosFlow flow(*loop, random);
      ASSERT_TRUE(flow.run());
      flow.check();
    }
    EXPECT_EQ(loop->statistics().outstanding, 0U);
    EXPECT_EQ(test::open_descriptors(), descriptors);
    met += loop->fault_count();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(met > 0, faults > 0);
}

TEST(ChaosTest, CompletionsInAnyOrder) { run_seeds(test::scaled(80, 8), 0); }
TEST(ChaosTest, CallsThatFail) { run_seeds(test::scaled(80, 8), 20); }

}  // namespace
}  // namespace nfr::datapath
