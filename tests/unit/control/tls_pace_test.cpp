// SPDX-License-Identifier: GPL-2.0-only
// TlsPace: who is asked for now, who waits, in which order.
#include "control/tls_pace.hpp"

#include <gtest/gtest.h>

namespace nfr::control {
namespace {

constexpr core::FlowId kA{1}, kB{2}, kC{3}, kD{4};

TEST(TlsPace, SoManyAtOnceTheOthersInTheOrderTheyCame) {
  TlsPace pace;
  EXPECT_TRUE(pace.begin(kA, 2));
  EXPECT_TRUE(pace.begin(kB, 2));
  EXPECT_FALSE(pace.begin(kC, 2));
  EXPECT_FALSE(pace.begin(kD, 2));
  EXPECT_FALSE(pace.next(2));
  pace.end(kB);
  EXPECT_EQ(pace.next(2), kC);
  EXPECT_TRUE(pace.begin(kC, 2));
  EXPECT_FALSE(pace.next(2));
  pace.end(kA);
  pace.end(kC);
  EXPECT_EQ(pace.next(2), kD);
  EXPECT_FALSE(pace.next(2));
}

TEST(TlsPace, AskedForAgainItCountsOnce) {
  TlsPace pace;
  EXPECT_TRUE(pace.begin(kA, 1));
  EXPECT_TRUE(pace.begin(kA, 1));
  EXPECT_EQ(pace.asked_count(), 1U);
  pace.end(kA);
  pace.end(kA);
  EXPECT_EQ(pace.asked_count(), 0U);
}

TEST(TlsPace, ALowerLimitHoldsBackTheNext) {
  TlsPace pace;
  EXPECT_TRUE(pace.begin(kA, 2));
  EXPECT_TRUE(pace.begin(kB, 2));
  EXPECT_FALSE(pace.begin(kC, 1));
  pace.end(kA);
  EXPECT_FALSE(pace.next(1));
  EXPECT_EQ(pace.next(2), kC);
}

}  // namespace
}  // namespace nfr::control
