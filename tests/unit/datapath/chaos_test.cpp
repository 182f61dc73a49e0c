// SPDX-License-Identifier: GPL-2.0-only
// Pairs on a loop whose completions come in any order and whose calls fail: a receiver gets all bytes and EOF, or a
// prefix and an error; both sockets are closed exactly once; no lease and no operation is left.
#include "datapath/pair.hpp"
#include "harness/chaos_loop.hpp"
#include "harness/loopback.hpp"
#include "transport/raw_endpoint.hpp"

namespace nfr::datapath {
namespace {

using core::FlowEnd;
using test::Peer;
using transport::RawEndpoint;
using namespace std::chrono_literals;

/// A flow between two peers that rests, goes on, or is cut as the seed has it.
class ChaosFlow final : public PairEvents {
 public:
  ChaosFlow(test::ChaosLoop& loop, std::mt19937& random) : loop_(loop), random_(random) {
    test::TcpPair left = test::tcp_pair(random() % 2 == 0 ? 8192 : 0);
    test::TcpPair right = test::tcp_pair(random() % 2 == 0 ? 8192 : 0);
    visitor_.fd = std::move(left.theirs);
    target_.fd = std::move(right.theirs);
    visitor_.send_seed = target_.receive_seed = 1;
    target_.send_seed = visitor_.receive_seed = 2;
    for (Peer* peer : {&visitor_, &target_}) {
      peer->to_send = random() % 100'000;
      peer->fin_after = random() % 4 != 0;
    }
    pair_ = std::make_unique<Pair>(loop, RawEndpoint::adopt(loop, std::move(left.ours), transport::kVisitorOptions),
                                   RawEndpoint::adopt(loop, std::move(right.ours), transport::kVisitorOptions),
                                   std::make_shared<core::FlowCounters>(), 60ms, *this);
    pair_->start();
  }

  /// False: it did not come to an end.
  bool run() {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!(over_ && visitor_.over() && target_.over()) && std::chrono::steady_clock::now() < limit) {
      visitor_.step();
      target_.step();
      loop_.run_once(1ms);
      disturb();
    }
    return over_ && visitor_.over() && target_.over();
  }

  void check() const {
    EXPECT_EQ(ends_, 1);
    EXPECT_FALSE(visitor_.corrupt || target_.corrupt);
    for (const auto& [sender, receiver] : {std::pair{&visitor_, &target_}, {&target_, &visitor_}}) {
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
    if (over_ || pair_->ending()) return;
    if (rested_ && random_() % 3 == 0) {
      rested_ = resting_ = false;
      pair_->resume();
    } else if (!resting_ && random_() % 40 == 0) {
      resting_ = pair_->rest();
    } else if (random_() % 2000 == 0) {
      pair_->cut(FlowEnd::kCut);
    }
  }

  test::ChaosLoop& loop_;
  std::mt19937& random_;
  Peer visitor_;
  Peer target_;
  std::unique_ptr<Pair> pair_;
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

TEST(ChaosTest, CompletionsInAnyOrder) { run_seeds(80, 0); }
TEST(ChaosTest, CallsThatFail) { run_seeds(80, 20); }

}  // namespace
}  // namespace nfr::datapath
