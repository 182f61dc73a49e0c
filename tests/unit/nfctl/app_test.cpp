// SPDX-License-Identifier: GPL-2.0-only
// The command line as a whole: what each command asks the relay, exit codes, help, typing errors, where the socket is.
#include "nfctl/app.hpp"

#include <set>

#include "nfctl/commands.hpp"
#include "unit/nfctl/fixture.hpp"

namespace nfr::nfctl {
namespace {

using App = NfctlTest;

TEST_F(App, EveryCommandAsksWhatTheContractNames) {
  const std::map<std::string, std::pair<std::string, json>> cases = {
      {"agent add client1", {"agent.add", {{"name", "client1"}}}},
      {"agent list", {"agent.list", json::object()}},
      {"agents", {"agent.list", json::object()}},
      {"agent revoke client1", {"agent.revoke", {{"name", "client1"}}}},
      {"agent rejoin client1", {"agent.rejoin", {{"name", "client1"}}}},
      {"agent remove client1", {"agent.remove", {{"name", "client1"}}}},
      {"map 8888 client1:3306", {"map", {{"public", "8888"}, {"agent", "client1"}, {"target", "3306"}}}},
      {"map 8888 client1:[::1]:22 --leg tls --idle 10m",
       {"map",
        {{"public", "8888"},
         {"agent", "client1"},
         {"target", "[::1]:22"},
         {"leg", "tls"},
         {"idle_timeout_ms", 600000}}}},
      {"unmap 8888", {"unmap", {{"public", "8888"}, {"now", false}}}},
      {"unmap --now 8888", {"unmap", {{"public", "8888"}, {"now", true}}}},
      {"maps", {"maps", json::object()}},
      {"flows", {"flows", {{"recent", false}}}},
      {"flows --recent", {"flows", {{"recent", true}}}},
      {"status", {"status", json::object()}},
      {"key rotate", {"key.rotate", json::object()}},
      {"key show", {"key.show", json::object()}},
      {"version", {"version", json::object()}},
      {"--version", {"version", json::object()}},
      {"--socket /x/s --json maps", {"maps", json::object()}},
  };
  for (const auto& [line, expected] : cases) {
    relay_answers(json::object());
    const Outcome outcome = type(line);
    EXPECT_EQ(outcome.exit_code, NFR_EXIT_OK) << line << ": " << outcome.err;
    ASSERT_TRUE(asked) << line;
    EXPECT_EQ(asked->cmd, expected.first) << line;
    EXPECT_EQ(asked->args, expected.second) << line;
  }
}

TEST_F(App, EveryCommandOfTheContractIsReached) {
  std::set<std::string> names;
#define NFR_NAME(name, text) names.insert(name);
  NFR_ADMIN_COMMANDS(NFR_NAME)
#undef NFR_NAME
  for (const Command& command : all_commands()) {
    std::string name = command.name;
    if (const std::size_t space = name.find(' '); space != std::string::npos) name[space] = '.';
    names.erase(name == "limit" || name == "allow" ? "admit" : name);
  }
  EXPECT_TRUE(names.empty()) << *names.begin();
}

TEST_F(App, WrongUseIsExitCodeTwoAndAsksNothing) {
  const std::pair<const char*, const char*> cases[] = {
      {"map", "two arguments expected, none given"},
      {"map 8888", "two arguments expected, one given"},
      {"map 8888 client1:1 extra", "'extra' is one argument too many"},
      {"map 8888 client1", "'client1': expected AGENT:TARGET, such as client1:3306"},
      {"map 8888 :3306", "expected AGENT:TARGET"},
      {"map 8888 client1:", "expected AGENT:TARGET"},
      {"map 8888 client1:1 --idle soon", "--idle: 'soon' is not a duration"},
      {"map 8888 client1:1 --leg", "leg"},
      {"map 8888 client1:1 --leg tls --leg plain", "--leg is given twice"},
      {"unmap", "one argument expected, none given"},
      {"maps --recent", "recent"},
      {"agent add", "one argument expected"},
      {"agent", "agent: a verb is missing"},
      {"agent frob x", "unknown command 'agent frob'"},
      {"frob", "unknown command 'frob'"},
      {"mapss", "did you mean 'maps'?"},
      {"staus", "did you mean 'status'?"},
      {"add", "did you mean 'agent add'?"},
      {"--frob", "frob"},
      {"help frob", "unknown command 'frob'"},
  };
  for (const auto& [line, reason] : cases) {
    const Outcome outcome = type(line);
    EXPECT_EQ(outcome.exit_code, NFR_EXIT_USAGE) << line;
    EXPECT_NE(outcome.err.find(reason), std::string::npos) << line << " -> " << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("error: ")) << outcome.err;
    EXPECT_EQ(outcome.out, "") << line;
    EXPECT_FALSE(asked) << line;
  }
}

TEST_F(App, WhatWasTypedComesBackEscaped) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"\x1b[2J"},
                                                                                     {"agent", "\x1b[2J"},
                                                                                     {"map", "1", "\x1b[2J"},
                                                                                     {"maps", "--\x1b[2J"},
                                                                                     {"unmap", "1", "\x1b["}}) {
    const Outcome outcome = run(words, environment());
    EXPECT_EQ(outcome.exit_code, NFR_EXIT_USAGE);
    EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos) << outcome.err;
  }
}

TEST_F(App, WithoutACommandTheHelpIsShownAsAnError) {
  const Outcome outcome = type("");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_USAGE);
  EXPECT_EQ(outcome.err, type("help").out);
}

TEST_F(App, HelpIsReachedInEveryWayAndNamesEverything) {
  const std::string general = type("help").out;
  EXPECT_EQ(type("--help").out, general);
  EXPECT_EQ(type("-h").out, general);
  for (const Command& command : all_commands()) {
    EXPECT_NE(general.find(command.summary), std::string::npos) << command.name;
    const Outcome help = type("help " + command.name);
    EXPECT_EQ(help.exit_code, NFR_EXIT_OK);
    EXPECT_TRUE(help.out.starts_with("usage: nfctl " + command.name)) << help.out;
    EXPECT_EQ(type(command.name + " --help").out, help.out) << command.name;
    for (const Option& option : command.options) EXPECT_NE(help.out.find("--" + option.name), std::string::npos);
  }
  EXPECT_NE(type("help agent").out.find("agent rejoin NAME"), std::string::npos);
  EXPECT_EQ(type("agent --help").out, type("help agent").out);
  EXPECT_FALSE(asked);
}

TEST_F(App, HelpFitsATerminal) {
  for (const Command& command : all_commands()) {
    for (const std::string& text : {type("help").out, type("help " + command.name).out}) {
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 120U) << line;
    }
  }
}

TEST_F(App, ARefusalOfTheRelayIsExitCodeOneOrFour) {
  relay_refuses(Code::kNotFound, "agent 'client9' does not exist: nfctl agents lists them");
  Outcome outcome = type("agent revoke client9");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_FAILED);
  EXPECT_EQ(outcome.err, "error: agent 'client9' does not exist: nfctl agents lists them\n");
  relay_refuses(Code::kDenied, "uid 1000 may not");
  EXPECT_EQ(type("maps").exit_code, NFR_EXIT_NOT_PERMITTED);
}

TEST_F(App, NoWayToTheRelayIsExitCodeThreeOrFour) {
  way_there = Error(Code::kUnavailable, "no relay listens at /run/netferry/ctl.sock");
  Outcome outcome = type("maps");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_UNREACHABLE);
  EXPECT_EQ(outcome.err, "error: no relay listens at /run/netferry/ctl.sock\n");
  way_there = Error(Code::kDenied, "join the group netferry, or use sudo");
  EXPECT_EQ(type("maps").exit_code, NFR_EXIT_NOT_PERMITTED);
  way_there = Error(Code::kProtocol, "answer: not JSON");
  EXPECT_EQ(type("maps").exit_code, NFR_EXIT_UNREACHABLE);
}

TEST_F(App, VersionSpeaksWithoutARelayButNotAsJson) {
  way_there = Error(Code::kUnavailable, "nobody listens");
  const Outcome outcome = type("version");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_OK);
  EXPECT_EQ(outcome.out, "nfctl    " NFR_VERSION " (admin API 1)\nnfrelayd: nobody listens\n");
  EXPECT_EQ(type("version --json").exit_code, NFR_EXIT_UNREACHABLE);
  way_there.reset();
  relay_answers({{"version", "9.9"}, {"api", 1}});
  EXPECT_NE(type("version").out.find("nfrelayd 9.9 (admin API 1)\n"), std::string::npos);
}

TEST_F(App, JsonIsTheAnswerItselfInAscii) {
  relay_answers({{"mappings", json::array()}, {"note", "\x1b[31m\xc3\xbc"}});
  Outcome outcome = type("maps --json");
  EXPECT_EQ(json::parse(outcome.out), answer.result);
  for (const char c : outcome.out) EXPECT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7F));
  relay_refuses(Code::kExists, "port 8888 belongs to client1");
  outcome = type("--json map 8888 client2:1");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_FAILED);
  EXPECT_EQ(json::parse(outcome.out)["error"]["code"], "exists");
  EXPECT_EQ(outcome.err, "error: port 8888 belongs to client1\n");
}

TEST_F(App, TheSocketIsFoundInTheOrderThatTheDocsGive) {
  EXPECT_EQ((type("maps"), asked_at), NFR_ADMIN_SOCKET_PATH);
  variables = {{"XDG_RUNTIME_DIR", "/run/user/7"}};
  existing_file = "/run/user/7/netferry/ctl.sock";
  EXPECT_EQ((type("maps"), asked_at), NFR_ADMIN_SOCKET_PATH) << "root has the system's relay";
  root = false;
  EXPECT_EQ((type("maps"), asked_at), "/run/user/7/netferry/ctl.sock");
  existing_file = "";
  EXPECT_EQ((type("maps"), asked_at), NFR_ADMIN_SOCKET_PATH) << "no relay of one's own";
  variables["NETFERRY_RUN"] = "/r";
  EXPECT_EQ((type("maps"), asked_at), "/r/ctl.sock");
  variables["NETFERRY_SOCKET"] = "/s";
  EXPECT_EQ((type("maps"), asked_at), "/s");
  EXPECT_EQ((type("maps --socket /flag"), asked_at), "/flag");
  EXPECT_EQ((type("--socket=/flag2 maps"), asked_at), "/flag2");
  variables["NETFERRY_SOCKET"] = "";
  EXPECT_EQ((type("maps"), asked_at), "/r/ctl.sock") << "an empty variable is unset";
}

}  // namespace
}  // namespace nfr::nfctl
