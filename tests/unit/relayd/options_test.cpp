// SPDX-License-Identifier: GPL-2.0-only
// nfrelayd's command line: what wins over what, the arguments of the process the holder starts, and mistakes.
#include "relayd/options.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "harness/temp_dir.hpp"

namespace nfr::relayd {
namespace {

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    for (const char* name : {"NETFERRY_CONFIG", "NETFERRY_STATE", "NETFERRY_RUN", "NETFERRY_BPFFS"}) ::unsetenv(name);
    write("public = [\"203.0.113.5\"]\nuser = \"nobody\"\n");
  }
  void write(const std::string& text) { std::ofstream(directory.file("relay.toml")) << text; }
  Result<ParsedCommandLine> parse(std::vector<std::string> words) {
    words.insert(words.begin(), {"nfrelayd", "--config", directory.file("relay.toml"), "--state", directory.file("s"),
                                 "--run", directory.file("r"), "--bpffs", directory.file("b")});
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

TEST_F(OptionsTest, FlagsWinOverTheConfig) {
  auto parsed = parse({});
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->options->user, "nobody");
  EXPECT_EQ(parsed->options->directories.state, directory.file("s"));
  EXPECT_EQ(parsed->options->single, ::geteuid() != 0);
  EXPECT_FALSE(parsed->options->relay_channel);
  EXPECT_EQ(*public_hosts(*parsed->options), std::vector<std::string>{"203.0.113.5"});
  parsed = parse({"--user", "daemon", "--single"});
  EXPECT_EQ(parsed->options->user, "daemon");
  EXPECT_TRUE(parsed->options->single);
}

TEST_F(OptionsTest, OnlyAGuessedPrivateAddressIsDoubted) {
  EXPECT_NE(public_host_doubt({"10.0.0.4"}, false, "relay.toml").find("set public = [\"ADDRESS\"] in relay.toml"),
            std::string::npos);
  EXPECT_EQ(public_host_doubt({"10.0.0.4"}, true, "relay.toml"), "");
  EXPECT_EQ(public_host_doubt({"203.0.113.5", "10.0.0.4"}, false, "relay.toml"), "");
  EXPECT_EQ(public_host_doubt({"relay.example"}, false, "relay.toml"), "");
}

TEST_F(OptionsTest, TheRelayProcessGetsTheSameInstance) {
  const auto mine = parse({});
  auto words = relay_arguments(*mine->options, 7);
  EXPECT_EQ(words[0], "nfrelayd");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  const auto its = parse_command_line(static_cast<int>(argv.size()), argv.data());
  ASSERT_TRUE(its) << its.error().message();
  EXPECT_EQ(its->options->relay_channel, 7);
  EXPECT_FALSE(its->options->single);
  EXPECT_EQ(its->options->directories.state, mine->options->directories.state);
  EXPECT_EQ(its->options->directories.run, mine->options->directories.run);
  EXPECT_EQ(its->options->directories.bpffs, mine->options->directories.bpffs);
  EXPECT_EQ(its->options->config_file.path, mine->options->config_file.path);
}

TEST_F(OptionsTest, MistakesAreNamedAndEscaped) {
  EXPECT_EQ(error_of({"serve\x1b"}), "'serve\\x1b' is not a flag; see nfrelayd --help");
  EXPECT_NE(error_of({"--frob"}).find("frob"), std::string::npos);
  EXPECT_NE(error_of({"--relay-process", "x"}).find("see nfrelayd --help"), std::string::npos);
  write("listen = 0\n");
  EXPECT_NE(error_of({}).find("relay.toml, line 1: listen = 0"), std::string::npos) << error_of({});
}

TEST_F(OptionsTest, HelpNamesEveryFlag) {
  const auto help = parse({"--help"});
  ASSERT_TRUE(help);
  for (const char* flag : {"--config", "--state", "--run", "--bpffs", "--user", "--single", "--version"}) {
    EXPECT_NE(help->print.find(flag), std::string::npos) << flag;
  }
  EXPECT_EQ(parse({"--version"})->print, "nfrelayd " NFR_VERSION "\n");
}

}  // namespace
}  // namespace nfr::relayd
