// SPDX-License-Identifier: GPL-2.0-only
// agent.toml: every key and its edges.
#include "config/agent_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

AgentConfig good(std::string_view text) {
  const auto config = parse_agent_config(text, "agent.toml");
  EXPECT_TRUE(config) << config.error().message();
  return config ? *config : AgentConfig{};
}

std::string mistake(std::string_view text) {
  const auto config = parse_agent_config(text, "agent.toml");
  EXPECT_FALSE(config) << "accepted: " << text;
  return config ? "" : config.error().message();
}

TEST(AgentConfig, EmptyFileIsAllDefaults) {
  const AgentConfig config = good("");
  EXPECT_EQ(config.allow_targets.text(), "self");
  EXPECT_EQ(config.leg_min, core::Leg::kPlain);
  EXPECT_EQ(config.reconnect_min, Millis(200));
  EXPECT_EQ(config.reconnect_max, Millis(15'000));
}

TEST(AgentConfig, EveryKeyIsRead) {
  const AgentConfig config = good(R"(
    allow_targets = ["self", "lan:80", "192.168.1.0/24:5000-5100"]
    leg_min = "tls"
    reconnect_min_ms = 10
    reconnect_max_ms = 50
    state_dir = "/s"
    run_dir = "/r"
    bpffs_dir = "/b"
    socket = "/x"
  )");
  EXPECT_EQ(config.allow_targets.text(), "self, lan:80, 192.168.1.0/24:5000-5100");
  EXPECT_EQ(config.leg_min, core::Leg::kTls);
  EXPECT_EQ(config.reconnect_min, Millis(10));
  EXPECT_EQ(config.reconnect_max, Millis(50));
  EXPECT_EQ(config.paths.state_dir, "/s");
  EXPECT_EQ(config.paths.run_dir, "/r");
  EXPECT_EQ(config.paths.bpffs_dir, "/b");
  EXPECT_EQ(config.paths.socket, "/x");
}

TEST(AgentConfig, AnEmptyListAllowsNothing) { EXPECT_EQ(good("allow_targets = []").allow_targets.text(), "nothing"); }

TEST(AgentConfig, AMisspeltKeyIsNamedWithTheNearest) {
  EXPECT_THAT(mistake("allow_target = 'lan'"), HasSubstr("did you mean 'allow_targets'?"));
}

TEST(AgentConfig, BadRuleIsReportedAtItsOwnLine) {
  EXPECT_THAT(mistake("allow_targets = [\n  'self',\n  '192.168.1.5/24',\n]"),
              AllOf(HasSubstr("agent.toml, line 3"), HasSubstr("'192.168.1.5/24'"), HasSubstr("beyond its prefix")));
}

TEST(AgentConfig, LegMinIsPlainOrTls) {
  EXPECT_EQ(good("leg_min = 'plain'").leg_min, core::Leg::kPlain);
  EXPECT_THAT(mistake("leg_min = 'wg'"), HasSubstr("expected plain or tls"));
  EXPECT_THAT(mistake("leg_min = true"), HasSubstr("leg_min = true: expected a string in quotes"));
}

TEST(AgentConfig, ReconnectTimesAreOrdered) {
  good("reconnect_min_ms = 300\nreconnect_max_ms = 300");
  EXPECT_THAT(mistake("reconnect_min_ms = 16000"),
              HasSubstr("line 1: reconnect_min_ms: reconnect_min_ms = 16000 is more"));
  EXPECT_THAT(mistake("\nreconnect_max_ms = 100"), AllOf(HasSubstr("line 2"), HasSubstr("reconnect_max_ms = 100")));
  EXPECT_THAT(mistake("reconnect_min_ms = 9"), HasSubstr("from 10 to 600000 (milliseconds)"));
  EXPECT_THAT(mistake("reconnect_max_ms = 600001"), HasSubstr("from 10 to 600000"));
  EXPECT_THAT(mistake("heartbeat_ms = 99"), HasSubstr("heartbeat_ms"));
}

}  // namespace
}  // namespace nfr::config
