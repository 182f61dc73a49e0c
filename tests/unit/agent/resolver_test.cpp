// SPDX-License-Identifier: GPL-2.0-only
// Names resolved off the loop: one that every machine knows, one that no resolver may know (RFC 6761 6.4), and many.
#include "agent/resolver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::agent {
namespace {

using ::testing::HasSubstr;
using Found = Result<std::vector<net::IpAddress>>;

class ResolverTest : public ::testing::Test {
 protected:
  ResolverTest() : loop(*io::Loop::create({.entries = 64, .buffer_count = 4, .buffer_bytes = 4096})) {}
  void drive(const std::function<bool()>& until) {
    const Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!until() && std::chrono::steady_clock::now() < end) loop->run_once(Millis(50));
    EXPECT_TRUE(until());
  }
  std::unique_ptr<io::Loop> loop;
};

TEST_F(ResolverTest, LocalhostIsThisMachine) {
  Resolver resolver(*loop);
  std::optional<Found> found;
  resolver.look_up("localhost", [&](Found got) { found = std::move(got); });
  EXPECT_FALSE(found) << "never from inside";
  drive([&] { return found.has_value(); });
  ASSERT_TRUE(*found) << found->error().message();
  ASSERT_FALSE((*found)->empty());
  for (const net::IpAddress& address : **found) EXPECT_TRUE(address.is_loopback()) << address.text();
}

TEST_F(ResolverTest, AnUnknownNameIsAnErrorThatNamesIt) {
  Resolver resolver(*loop);
  std::optional<Found> found;
  resolver.look_up("no-such-host.invalid", [&](Found got) { found = std::move(got); });
  drive([&] { return found.has_value(); });
  ASSERT_FALSE(*found);
  EXPECT_EQ(found->error().code(), Code::kUnavailable);
  EXPECT_THAT(found->error().message(), HasSubstr("'no-such-host.invalid'"));
}

TEST_F(ResolverTest, TooManyAtOnceAreTurnedAwayAndAllAreAnswered) {
  Resolver resolver(*loop);
  int answered = 0;
  int exhausted = 0;
  for (int i = 0; i < 40; ++i) {
    resolver.look_up("localhost", [&](const Found& got) {
      ++answered;
      if (!got && got.error().code() == Code::kExhausted) ++exhausted;
    });
  }
  drive([&] { return answered == 40; });
  EXPECT_EQ(exhausted, 8);
}

TEST_F(ResolverTest, ALookUpOutlivesItsResolver) {
  bool called = false;
  {
    Resolver resolver(*loop);
    resolver.look_up("localhost", [&](const Found&) { called = true; });
  }
  // The thread posts to the loop all the same: another look-up's answer comes behind it.
  Resolver after(*loop);
  bool second = false;
  after.look_up("localhost", [&](const Found&) { second = true; });
  drive([&] { return second; });
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace nfr::agent
