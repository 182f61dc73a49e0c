// SPDX-License-Identifier: GPL-2.0-only
// The options of map, and allow, deny, limit, agent set and rename: what is asked and what is told.
#include "unit/nfctl/made_up_relay.hpp"

namespace nfr::nfctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using MapOptions = MadeUpRelay;

json mapped() {
  return {{"public", "8888/tcp"},
          {"address", "203.0.113.5:8888"},
          {"agent", "client1"},
          {"target", "127.0.0.1:3306"},
          {"leg", "plain"},
          {"tier", "user"},
          {"probe", {{"state", "answers"}, {"ms", 0.4}}}};
}

TEST_F(MapOptions, EachBecomesAnArgument) {
  type(
      "map 8888 client1:db.lan:3306 --leg tls --idle 10m --for 2h --proxy v2 --max-flows 9 --max-per-source 2 --rate "
      "7");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].cmd, "map");
  EXPECT_EQ(asked[0].args, json({{"public", "8888"},
                                 {"agent", "client1"},
                                 {"target", "db.lan:3306"},
                                 {"leg", "tls"},
                                 {"idle_timeout_ms", 600'000},
                                 {"for_ms", 7'200'000},
                                 {"proxy", "v2"},
                                 {"max_flows", 9},
                                 {"max_per_source", 2},
                                 {"rate", 7}}));
}

TEST_F(MapOptions, NetworksMayBeRepeatedOrListed) {
  type("map auto client1:unix:/run/app.sock --allow 10.0.0.0/8,192.0.2.1 --allow 2001:db8::/32 --deny 10.1.0.0/16");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].args["target"], "unix:/run/app.sock");
  EXPECT_EQ(asked[0].args["allow"], json({"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}));
  EXPECT_EQ(asked[0].args["deny"], json({"10.1.0.0/16"}));
}

TEST_F(MapOptions, MistakesAskNothing) {
  const std::pair<const char*, const char*> cases[] = {
      {"map 1 a:1 --for soon", "--for: 'soon' is not a duration"},
      {"map 1 a:1 --rate fast", "--rate 'fast': expected a whole number from 0 to 1000000"},
      {"map 1 a:1 --rate 1000001", "--rate '1000001'"},
      {"map 1 a:1 --max-flows -1", "max-flows"},
      {"map 1 a:1 --leg tls --leg tls", "--leg is given twice"},
      {"allow", "a public endpoint is missing"},
      {"allow 8888", "a network is missing, such as 10.0.0.0/8; or --clear"},
      {"limit 8888", "no limit is given"},
      {"limit", "one argument expected"},
      {"agent set client1", "nothing to set"},
      {"agent rename client1", "two arguments expected, one given"},
      {"check", "one argument expected"},
  };
  for (const auto& [line, why] : cases) {
    const Outcome outcome = type(line);
    EXPECT_EQ(outcome.exit_code, NFR_EXIT_USAGE) << line;
    EXPECT_THAT(outcome.err, HasSubstr(why)) << line;
    EXPECT_TRUE(asked.empty()) << line;
  }
}

TEST_F(MapOptions, TheLineSaysWhatHolds) {
  answers["map"] = mapped();
  const std::string plain =
      "203.0.113.5:8888 -> client1 127.0.0.1:3306   target answers in 0.4 ms   leg plain   tier user";
  EXPECT_EQ(type("map 8888 client1:3306").out, plain + "\n");
  answers["map"].update({{"automatic", true}, {"expires", kNow + 3600}, {"allow", {"10.0.0.0/8"}}, {"proxy", "v1"}});
  EXPECT_EQ(type("map auto client1:3306").out,
            plain + "   allow 1, proxy v1   ends Tue 14 Nov 23:13 UTC   (the same next time)\n");
}

TEST_F(MapOptions, CheckAsksAndTellsTheSame) {
  answers["check"] = mapped();
  EXPECT_THAT(type("check 8888").out, HasSubstr("target answers in 0.4 ms"));
  EXPECT_EQ(asked[0].args, json({{"public", "8888"}}));
}

TEST_F(MapOptions, MapsShowsOriginEndAndRules) {
  json mapping = mapped();
  mapping.update({{"state", "ok"},
                  {"origin", "agent"},
                  {"expires", kNow + 7200},
                  {"allow", {"10.0.0.0/8", "192.0.2.1/32"}},
                  {"max_per_source", 5},
                  {"rate", 10}});
  answers["maps"] = {{"mappings", {mapping}}};
  EXPECT_EQ(type("maps").out,
            "PUBLIC    AGENT    TARGET          LEG    FLOWS  IN   OUT  IDLE  BY     ENDS IN  "
            "RULES                      STATE\n"
            "8888/tcp  client1  127.0.0.1:3306  plain  0      0 B  0 B  -     agent  2 h      "
            "allow 2, 5 a source, 10/s  ok\n");
}

TEST_F(MapOptions, ListsAreChangedThroughAdmit) {
  type("allow 8888 10.0.0.0/8,192.0.2.1 2001:db8::/32");
  type("allow 8888 --clear");
  type("deny 8888 --clear 10.0.0.0/8");
  type("limit 8888 --max-flows 0 --rate 3");
  ASSERT_EQ(asked.size(), 4U);
  for (const Call& call : asked) EXPECT_EQ(call.cmd, "admit");
  EXPECT_EQ(asked[0].args, json({{"public", "8888"}, {"allow_add", {"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}}}));
  EXPECT_EQ(asked[1].args, json({{"public", "8888"}, {"allow_clear", true}}));
  EXPECT_EQ(asked[2].args, json({{"public", "8888"}, {"deny_add", {"10.0.0.0/8"}}, {"deny_clear", true}}));
  EXPECT_EQ(asked[3].args, json({{"public", "8888"}, {"max_flows", 0}, {"rate", 3}}));
}

TEST_F(MapOptions, AChangeTellsFlowsAndLeg) {
  answers["admit"] = {{"public", "8888/tcp"},
                      {"leg", "tls"},
                      {"leg_changed", true},
                      {"flows_cut", 1},
                      {"flows_running", 2},
                      {"max_flows", 5},
                      {"allow", {"10.0.0.0/8"}},
                      {"deny", {"10.9.0.0/16"}},
                      {"rate", 3}};
  EXPECT_EQ(type("allow 8888 10.0.0.0/8").out,
            "8888/tcp takes visitors from 10.0.0.0/8 except 10.9.0.0/16; at most 5 flows, 3 new flows/s a source\n"
            "1 running flow cut, 2 go on\n"
            "new flows now use leg tls and tier user\n");
  answers["admit"] = {{"public", "8888/tcp"}, {"leg", "plain"}};
  EXPECT_EQ(type("allow 8888 --clear").out, "8888/tcp takes visitors from everywhere\nno flow was running\n");
}

TEST_F(MapOptions, RightsOfAgents) {
  answers["agent.set"] = {{"name", "client1"},
                          {"rights", {{"ports", "8000-8999,auto"}, {"max_mappings", 20}, {"max_flows", 500}}},
                          {"withdrawn", 1}};
  EXPECT_EQ(type("agent set client1 --ports 8000-8999,auto --max-mappings 20 --max-flows 500").out,
            "client1 may publish on ports 8000-8999,auto by itself, 20 mappings, 500 flows at once; 1 of its own was "
            "outside of that and is removed\n");
  EXPECT_EQ(asked[0].args,
            json({{"name", "client1"}, {"ports", "8000-8999,auto"}, {"max_mappings", 20}, {"max_flows", 500}}));
  answers["agent.rename"] = {{"name", "home"}, {"from", "client1"}};
  EXPECT_THAT(type("agent rename client1 home").out, HasSubstr("client1 is now called home"));
  EXPECT_EQ(asked[1].args, json({{"name", "client1"}, {"to", "home"}}));
  answers["agent.list"] = {{"agents", {{{"name", "home"}, {"state", "away"}, {"rights", {{"ports", "auto"}}}}}}};
  EXPECT_THAT(type("agents").out, HasSubstr("  auto   -\n"));
}

TEST_F(MapOptions, ReloadNamesWhatWaits) {
  answers["reload"] = {{"needs_restart", {"listen"}}};
  const Outcome outcome = type("reload");
  EXPECT_EQ(outcome.out, "the configuration is reloaded\n");
  EXPECT_EQ(outcome.err, "warning: listen changes at the next start only\n");
}

}  // namespace
}  // namespace nfr::nfctl
