// SPDX-License-Identifier: GPL-2.0-only
// The allow list's rules for unix sockets: nothing but a rule of their own opens one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/allow_list.hpp"

namespace nfr::core {
namespace {

using ::testing::HasSubstr;

AllowList list(std::vector<std::string> rules) { return *AllowList::parse(rules); }

TEST(AllowUnix, NoOtherRuleOpensASocket) {
  const AllowList wide = list({"self", "lan", "0.0.0.0/0", "::/0"});
  EXPECT_EQ(wide.check_unix("/run/docker.sock").error().code(), Code::kDenied);
  EXPECT_FALSE(AllowList().check_unix("/run/app.sock"));
  EXPECT_FALSE(list({}).check_unix("/run/app.sock"));
}

TEST(AllowUnix, AFileIsItselfOnly) {
  const AllowList one = list({"unix:/run/app.sock"});
  EXPECT_TRUE(one.check_unix("/run/app.sock"));
  EXPECT_FALSE(one.check_unix("/run/app.sock2"));
  EXPECT_FALSE(one.check_unix("/run/app.sock/x"));
  EXPECT_FALSE(one.check_unix("/run/app"));
}

TEST(AllowUnix, ADirectoryIsAllBelowIt) {
  const AllowList below = list({"unix:/run/app/"});
  EXPECT_TRUE(below.check_unix("/run/app/a"));
  EXPECT_TRUE(below.check_unix("/run/app/deep/a"));
  EXPECT_FALSE(below.check_unix("/run/app"));
  EXPECT_FALSE(below.check_unix("/run/application"));
  EXPECT_TRUE(list({"unix:/"}).check_unix("/anything"));
}

TEST(AllowUnix, ASocketRuleOpensNoAddress) {
  EXPECT_FALSE(list({"unix:/run/app.sock"}).check(*net::Endpoint::parse("127.0.0.1:80"), {}));
  EXPECT_TRUE(list({"unix:/run/app.sock", "self"}).check(*net::Endpoint::parse("127.0.0.1:80"), {}));
}

TEST(AllowUnix, TheRefusalSaysWhatToType) {
  EXPECT_THAT(AllowList().check_unix("/run/app.sock").error().message(), HasSubstr("nfagent allow unix:/run/app.sock"));
}

TEST(AllowUnix, BadPathsAreNamed) {
  for (const char* rule : {"unix:", "unix:run", "unix:/a/../b", "unix:/a//"}) {
    const std::string text = rule;
    const auto parsed = AllowList::parse(std::span(&text, 1));
    EXPECT_TRUE(!parsed || !parsed->check_unix("/a/b")) << rule;
  }
}

}  // namespace
}  // namespace nfr::core
