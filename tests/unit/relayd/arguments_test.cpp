// SPDX-License-Identifier: GPL-2.0-only
// Arguments of admin requests: each member missing, of another type, and at its limits.
#include "relayd/arguments.hpp"

#include <gtest/gtest.h>

namespace nfr::relayd {
namespace {

using nlohmann::json;

const json kGood = {{"public", "8888"}, {"agent", "client1"}, {"target", "3306"}};

json with(const char* key, json value) {
  json args = kGood;
  args[key] = std::move(value);
  return args;
}

TEST(MapRequest, TakesWhatNfctlSends) {
  const auto request = map_request(kGood);
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(core::public_text(request->public_endpoint), "8888/tcp");
  EXPECT_EQ(request->agent, "client1");
  EXPECT_EQ(request->target.text(), "127.0.0.1:3306");
  EXPECT_FALSE(request->leg);
  EXPECT_EQ(request->idle_timeout, Millis{0});
  EXPECT_EQ(map_request(with("leg", "tls"))->leg, core::Leg::kTls);
  EXPECT_EQ(map_request(with("idle_timeout_ms", 1000))->idle_timeout, Millis{1000});
  EXPECT_EQ(map_request(with("idle_timeout_ms", 2'592'000'000))->idle_timeout, Millis{2'592'000'000});
}

TEST(MapRequest, NamesWhatIsWrong) {
  const std::pair<json, const char*> cases[] = {
      {json::object(), "'' is not a port"},
      {with("public", 8888), "'' is not a port"},
      {with("public", "70000"), "'70000' is not a port from 1 to 65535"},
      {with("public", "1.2.3.4:"), "public endpoint"},
      {with("target", nullptr), "target: '' is not a port"},
      {with("target", "192.168.1.300:80"), "'192.168.1.300' is not an IP address"},
      {with("target", "0.0.0.0:80"), "no machine has this address"},
      {with("target", "\x1b[2J"), "'\\x1b[2J' is not a port"},
      {with("leg", "wg"), "leg 'wg': expected plain or tls"},
      {with("leg", 5), "leg '': expected plain or tls"},
      {with("idle_timeout_ms", 999), "idle timeout 999 ms: expected 0 (never) or 1 s to 30 d"},
      {with("idle_timeout_ms", -1), "idle timeout -1 ms"},
      {with("idle_timeout_ms", 2'592'000'001), "idle timeout 2592000001 ms"},
      {with("idle_timeout_ms", UINT64_MAX), "idle timeout 18446744073709551615 ms"},
      {with("idle_timeout_ms", 1.5), "idle timeout 1.5 ms"},
      {with("idle_timeout_ms", "10m"), "idle timeout \"10m\" ms"},
  };
  for (const auto& [args, reason] : cases) {
    const auto request = map_request(args);
    ASSERT_FALSE(request) << args;
    EXPECT_EQ(request.error().code(), Code::kInvalid);
    EXPECT_NE(request.error().message().find(reason), std::string::npos) << request.error().message();
  }
}

TEST(Arguments, OnlyTheRightTypeCounts) {
  const json args = {{"text", "x"}, {"true", true}, {"one", 1}, {"word", "true"}, {"list", {1}}};
  EXPECT_EQ(text_argument(args, "text"), "x");
  EXPECT_EQ(text_argument(args, "one"), "");
  EXPECT_EQ(text_argument(args, "none"), "");
  EXPECT_TRUE(flag_argument(args, "true"));
  for (const char* name : {"one", "word", "list", "none"}) EXPECT_FALSE(flag_argument(args, name)) << name;
}

}  // namespace
}  // namespace nfr::relayd
