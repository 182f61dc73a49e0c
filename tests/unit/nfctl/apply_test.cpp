// SPDX-License-Identifier: GPL-2.0-only
// apply and export: the file becomes the request, the plan becomes a diff, and what export prints apply takes.
#include "unit/nfctl/made_up_relay.hpp"

namespace nfr::nfctl {
namespace {

using ::testing::HasSubstr;
using Apply = MadeUpRelay;

const json kEverySetting = {{"public", "203.0.113.5:5000-5001/tcp"},
                            {"agent", "client1"},
                            {"target", "db.lan:5000-5001"},
                            {"leg", "tls"},
                            {"idle_timeout_ms", 90'000},
                            {"proxy", "v2"},
                            {"allow", {"10.0.0.0/8", "2001:db8::/32"}},
                            {"deny", {"10.9.0.0/16"}},
                            {"max_flows", 100},
                            {"max_per_source", 5},
                            {"rate", 10}};

TEST_F(Apply, ExportIsWhatApplyAsksFor) {
  const json mappings = {{{"public", "8888/tcp"}, {"agent", "client1"}, {"target", "127.0.0.1:3306"}},
                         {{"public", "auto"}, {"agent", "home"}, {"target", "unix:/run/a \"b\"c.sock"}},
                         kEverySetting};
  answers["export"] = {{"mappings", mappings}};
  const Outcome exported = type("export");
  EXPECT_EQ(exported.err, "");
  files["-"] = exported.out;
  asked.clear();
  EXPECT_EQ(type("apply - --dry-run").exit_code, NFR_EXIT_OK);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].cmd, "apply");
  EXPECT_EQ(asked[0].args, json({{"mappings", mappings}, {"dry_run", true}}));
}

TEST_F(Apply, AnEmptyRelayExportsAFileThatIsTaken) {
  files["m"] = type("export").out;
  asked.clear();
  EXPECT_EQ(type("apply m").exit_code, NFR_EXIT_OK);
  EXPECT_EQ(asked[0].args["mappings"], json::array());
}

TEST_F(Apply, WhatCannotBeWrittenIsSaid) {
  answers["export"] = {{"mappings", {{{"public", "53/quic"}, {"agent", "a"}, {"target", "1"}}}}};
  EXPECT_THAT(type("export").err, HasSubstr("warning: left out: public endpoint '53/quic'"));
}

TEST_F(Apply, ThePlanIsADiff) {
  json changed = kEverySetting;
  changed["before"] = kEverySetting;
  changed["before"]["leg"] = "plain";
  changed["before"].erase("rate");
  json ended = {{"public", "auto"}, {"port", "31000/tcp"}, {"agent", "a"}, {"target", "127.0.0.1:9"}};
  ended["before"] = ended;
  answers["apply"] = {{"dry_run", false},
                      {"added", {{{"public", "1/tcp"}, {"agent", "a"}, {"target", "127.0.0.1:1"}, {"leg", "tls"}}}},
                      {"removed", {{{"public", "2/tcp"}, {"agent", "b"}, {"target", "127.0.0.1:2"}}}},
                      {"changed", {changed, ended}},
                      {"unchanged", 7}};
  files["m"] = "";
  EXPECT_EQ(type("apply m").out,
            "+ 1/tcp -> a 127.0.0.1:1   leg tls\n"
            "- 2/tcp -> b 127.0.0.1:2\n"
            "~ 203.0.113.5:5000-5001/tcp -> client1 db.lan:5000-5001   leg plain -> tls; rate unset -> 10\n"
            "~ auto (31000/tcp) -> a 127.0.0.1:9   lasts from now on\n"
            "1 added, 1 removed, 2 changed, 7 unchanged\n");
  answers["apply"]["dry_run"] = true;
  EXPECT_THAT(type("apply m --dry-run").out,
              HasSubstr("1 to add, 1 to remove, 2 to change, 7 unchanged (dry run: nothing was changed)\n"));
  colour = true;
  EXPECT_THAT(type("apply m").out, HasSubstr("\x1b[32m+ 1/tcp"));
}

TEST_F(Apply, AWrongFileIsExitCodeOneAndAsksNothing) {
  files["bad.toml"] = "\n[[mapping]]\npublic = 70000\nagent = 'a'\ntarget = 1\n";
  Outcome outcome = type("apply bad.toml");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_FAILED);
  EXPECT_THAT(outcome.err, HasSubstr("error: bad.toml, line 3: public = 70000: "));
  files["-"] = "[[maping]]\n";
  EXPECT_THAT(type("apply -").err, HasSubstr("standard input, line 1: unknown key 'maping'; did you mean 'mapping'?"));
  EXPECT_THAT(type("apply none").err, HasSubstr("none does not exist"));
  EXPECT_EQ(type("apply").exit_code, NFR_EXIT_USAGE);
  EXPECT_EQ(type("apply none none").exit_code, NFR_EXIT_USAGE);
  EXPECT_TRUE(asked.empty());
}

}  // namespace
}  // namespace nfr::nfctl
