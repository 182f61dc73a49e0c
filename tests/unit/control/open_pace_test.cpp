// SPDX-License-Identifier: GPL-2.0-only
// OpenPace: whose channel is asked for now, who waits, in which order.
#include "control/open_pace.hpp"

#include <gtest/gtest.h>

namespace nfr::control {
namespace {

constexpr core::FlowId kA{1}, kB{2}, kC{3}, kD{4}, kE{5};
constexpr OpenPace::Line kPlain{core::AgentId{1}, core::Leg::kPlain};
constexpr OpenPace::Line kTls{core::AgentId{1}, core::Leg::kTls};
constexpr OpenPace::Line kOther{core::AgentId{2}, core::Leg::kTls};

TEST(OpenPace, SoManyAtOnceTheOthersInTheOrderTheyCame) {
  OpenPace pace;
  const OpenPace::Limits limits{.all = 4, .tls = 64};  // two of an agent
  EXPECT_TRUE(pace.begin(kA, kPlain, limits));
  EXPECT_TRUE(pace.begin(kB, kPlain, limits));
  EXPECT_FALSE(pace.begin(kC, kPlain, limits));
  EXPECT_FALSE(pace.begin(kD, kPlain, limits));
  EXPECT_FALSE(pace.next(limits));
  pace.end(kB);
  EXPECT_FALSE(pace.begin(kE, kPlain, limits));  // behind those who wait
  EXPECT_EQ(pace.next(limits), kC);
  EXPECT_TRUE(pace.begin(kC, kPlain, limits));
  EXPECT_FALSE(pace.next(limits));
  pace.end(kA);
  EXPECT_EQ(pace.next(limits), kD);
  pace.end(kD);  // it was gone
  EXPECT_EQ(pace.next(limits), kE);
  EXPECT_FALSE(pace.somebody_waits());
}

TEST(OpenPace, OneAgentHasHalfOfTheRoom) {
  OpenPace pace;
  const OpenPace::Limits limits{.all = 100, .tls = 2};
  EXPECT_TRUE(pace.begin(kA, kTls, limits));
  EXPECT_FALSE(pace.begin(kB, kTls, limits));
  EXPECT_TRUE(pace.begin(kC, kOther, limits));
  EXPECT_FALSE(pace.next(limits));
  EXPECT_TRUE(pace.begin(kD, kPlain, limits));  // needs no handshake
  pace.end(kC);
  EXPECT_FALSE(pace.next(limits));
  pace.end(kA);
  EXPECT_EQ(pace.next(limits), kB);
}

TEST(OpenPace, LinesHaveTheirTurns) {
  OpenPace pace;
  const OpenPace::Limits one{.all = 1, .tls = 1};
  EXPECT_TRUE(pace.begin(kA, kPlain, one));
  EXPECT_FALSE(pace.begin(kB, kPlain, one));
  EXPECT_FALSE(pace.begin(kC, kPlain, one));
  EXPECT_FALSE(pace.begin(kD, kOther, one));
  pace.end(kA);
  const auto first = pace.next(one);
  pace.end(*first);
  const auto second = pace.next(one);
  pace.end(*second);
  EXPECT_TRUE((first == kB && second == kD) || (first == kD && second == kB));
  EXPECT_EQ(pace.next(one), kC);
}

TEST(OpenPace, AskedForAgainItCountsOnce) {
  OpenPace pace;
  const OpenPace::Limits one{.all = 1, .tls = 1};
  EXPECT_TRUE(pace.begin(kA, kTls, one));
  EXPECT_TRUE(pace.begin(kA, kTls, one));
  EXPECT_EQ(pace.asked_count(), 1U);
  pace.end(kA);
  pace.end(kA);
  EXPECT_EQ(pace.asked_count(), 0U);
  EXPECT_TRUE(pace.begin(kB, kTls, one));
}

}  // namespace
}  // namespace nfr::control
