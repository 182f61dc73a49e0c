// SPDX-License-Identifier: GPL-2.0-only
// What people see: each command's answer as text, empty lists that say what to do, answers with strange members,
// and names that carry terminal escapes.
#include "unit/nfctl/fixture.hpp"

namespace nfr::nfctl {
namespace {

using Render = NfctlTest;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

json agent(const std::string& name, const std::string& state) {
  return {{"name", name},  {"state", state}, {"since", 1'699'999'760}, {"address", "203.0.113.9"}, {"key", "3f9a 77c1"},
          {"mappings", 2}, {"flows", 0}};
}

TEST_F(Render, AgentAddPrintsALineToPaste) {
  relay_answers({{"name", "client1"}, {"join_line", "nf1." + std::string(300, 'A')}, {"expires", 1'700'086'400}});
  EXPECT_EQ(type("agent add client1").out,
            "Run this on the machine behind NAT (works once, until Wed 15 Nov 22:13 UTC):\n  nfagent join nf1." +
                std::string(300, 'A') + "\n");
}

TEST_F(Render, AgentListIsATableOfAlignedColumns) {
  relay_answers({{"agents", {agent("client1", "connected"), agent("a-much-longer-name", "away")}}});
  const auto lines = lines_of(type("agents").out);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "NAME                STATE      FOR    ADDRESS      KEY        MAPPINGS  FLOWS  PORTS  NOTE");
  EXPECT_EQ(lines[1], "client1             connected  4 min  203.0.113.9  3f9a 77c1  2         0      -      -");
  EXPECT_EQ(lines[2], "a-much-longer-name  away       4 min  203.0.113.9  3f9a 77c1  2         0      -      -");
}

TEST_F(Render, ColoursChangeNothingButColours) {
  relay_answers({{"agents", {agent("client1", "connected"), agent("client2", "revoked")}}});
  const std::string plain = type("agents").out;
  colour = true;
  std::string coloured = type("agents").out;
  EXPECT_NE(coloured, plain);
  for (std::size_t at = coloured.find('\x1b'); at != std::string::npos; at = coloured.find('\x1b')) {
    coloured.erase(at, coloured.find('m', at) - at + 1);
  }
  EXPECT_EQ(coloured, plain);
}

TEST_F(Render, HostileTextStaysInItsCell) {
  json evil = agent("client1\n\x1b[2Jroot  connected", "away");
  evil["note"] = std::string("\xe2\x80\xae\xff  x\ty");
  relay_answers({{"agents", {evil}}});
  const std::string out = type("agents").out;
  EXPECT_EQ(lines_of(out).size(), 2U) << "a newline makes no row";
  EXPECT_EQ(out.find('\x1b'), std::string::npos);
  EXPECT_NE(out.find("client1\\x0a\\x1b[2Jroot connected"), std::string::npos) << "two spaces make no column: " << out;
  EXPECT_NE(out.find("\\xe2\\x80\\xae\\xff x\\x09y"), std::string::npos) << out;
}

TEST_F(Render, ErrorsKeepTheRelaysBackslashesAndLoseControls) {
  relay_refuses(Code::kInvalid, "'\\x1b[2J' is not an agent name\x1b[31m\n");
  EXPECT_EQ(type("maps").err, "error: '\\x1b[2J' is not an agent name\\x1b[31m\\x0a\n");
}

TEST_F(Render, EmptyListsSayWhatToDo) {
  relay_answers(json::object());
  EXPECT_EQ(type("agents").out, "no agents yet: nfctl agent add NAME\n");
  EXPECT_NE(type("maps").out.find("nfctl map 8888 client1:3306"), std::string::npos);
  EXPECT_NE(type("flows").out.find("nfctl flows --recent"), std::string::npos);
  relay_answers({{"events", json::array()}});
  EXPECT_NE(type("flows --recent").out.find("nothing happened"), std::string::npos);
}

TEST_F(Render, MapSaysWhetherTheTargetAnswers) {
  json result = {{"public", "8888/tcp"},
                 {"address", "203.0.113.5:8888"},
                 {"agent", "client1"},
                 {"target", "127.0.0.1:3306"},
                 {"leg", "plain"},
                 {"tier", "user"},
                 {"probe", {{"state", "answers"}, {"text", ""}, {"ms", 0.4}}},
                 {"warnings", {"port 8888 is below\x1b[1m 1024"}}};
  relay_answers(result);
  Outcome outcome = type("map 8888 client1:3306");
  EXPECT_EQ(outcome.out,
            "203.0.113.5:8888 -> client1 127.0.0.1:3306   target answers in 0.4 ms   leg plain   tier user\n");
  EXPECT_EQ(outcome.err, "warning: port 8888 is below\\x1b[1m 1024\n");
  const std::pair<const char*, const char*> states[] = {{"refused", "target refuses the connection: why"},
                                                        {"no_answer", "target does not answer: why"},
                                                        {"agent_away", "visitors are refused until it connects: why"},
                                                        {"not_allowed", "the agent does not allow this target: why"},
                                                        {"moon", "target: moon: why"}};
  for (const auto& [state, text] : states) {
    result["probe"] = {{"state", state}, {"text", "why"}};
    relay_answers(result);
    EXPECT_NE(type("map 8888 client1:3306").out.find(text), std::string::npos) << state;
  }
}

TEST_F(Render, UnmapCountsInPlainWords) {
  relay_answers({{"public", "8888/tcp"}, {"flows_running", 1}, {"flows_cut", 0}});
  EXPECT_EQ(type("unmap 8888").out, "8888/tcp is unmapped, 1 flow goes on until it ends\n");
  relay_answers({{"public", "8888/tcp"}, {"flows_running", 3}});
  EXPECT_EQ(type("unmap 8888").out, "8888/tcp is unmapped, 3 flows go on until they end\n");
  relay_answers({{"public", "8888/tcp"}, {"flows_cut", 2}});
  EXPECT_EQ(type("unmap 8888 --now").out, "8888/tcp is unmapped, 2 flows cut\n");
  relay_answers({{"public", "8888/tcp"}});
  EXPECT_EQ(type("unmap 8888").out, "8888/tcp is unmapped\n");
}

TEST_F(Render, FlowsAndEvents) {
  relay_answers({{"flows",
                  {{{"visitor", "198.51.100.7:40000"},
                    {"public", "8888/tcp"},
                    {"agent", "client1"},
                    {"leg", "tls"},
                    {"tier", "user"},
                    {"why", "leg tls"},
                    {"age_ms", 250'000},
                    {"in_bytes", 310},
                    {"out_bytes", 880'000'000},
                    {"state", "running"}}}}});
  auto lines = lines_of(type("flows").out);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1],
            "198.51.100.7:40000  8888/tcp  client1  tls  user  leg tls         4 min  310 B  880 MB  running");
  const json event = {{"visitor", "198.51.100.7:40000"}, {"public", "8888/tcp"}, {"verdict", "refused"},
                      {"detail", "connection refused"},  {"in_bytes", 0},        {"out_bytes", 0}};
  json today = event, before = event, absurd = event;
  today["time"] = std::uint64_t{1'699'999'999'500};
  before["time"] = std::uint64_t{1'699'900'000'000};
  absurd["time"] = UINT64_MAX;
  relay_answers({{"events", {today, before, absurd}}});
  lines = lines_of(type("flows --recent").out);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_TRUE(lines[1].starts_with("22:13:19 ")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with("13 Nov 18:26:40 ")) << lines[2];
  EXPECT_TRUE(lines[3].starts_with("31 Dec 23:59:59 ")) << lines[3];
}

TEST_F(Render, StatusShowsTiersLimitsAndWhatIsMissing) {
  relay_answers({{"address", "203.0.113.5"},
                 {"uptime_s", 3 * 86400},
                 {"agents", 1},
                 {"agents_connected", 1},
                 {"mappings", 2},
                 {"flows", 0},
                 {"tiers", {{{"name", "user"}, {"on", true}, {"text", "io_uring"}}}},
                 {"limits", {{"flows", {{"used", 0}, {"max", 200'000}}}}},
                 {"pool",
                  {{"ready", 3},
                   {"asked", 1},
                   {"wanted", 4},
                   {"max", 512},
                   {"hits", 70},
                   {"misses", 5},
                   {"aged", 6},
                   {"died", 1},
                   {"failed", 0},
                   {"given_up", 2}}},
                 {"shortage", "the descriptors are used up"},
                 {"single", true},
                 {"missing", {"ports below 1024: run as root"}},
                 {"relay_key", "3f9a 77c1"},
                 {"next_key", "0000 0001"}});
  EXPECT_EQ(type("status").out,
            "relay 203.0.113.5  up 3 d  1 agent (1 connected)  2 mappings  0 flows\n"
            "user     on   io_uring\n"
            "limits   flows 0 of 200000\n"
            "pool     3 ready, 1 asked for, 4 wanted, at most 512; visitors: 70 found one, 5 did not; ended: 6 by age, "
            "1 broke, 0 failed, 2 given up\n"
            "short    the descriptors are used up\n"
            "keys     3f9a 77c1, next 0000 0001\n"
            "single   one process does everything, without a holder\n"
            "missing  ports below 1024: run as root\n");
}

TEST_F(Render, AnswersOfAnyShapeAreSurvived) {
  const json strange[] = {nullptr,
                          5,
                          "text",
                          json::array({1}),
                          {{"agents", 5}},
                          {{"agents", {nullptr, 1, "x", {}}}},
                          {{"mappings", {{{"flows", -3}, {"state", {}}, {"idle_timeout_ms", "x"}}}}},
                          {{"flows", {{{"age_ms", 1e300}, {"in_bytes", UINT64_MAX}}}}},
                          {{"events", {nullptr, 1}}},
                          {{"probe", 7}, {"warnings", {1, nullptr}}},
                          {{"expires", UINT64_MAX}, {"join_line", 9}},
                          {{"tiers", {1, {{"text", 4}}}}, {"limits", {{"x", 1}}}, {"uptime_s", UINT64_MAX}},
                          {{"sessions_told", "many"}, {"current", {1}}}};
  for (const json& result : strange) {
    for (const char* line : {"agents", "agent add x", "agent revoke x", "agent remove x", "maps", "map 1 a:1",
                             "unmap 1", "flows", "status", "key show", "key rotate", "version"}) {
      relay_answers(result);
      const Outcome outcome = type(line);
      EXPECT_EQ(outcome.exit_code, NFR_EXIT_OK);
      EXPECT_TRUE(outcome.out.ends_with("\n")) << line << " " << result;
    }
  }
}

}  // namespace
}  // namespace nfr::nfctl
