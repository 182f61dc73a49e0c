// SPDX-License-Identifier: GPL-2.0-only
// Timers: order, replacement, disarming and destruction from handlers, and that the wait ends in time for them.
#include "unit/io/fixture.hpp"

namespace nfr::io {
namespace {

TEST_F(LoopTest, TimersFireInOrderAndNeverEarly) {
  std::vector<int> order;
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Timer>> timers;
  for (const int delay : {30, 10, 20, 0, 10}) {
    timers.push_back(std::make_unique<Timer>(*loop, [&, delay, index = timers.size()] {
      EXPECT_GE(std::chrono::steady_clock::now() - start, Millis(delay));
      order.push_back(static_cast<int>(index));
    }));
    timers.back()->arm(Millis(delay));
  }
  ASSERT_TRUE(until([&] { return order.size() == 5; }));
  EXPECT_EQ(order, (std::vector{3, 1, 4, 2, 0}));
  for (const auto& timer : timers) EXPECT_FALSE(timer->armed());
}

TEST_F(LoopTest, ArmingAgainReplacesTheDeadline) {
  int fired = 0;
  Timer timer(*loop, [&] { ++fired; });
  timer.arm(0ms);
  timer.arm(1h);
  loop->run_once(5ms);
  EXPECT_EQ(fired, 0);
  timer.arm(1ms);
  ASSERT_TRUE(until([&] { return fired == 1; }));
  EXPECT_FALSE(timer.armed());
  settle();
  EXPECT_EQ(fired, 1);
}

TEST_F(LoopTest, AnAbsurdDelayIsFarAwayNotInThePast) {
  int fired = 0;
  Timer timer(*loop, [&] { ++fired; });
  timer.arm(Millis::max());
  loop->run_once(1ms);
  EXPECT_EQ(fired, 0);
  timer.arm(Millis::min());
  ASSERT_TRUE(until([&] { return fired == 1; }));
}

TEST_F(LoopTest, HandlerMayRearmDisarmAndDestroy) {
  int own = 0;
  int other = 0;
  Timer victim(*loop, [&] { ++other; });
  auto doomed = std::make_unique<Timer>(*loop);
  doomed->handler = [&] {
    ++own;
    doomed.reset();
  };
  Timer killer(*loop);
  killer.handler = [&] {
    ++own;
    victim.disarm();
    if (own < 3) killer.arm(0ms);
  };
  killer.arm(1ms);
  victim.arm(1ms);  // due at once with the killer, after it
  ASSERT_TRUE(until([&] { return own >= 3; }));
  EXPECT_EQ(other, 0);
  doomed->arm(0ms);
  ASSERT_TRUE(until([&] { return doomed == nullptr; }));
  EXPECT_EQ(own, 4);
}

TEST_F(LoopTest, ZeroDelayInAHandlerIsNextRound) {
  int fired = 0;
  Timer timer(*loop);
  timer.handler = [&] {
    ++fired;
    timer.arm(0ms);
  };
  timer.arm(0ms);
  loop->run_once(5ms);
  EXPECT_EQ(fired, 1);
  loop->run_once(5ms);
  EXPECT_EQ(fired, 2);
}

TEST_F(LoopTest, DestroyedTimerDoesNotFire) {
  int fired = 0;
  {
    Timer timer(*loop, [&] { ++fired; });
    timer.arm(0ms);
  }
  loop->run_once(2ms);
  EXPECT_EQ(fired, 0);
}

TEST_F(LoopTest, TheWaitEndsForTheTimerNotLater) {
  bool fired = false;
  Timer timer(*loop, [&] { fired = true; });
  timer.arm(5ms);
  const auto start = std::chrono::steady_clock::now();
  while (!fired && std::chrono::steady_clock::now() - start < 20s) loop->run_once(20s);
  EXPECT_TRUE(fired);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST_F(LoopTest, TimeStandsStillWithinARound) {
  bool checked = false;
  Timer timer(*loop, [&] {
    const Instant first = loop->now();
    while (std::chrono::steady_clock::now() <= first + 1ms) {
    }
    EXPECT_EQ(loop->now(), first);
    checked = true;
  });
  timer.arm(0ms);
  ASSERT_TRUE(until([&] { return checked; }));
  EXPECT_GE(loop->now(), std::chrono::steady_clock::now() - 1s);
}

TEST_F(LoopTest, TimerOutlivesTheLoopQuietly) {
  Timer timer(*loop, [] {});
  timer.arm(1h);
  loop.reset();
  EXPECT_FALSE(timer.armed());
}

}  // namespace
}  // namespace nfr::io
