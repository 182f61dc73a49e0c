// SPDX-License-Identifier: GPL-2.0-only
// The file of apply: every key, what each mistake is told, and that what is written is read back.
#include "config/mappings_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::config {
namespace {

using ::testing::HasSubstr;

const char* const kEveryKey = R"([[mapping]]
public = "203.0.113.5:5000-5001/tcp"
agent = "client1"
target = "db.lan:5000-5001"
leg = "tls"
idle = "90s"
proxy = "v2"
allow = ["10.0.0.0/8", "2001:db8::/32"]
deny = ["10.9.0.0/16"]
max_flows = 100
max_per_source = 5
rate = 10
)";

std::string mistake(const std::string& text) {
  const auto mappings = parse_mappings(text, "m.toml");
  EXPECT_FALSE(mappings) << "accepted: " << text;
  return mappings ? "" : mappings.error().message();
}

/// A good table with one more line.
std::string with(const std::string& line) {
  return mistake("[[mapping]]\npublic = 1\nagent = 'a'\ntarget = 1\n" + line + "\n");
}

TEST(MappingsFile, EveryKeyIsReadAndWrittenBack) {
  const auto mappings = parse_mappings(kEveryKey, "m.toml");
  ASSERT_TRUE(mappings) << mappings.error().message();
  ASSERT_EQ(mappings->size(), 1U);
  const core::Mapping& mapping = (*mappings)[0].mapping;
  EXPECT_EQ((*mappings)[0].agent, "client1");
  EXPECT_EQ(mapping.public_ports.text(), "203.0.113.5:5000-5001/tcp");
  EXPECT_EQ(mapping.target.text(), "db.lan:5000-5001");
  EXPECT_EQ(mapping.leg, core::Leg::kTls);
  EXPECT_EQ(mapping.idle_timeout, Millis{90'000});
  EXPECT_EQ(mapping.proxy, core::ProxyHeader::kV2);
  EXPECT_EQ(mapping.admission.allow.size(), 2U);
  EXPECT_EQ(mapping.admission.deny.size(), 1U);
  EXPECT_EQ(mapping.admission.flows_max, 100U);
  EXPECT_EQ(mapping.admission.flows_per_source_max, 5U);
  EXPECT_EQ(mapping.admission.rate_per_source, 10U);
  EXPECT_EQ(write_mappings(*mappings), kEveryKey);
}

TEST(MappingsFile, PortsMayBeNumbersAndNothingIsAllowed) {
  EXPECT_TRUE(parse_mappings("", "m.toml")->empty());
  const auto mappings = parse_mappings(
      "[[mapping]]\npublic = 8888\nagent = \"a\"\ntarget = 3306\nidle = \"never\"\n"
      "[[mapping]]\npublic = \"auto\"\nagent = \"a\"\ntarget = 'unix:/run/a \"b\"c'\n",
      "m.toml");
  ASSERT_TRUE(mappings) << mappings.error().message();
  const auto again = parse_mappings(write_mappings(*mappings), "again");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ((*again)[0].mapping.public_ports.text(), "8888/tcp");
  EXPECT_EQ((*again)[1].mapping.target.name, "/run/a \"b\"c");
  EXPECT_TRUE((*again)[1].mapping.public_ports.automatic());
}

TEST(MappingsFile, MistakesNameFileLineAndKey) {
  EXPECT_EQ(mistake("\n[[mapping]]\nagent = 'a'\ntarget = 1\n"),
            "m.toml, line 2: 'public' is missing: a port, a range, ADDRESS:PORT or auto");
  EXPECT_THAT(mistake("[[mapping]]\npublic = 1\n\n"), HasSubstr("m.toml, line 1: 'agent' is missing"));
  EXPECT_THAT(mistake("[mapping]\npublic = 1\n"), HasSubstr("expected tables, [[mapping]]"));
  EXPECT_THAT(mistake("mapping = [1]\n"), HasSubstr("mapping = 1: expected a table, [[mapping]]"));
  EXPECT_THAT(mistake("[[maping]]\n"), HasSubstr("line 1: unknown key 'maping'; did you mean 'mapping'?"));
  EXPECT_THAT(mistake("[[mapping"), HasSubstr("m.toml, line 1: "));
  EXPECT_THAT(with("alow = []"), HasSubstr("m.toml, line 5: unknown key 'alow'; did you mean 'allow'?"));
  EXPECT_THAT(with("leg = 'tsl'"), HasSubstr("line 5: leg = 'tsl': leg 'tsl': expected plain or tls"));
  EXPECT_THAT(with("idle = 5"), HasSubstr("line 5: idle = 5: expected a string"));
  EXPECT_THAT(with("idle = '31d'"), HasSubstr("line 5: idle = '31d': expected never, or 1s to 30d"));
  EXPECT_THAT(with("idle = '999ms'"), HasSubstr("expected never, or 1s to 30d"));
  EXPECT_THAT(with("proxy = 'v3'"), HasSubstr("expected v1, v2 or none"));
  EXPECT_THAT(with("allow = ['10.0.0.1/8']"), HasSubstr("line 5: allow = '10.0.0.1/8': "));
  EXPECT_THAT(with("deny = ['::1', '::1']"), HasSubstr("listed twice"));
  EXPECT_THAT(with("max_flows = -1"), HasSubstr("line 5: max_flows = -1: expected a whole number from 0"));
  EXPECT_THAT(with("rate = 1000001"), HasSubstr("rate = 1000001"));
  EXPECT_THAT(mistake("[[mapping]]\npublic = [1, 2]\nagent = 'a'\ntarget = 1"),
              HasSubstr("public: expected one value"));
  EXPECT_THAT(mistake("[[mapping]]\npublic = 70000\nagent = 'a'\ntarget = 1"), HasSubstr("line 2: public = 70000: "));
}

}  // namespace
}  // namespace nfr::config
