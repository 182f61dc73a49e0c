// SPDX-License-Identifier: GPL-2.0-only
// Agreement on a protocol version between programs of different ages, and how hello tells what an agent speaks.
#include "proto/version.hpp"

#include <gtest/gtest.h>

#include <string>

#include "proto/message.hpp"

namespace nfr::proto {
namespace {

constexpr const char* kHello =
    R"({"type":"hello","version":%d,%s"instance":"0000000000000001","software":"x","leg_min":"plain"})";

std::string hello(int version, const std::string& more = "") {
  char text[256];
  snprintf(text, sizeof text, kHello, version, more.c_str());
  return text;
}

TEST(Version, TheNewestOfBothRangesIsSpoken) {
  EXPECT_EQ(*agree_version({1, 1}, {1, 1}), 1u);
  EXPECT_EQ(*agree_version({1, 3}, {1, 2}), 2u);
  EXPECT_EQ(*agree_version({2, 2}, {1, 5}), 2u);
  EXPECT_EQ(*agree_version({1, 9}, {4, 4}), 4u);
}

TEST(Version, ARefusalNamesTheSideToUpgrade) {
  const auto old_agent = agree_version({1, 2}, {3, 4});
  ASSERT_FALSE(old_agent);
  EXPECT_EQ(old_agent.error().message(),
            "no common protocol version: the agent speaks 1 to 2, the relay 3 to 4: upgrade nfagent on the agent's "
            "machine");
  const auto old_relay = agree_version({2, 2}, {1, 1});
  ASSERT_FALSE(old_relay);
  EXPECT_NE(old_relay.error().message().find("upgrade nfrelayd on the relay's machine"), std::string::npos);
}

TEST(Version, AHelloWithoutOldestSpeaksOneVersion) {
  const auto message = decode(hello(3));
  ASSERT_TRUE(message) << message.error().message();
  EXPECT_EQ(std::get<Hello>(*message).versions, (VersionRange{3, 3}));
}

TEST(Version, OldestAboveVersionIsRefused) {
  const auto message = decode(hello(3, R"("oldest":2,)"));
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<Hello>(*message).versions, (VersionRange{2, 3}));
  const std::string text = encode(*message);
  EXPECT_EQ(std::get<Hello>(*decode(text)).versions, (VersionRange{2, 3}));
  const auto reversed = decode(hello(3, R"("oldest":4,)"));
  ASSERT_FALSE(reversed);
  EXPECT_NE(reversed.error().message().find("oldest"), std::string::npos);
}

}  // namespace
}  // namespace nfr::proto
