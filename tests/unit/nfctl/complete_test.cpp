// SPDX-License-Identifier: GPL-2.0-only
// Completion: commands, options and names, and silence when no relay answers.
#include "nfctl/complete.hpp"

#include "unit/nfctl/made_up_relay.hpp"

namespace nfr::nfctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Complete : public MadeUpRelay {
 protected:
  void SetUp() override {
    answers["agent.list"] = {{"agents", {{{"name", "client1"}, {"state", "away"}}, {{"name", "home"}}}}};
    answers["maps"] = {{"mappings", {{{"public", "8888/tcp"}, {"agent", "home"}, {"target", "127.0.0.1:1"}}}}};
  }
  std::string words(const std::vector<std::string>& typed) {
    std::vector<std::string> line = {"complete", "--"};
    line.insert(line.end(), typed.begin(), typed.end());
    const Outcome outcome = run(line, environment());
    EXPECT_EQ(outcome.exit_code, NFR_EXIT_OK);
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
  }
};

TEST_F(Complete, CommandsAndTheirVerbs) {
  const std::string all = words({""});
  for (const char* command : {"map\t", "maps\t", "agent\t", "apply\t", "events\t", "help\t"}) {
    EXPECT_THAT("\n" + all, HasSubstr(std::string("\n") + command));
  }
  EXPECT_THAT(all, Not(HasSubstr("complete")));
  EXPECT_EQ(words({"stat"}), "status\tshow the relay as a whole: tiers, limits, keys, what is missing\n");
  EXPECT_THAT(words({"agent", "re"}), HasSubstr("rename\t"));
  EXPECT_THAT(words({"help", "agent", "s"}), HasSubstr("set\t"));
}

TEST_F(Complete, OptionsAndTheirValues) {
  EXPECT_THAT(words({"map", "--max-p"}), HasSubstr("--max-per-source\t"));
  EXPECT_THAT(words({"maps", "--"}), HasSubstr("--watch\t"));
  EXPECT_EQ(words({"map", "--leg", ""}), "plain\t\ntls\t\n");
  EXPECT_EQ(words({"map", "--leg", "t"}), "tls\t\n");
  EXPECT_EQ(words({"map", "--idle", ""}), "");
  EXPECT_EQ(words({"--socket", ""}), ":file\n");
}

TEST_F(Complete, NamesFromTheRelay) {
  EXPECT_EQ(words({"unmap", ""}), "8888\thome 127.0.0.1:1\n");
  EXPECT_EQ(words({"--json", "check", "8"}), "8888\thome 127.0.0.1:1\n");
  EXPECT_EQ(words({"agent", "set", "c"}), "client1\taway\n");
  EXPECT_EQ(words({"map", "9", "h"}), "home:\t-\n");
  EXPECT_EQ(words({"map", "--leg", "tls", "9", "h"}), "home:\t-\n");
  EXPECT_EQ(words({"agent", "rename", "home", ""}), "") << "the new name is free";
  EXPECT_EQ(words({"agent", "add", ""}), "");
  EXPECT_EQ(words({"apply", ""}), ":file\n");
  EXPECT_EQ(words({"import", "a", ""}), ":file\n");
}

TEST_F(Complete, WithoutARelayItIsSilent) {
  way_there = Error(Code::kUnavailable, "nobody listens");
  EXPECT_EQ(words({"unmap", ""}), "");
  way_there.reset();
  refusal = Error(Code::kDenied, "not you");
  EXPECT_EQ(words({"agent", "set", ""}), "");
  EXPECT_EQ(words({}), words({""}));
}

}  // namespace
}  // namespace nfr::nfctl
