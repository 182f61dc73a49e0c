// SPDX-License-Identifier: GPL-2.0-only
// --watch: blocks in a pipe, one screen on a terminal, and how it ends.
#include "unit/nfctl/made_up_relay.hpp"

namespace nfr::nfctl {
namespace {

using ::testing::HasSubstr;
using Watch = MadeUpRelay;

TEST_F(Watch, BlocksInAPipeHaveAnEmptyLineBetween) {
  rounds = 3;
  const Outcome outcome = type("maps --watch 5");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_OK);
  EXPECT_EQ(outcome.out, "");
  ASSERT_EQ(shown.size(), 3U);
  EXPECT_EQ(shown[1], "\n" + shown[0]);
  EXPECT_EQ(waited, Millis{15'000});
}

TEST_F(Watch, ATerminalIsRedrawnWithTheTime) {
  terminal = true;
  rounds = 2;
  type("status --watch");
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_TRUE(shown[0].starts_with("\x1b[H\x1b[2J")) << shown[0];
  EXPECT_THAT(shown[0], HasSubstr("nfctl status, every 2 s, 22:13:20 UTC"));
  EXPECT_THAT(shown[1], HasSubstr("22:13:22 UTC"));
}

TEST_F(Watch, EveryCommandThatShowsWhatChangesHasIt) {
  for (const char* command : {"maps", "agents", "agent list", "flows", "flows --recent", "status", "events"}) {
    shown.clear();
    rounds = 1;
    EXPECT_EQ(type(std::string(command) + " --watch=1").exit_code, NFR_EXIT_OK) << command;
    EXPECT_EQ(shown.size(), 1U) << command;
  }
}

TEST_F(Watch, AFirstFailureIsTheOutcome) {
  way_there = Error(Code::kUnavailable, "nobody listens");
  const Outcome outcome = type("maps --watch");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_UNREACHABLE);
  EXPECT_TRUE(shown.empty());
}

TEST_F(Watch, ALaterFailureIsShownAndItGoesOn) {
  rounds = 3;
  Environment here = environment();
  here.wait = [this](Millis) {
    way_there = rounds == 3 ? std::optional(Error(Code::kUnavailable, "nobody listens")) : std::nullopt;
    return --rounds > 0;
  };
  EXPECT_EQ(run({"maps", "--watch"}, here).exit_code, NFR_EXIT_OK);
  EXPECT_EQ(shown.size(), 3U);
  EXPECT_EQ(shown_err, "error: nobody listens\n");
}

TEST_F(Watch, TheTimeIsBounded) {
  for (const char* seconds : {"0", "3601", "=-1", "=x"}) {
    const std::string line = std::string("maps --watch") + (*seconds == '=' ? "" : " ") + seconds;
    EXPECT_EQ(type(line).exit_code, NFR_EXIT_USAGE) << line;
  }
  EXPECT_TRUE(shown.empty());
}

}  // namespace
}  // namespace nfr::nfctl
