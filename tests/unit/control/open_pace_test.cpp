// SPDX-License-Identifier: GPL-2.0-only
// OpenPace: whose channel is asked for now, who waits, in which order.
#include "control/open_pace.hpp"

#include <gtest/gtest.h>

namespace nfr::control {
namespace {

using core::Leg;
constexpr core::FlowId kA{1}, kB{2}, kC{3}, kD{4};

TEST(OpenPace, SoManyAtOnceTheOthersInTheOrderTheyCame) {
  OpenPace pace;
  const OpenPace::Limits two{.all = 2, .tls = 64};
  EXPECT_TRUE(pace.begin(kA, Leg::kPlain, two));
  EXPECT_TRUE(pace.begin(kB, Leg::kPlain, two));
  EXPECT_FALSE(pace.begin(kC, Leg::kPlain, two));
  EXPECT_FALSE(pace.begin(kD, Leg::kPlain, two));
  EXPECT_FALSE(pace.next(two));
  pace.end(kB);
  EXPECT_EQ(pace.next(two), kC);
  EXPECT_TRUE(pace.begin(kC, Leg::kPlain, two));
  EXPECT_FALSE(pace.next(two));
  pace.end(kA);
  pace.end(kC);
  EXPECT_EQ(pace.next(two), kD);
  EXPECT_FALSE(pace.next(two));
}

TEST(OpenPace, ThoseWhoWaitForAHandshakeDoNotHoldUpTheOthers) {
  OpenPace pace;
  const OpenPace::Limits limits{.all = 3, .tls = 1};
  EXPECT_TRUE(pace.begin(kA, Leg::kTls, limits));
  EXPECT_FALSE(pace.begin(kB, Leg::kTls, limits));
  EXPECT_TRUE(pace.begin(kC, Leg::kPlain, limits));
  EXPECT_FALSE(pace.next(limits));
  pace.end(kC);
  EXPECT_FALSE(pace.next(limits));
  pace.end(kA);
  EXPECT_EQ(pace.next(limits), kB);
}

TEST(OpenPace, AskedForAgainItCountsOnce) {
  OpenPace pace;
  const OpenPace::Limits one{.all = 1, .tls = 1};
  EXPECT_TRUE(pace.begin(kA, Leg::kTls, one));
  EXPECT_TRUE(pace.begin(kA, Leg::kTls, one));
  EXPECT_EQ(pace.asked_count(), 1U);
  pace.end(kA);
  pace.end(kA);
  EXPECT_EQ(pace.asked_count(), 0U);
  EXPECT_TRUE(pace.begin(kB, Leg::kTls, one));
}

}  // namespace
}  // namespace nfr::control
