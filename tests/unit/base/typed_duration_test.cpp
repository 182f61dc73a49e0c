// SPDX-License-Identifier: GPL-2.0-only
// Durations as people type them: every unit, both edges, and that writing one reads back the same.
#include "base/duration.hpp"

#include <gtest/gtest.h>

namespace nfr {
namespace {

TEST(TypedDuration, ReadsEveryUnitAndWritesItBack) {
  const std::pair<const char*, Millis::rep> cases[] = {{"never", 0},      {"500ms", 500},    {"30s", 30'000},
                                                       {"10m", 600'000},  {"2h", 7'200'000}, {"1d", 86'400'000},
                                                       {"1500ms", 1'500}, {"90s", 90'000},   {"36h", 129'600'000}};
  for (const auto& [text, ms] : cases) {
    const auto duration = parse_duration(text);
    ASSERT_TRUE(duration) << text;
    EXPECT_EQ(duration->count(), ms) << text;
    EXPECT_EQ(typed_duration(*duration), text);
  }
  EXPECT_EQ(parse_duration("0")->count(), 0);
  EXPECT_EQ(typed_duration(Millis{60'000}), "1m");
  EXPECT_EQ(parse_duration("999999999d")->count(), 999'999'999LL * 86'400'000);
}

TEST(TypedDuration, RefusesEverythingElse) {
  for (const char* text : {"", "s", "5", "5 s", "-5s", "5S", "5w", "5.5s", "1000000000s", "1h30m", "00x"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

}  // namespace
}  // namespace nfr
