// SPDX-License-Identifier: GPL-2.0-only
// How many channels should stand ready, and what is done with descriptors: arithmetic under a clock of the test's own.
#include "control/pool_plan.hpp"

#include <gtest/gtest.h>

#include "control/descriptor_budget.hpp"
#include "harness/sim/basics.hpp"

namespace nfr::control {
namespace {

constexpr Millis kIdle{600'000};

class PoolPlanTest : public ::testing::Test {
 protected:
  void visitors(int count, Millis apart) {
    for (int i = 0; i < count; ++i) {
      now += apart;
      plan.on_visitor(now);
    }
  }
  PoolPlan plan{kIdle};
  Instant now{std::chrono::hours(1)};
};

TEST_F(PoolPlanTest, NothingBeforeTheFirstVisitorAndOneAfterIt) {
  EXPECT_EQ(plan.wanted(now), 0u);
  visitors(1, Millis{0});
  EXPECT_EQ(plan.wanted(now), 1u);
  now += kIdle - Millis{1};
  EXPECT_EQ(plan.wanted(now), 1u);
  now += Millis{1};
  EXPECT_EQ(plan.wanted(now), 0u);
}

TEST_F(PoolPlanTest, RareVisitorsNeedOne) {
  plan.on_refill(Micros{80'000});
  visitors(50, Millis{1000});
  EXPECT_EQ(plan.wanted(now), 1u);
}

TEST_F(PoolPlanTest, GrowsWithTheRate) {
  plan.on_refill(Micros{100'000});
  visitors(200, Millis{10});  // 100 a second, 10 in a refill
  EXPECT_GE(plan.wanted(now), 10u);
  EXPECT_LE(plan.wanted(now), 13u);
}

TEST_F(PoolPlanTest, GrowsWithTheWayToTheAgent) {
  plan.on_refill(Micros{10'000});
  visitors(200, Millis{10});
  const std::size_t near = plan.wanted(now);
  for (int i = 0; i < 50; ++i) plan.on_refill(Micros{400'000});
  EXPECT_GT(plan.wanted(now), 3 * near);
  for (int i = 0; i < 50; ++i) plan.on_refill(Micros{std::chrono::hours(1)});
  EXPECT_LE(plan.wanted(now), 250u) << "an outlier is bounded";
}

TEST_F(PoolPlanTest, ABurstCountsAtOnceAndIsForgotten) {
  visitors(40, Millis{0});
  EXPECT_EQ(plan.wanted(now), 21u);
  now += std::chrono::seconds(60);
  EXPECT_EQ(plan.wanted(now), 1u);
}

TEST(DescriptorPlan, LeavesRoomForEverybody) {
  const auto plan = DescriptorPlan::make({.limit = 400, .fixed = 104, .listeners = 6, .sessions = 2});
  EXPECT_EQ(plan.strangers_min, 50u);
  EXPECT_EQ(plan.visitors_max, 119u);
  EXPECT_EQ(plan.pool_max, 29u);
  EXPECT_LE(104 + 6 + 2 + plan.strangers_min + 2 * plan.visitors_max, 400u);
  EXPECT_EQ(DescriptorPlan::make({.limit = 1'000'000, .fixed = 0, .listeners = 0, .sessions = 0}).strangers_min, 6000u);
  const auto tiny = DescriptorPlan::make({.limit = 50, .fixed = 104, .listeners = 600, .sessions = 2});
  EXPECT_EQ(tiny.visitors_max, 4u);
  EXPECT_EQ(tiny.pool_max, 0u);
}

TEST(DescriptorPlan, StrangersUseWhatVisitorsLeave) {
  const auto plan = DescriptorPlan::make({.limit = 400, .fixed = 104, .listeners = 6, .sessions = 2});
  EXPECT_EQ(plan.strangers_max(0, 0), 288u);
  EXPECT_EQ(plan.strangers_max(100, 10), 78u);
  EXPECT_EQ(plan.strangers_max(119, 0), 50u);
  EXPECT_EQ(plan.strangers_max(500, 0), 50u) << "visitors of before the limit was lowered";
  const auto big = DescriptorPlan::make({.limit = 20'000, .fixed = 104, .listeners = 6, .sessions = 2});
  EXPECT_EQ(big.strangers_max(0, 0), 6000u);
}

TEST(DescriptorBudget, SaysOnceAMinuteThatVisitorsWaitAndThatTheyDoNot) {
  sim::SimClock clock;
  EventBook events(clock);
  DescriptorBudget budget(events, clock);
  budget.look(1'000'000);
  EXPECT_EQ(budget.shortage(), "") << "without facts there is no limit";
  EXPECT_TRUE(budget.set({.limit = 400, .fixed = 104, .listeners = 6, .sessions = 2}));
  EXPECT_FALSE(budget.set({.limit = 400, .fixed = 104, .listeners = 6, .sessions = 2}));
  budget.look(118);
  EXPECT_EQ(budget.shortage(), "");
  for (int second = 0; second < 90; ++second) {
    budget.look(119);
    clock.advance_to(clock.now() + std::chrono::seconds(1));
  }
  EXPECT_NE(budget.shortage().find("119 visitors"), std::string::npos) << budget.shortage();
  EXPECT_EQ(events.all().size(), 2u);
  budget.look(100);
  EXPECT_EQ(budget.shortage(), "");
  ASSERT_EQ(events.all().size(), 3u);
  EXPECT_NE(events.all().back().what.find("again"), std::string::npos);
}

}  // namespace
}  // namespace nfr::control
