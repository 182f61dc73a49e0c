// SPDX-License-Identifier: GPL-2.0-only
// nfagent's command line: the verbs, where a join line may come from, and what is said about everything else.
#include "agent/options.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "harness/temp_dir.hpp"

namespace nfr::agent {
namespace {

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    for (const char* name : {"NETFERRY_JOIN", "NETFERRY_CONFIG", "NETFERRY_STATE", "NETFERRY_RUN"}) ::unsetenv(name);
    std::ofstream(config()) << "reconnect_min_ms = 700\n";
  }
  ~OptionsTest() override { ::unsetenv("NETFERRY_JOIN"); }

  std::string config() const { return directory.file("agent.toml"); }

  /// With --config and the directories given, so that nothing of the machine is read.
  Result<ParsedCommandLine> parse(std::vector<std::string> words) {
    for (const std::string& word : {std::string("--config"), config(), std::string("--state"), directory.file("s"),
                                    std::string("--run"), directory.file("r")}) {
      words.push_back(word);
    }
    return parse_alone(std::move(words));
  }
  static Result<ParsedCommandLine> parse_alone(std::vector<std::string> words) {
    words.insert(words.begin(), "nfagent");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    return parse_command_line(static_cast<int>(argv.size()), argv.data());
  }
  std::string error_of(const std::vector<std::string>& words) {
    const auto parsed = parse(words);
    return parsed ? "(accepted)" : parsed.error().message();
  }

  test::TempDir directory;
};

TEST_F(OptionsTest, RunWithFlagsAndConfig) {
  const auto parsed = parse({"run"});
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->options->verb, Verb::kRun);
  EXPECT_EQ(parsed->options->directories.state, directory.file("s"));
  EXPECT_EQ(parsed->options->directories.run, directory.file("r"));
  EXPECT_EQ(parsed->options->config.reconnect_min, Millis{700});
}

TEST_F(OptionsTest, AJoinLineFromEveryPlace) {
  EXPECT_EQ(parse({"join", "nf1.abc"})->options->join_text, "nf1.abc");
  std::ofstream(directory.file("line")) << "nf1.file\n";
  EXPECT_EQ(parse({"join", "--file", directory.file("line")})->options->join_text, "nf1.file\n");
  ::setenv("NETFERRY_JOIN", "nf1.variable", 1);
  EXPECT_EQ(parse({"join"})->options->join_text, "nf1.variable");
  EXPECT_EQ(parse({"join", "nf1.word"})->options->join_text, "nf1.word") << "the command line comes first";
  ::setenv("NETFERRY_JOIN", "", 1);
  EXPECT_NE(error_of({"join"}).find("needs the line that `nfctl agent add NAME` printed"), std::string::npos);
  EXPECT_NE(error_of({"join", "a", "b"}).find("join takes one line"), std::string::npos);
  EXPECT_NE(error_of({"join", "--file", directory.file("none")}).find("none does not exist"), std::string::npos);
  std::ofstream(directory.file("long")) << std::string(9000, 'x');
  EXPECT_NE(error_of({"join", "--file", directory.file("long")}).find("larger than 8192 bytes"), std::string::npos);
}

TEST_F(OptionsTest, AllowTakesAnyNumberOfRules) {
  EXPECT_TRUE(parse({"allow"})->options->rules.empty());
  const auto parsed = parse({"allow", "lan", "10.0.0.1:22"});
  EXPECT_EQ(parsed->options->verb, Verb::kAllow);
  EXPECT_EQ(parsed->options->rules, (std::vector<std::string>{"lan", "10.0.0.1:22"}));
}

TEST_F(OptionsTest, MistakesAreNamedAndEscaped) {
  EXPECT_EQ(error_of({}), "what to do? join, run, expose, status or allow; see nfagent --help");
  EXPECT_EQ(error_of({"frob\x1b"}),
            "'frob\\x1b' is no command of nfagent: join, run, expose, status or allow; see nfagent --help");
  EXPECT_EQ(error_of({"run", "x"}), "run takes no 'x'; see nfagent --help");
  EXPECT_NE(error_of({"run", "--frob"}).find("frob"), std::string::npos);
  EXPECT_NE(parse_alone({"run", "--state"}).error().message().find("state"), std::string::npos);
  std::ofstream(config()) << "reconnect_min = 5\n";
  EXPECT_NE(error_of({"run"}).find("agent.toml, line 1: unknown key 'reconnect_min'; did you mean 'reconnect_min_ms'?"),
            std::string::npos);
}

TEST_F(OptionsTest, HelpAndVersionNeedNothing) {
  const auto help = parse_alone({"--help"});
  ASSERT_TRUE(help);
  for (const char* flag : {"--config", "--state", "--run", "--file", "--version", "join LINE", "allow"}) {
    EXPECT_NE(help->print.find(flag), std::string::npos) << flag;
  }
  EXPECT_FALSE(help->options);
  EXPECT_EQ(parse_alone({"--version"})->print, "nfagent " NFR_VERSION "\n");
}

}  // namespace
}  // namespace nfr::agent
