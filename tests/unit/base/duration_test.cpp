// SPDX-License-Identifier: GPL-2.0-only
// Durations as people read them.
#include <gtest/gtest.h>

#include "base/text.hpp"

namespace nfr {
namespace {

TEST(HumanDuration, UnitFollowsSize) {
  EXPECT_EQ(human_duration(Micros(0)), "0.0 ms");
  EXPECT_EQ(human_duration(Micros(43)), "43 us");  // a target on the agent's own machine
  EXPECT_EQ(human_duration(Micros(100)), "0.1 ms");
  EXPECT_EQ(human_duration(Micros(9'940)), "9.9 ms");
  EXPECT_EQ(human_duration(Micros(21'000)), "21 ms");
  EXPECT_EQ(human_duration(Micros(12'000'000)), "12 s");
  EXPECT_EQ(human_duration(Micros(240'000'000)), "4 min");
}

}  // namespace
}  // namespace nfr
