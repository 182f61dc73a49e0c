// SPDX-License-Identifier: GPL-2.0-only
// Targets as people type them, and what is refused with which words.
#include "core/target.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::core {
namespace {

using ::testing::HasSubstr;

std::string read(std::string_view text) {
  const auto target = Target::parse(text);
  return target ? target->text() : "error: " + target.error().message();
}

TEST(Target, EveryForm) {
  EXPECT_EQ(read("3306"), "127.0.0.1:3306");
  EXPECT_EQ(read("localhost:22"), "127.0.0.1:22");
  EXPECT_EQ(read("LocalHost:22"), "127.0.0.1:22");
  EXPECT_EQ(read("192.168.1.5:80"), "192.168.1.5:80");
  EXPECT_EQ(read("[::1]:3306"), "[::1]:3306");
  EXPECT_EQ(read("DB.lan:3306"), "db.lan:3306");
  EXPECT_EQ(read("my_box:1"), "my_box:1");
  EXPECT_EQ(read("5000-5100"), "127.0.0.1:5000-5100");
  EXPECT_EQ(read("db.lan:5000-5001"), "db.lan:5000-5001");
  EXPECT_EQ(read("[fd00::2]:7-7"), "[fd00::2]:7");
  EXPECT_EQ(read("unix:/run/app.sock"), "unix:/run/app.sock");
  EXPECT_EQ(read("1-65535"), "127.0.0.1:1-65535");
}

TEST(Target, TextIsReadBackTheSame) {
  for (const char* text : {"3306", "db.lan:5000-5001", "[fd00::2]:7", "unix:/run/a b", "10.0.0.1:1-9"}) {
    const Target target = *Target::parse(text);
    EXPECT_EQ(*Target::parse(target.text()), target) << text;
  }
}

TEST(Target, BadOnesNameTheReason) {
  EXPECT_THAT(read("0"), HasSubstr("not a port"));
  EXPECT_THAT(read("65536"), HasSubstr("not a port"));
  EXPECT_THAT(read("9-1"), HasSubstr("lower port first"));
  EXPECT_THAT(read("::1:80"), HasSubstr("stands in brackets"));
  EXPECT_THAT(read("[::1]"), HasSubstr("not a port"));
  EXPECT_THAT(read("[127.0.0.1]:80"), HasSubstr("in brackets stands an IPv6 address"));
  EXPECT_THAT(read("[db.lan]:80"), HasSubstr("in brackets stands an IPv6 address"));
  EXPECT_THAT(read("[]:80"), HasSubstr("no address and no name"));
  EXPECT_THAT(read("300.1.2.3:80"), HasSubstr("no address and no name"));
  EXPECT_THAT(read("a..b:80"), HasSubstr("no address and no name"));
  EXPECT_THAT(read(":80"), HasSubstr("no address and no name"));
  EXPECT_THAT(read("0.0.0.0:80"), HasSubstr("no machine has this address"));
  EXPECT_THAT(read("[ff02::1]:80"), HasSubstr("no machine has this address"));
  EXPECT_THAT(read(std::string("db\0x:80", 7)), HasSubstr("no address and no name"));
  EXPECT_THAT(read("db.lan"), HasSubstr("not a port"));
}

TEST(Target, UnixPathsHaveOneSpelling) {
  EXPECT_THAT(read("unix:run/app.sock"), HasSubstr("must be absolute"));
  EXPECT_THAT(read("unix:"), HasSubstr("must be absolute"));
  for (const char* text : {"unix:/run/../etc/x", "unix:/run/..", "unix:/a//b", "unix:/a/./b", "unix:/a/."}) {
    EXPECT_THAT(read(text), HasSubstr("without '.', '..' and '//'")) << text;
  }
  EXPECT_EQ(read("unix:/run/..app"), "unix:/run/..app");
  EXPECT_THAT(read("unix:/run/a\nb"), HasSubstr("cannot be shown"));
  EXPECT_THAT(read("unix:/run/\xE2\x80\xAE"
                   "a"),
              HasSubstr("cannot be shown"));
  EXPECT_THAT(read("unix:/run/\xFF"), HasSubstr("cannot be shown"));
  EXPECT_EQ(read("unix:/" + std::string(106, 'a')), "unix:/" + std::string(106, 'a'));
  EXPECT_THAT(read("unix:/" + std::string(107, 'a')), HasSubstr("at most 107 bytes"));
}

TEST(Target, NthOfARange) {
  const Target range = *Target::parse("db.lan:65533-65535");
  EXPECT_EQ(range.nth(0).text(), "db.lan:65533");
  EXPECT_EQ(range.nth(2).text(), "db.lan:65535");
}

TEST(PortRange, ContainsItsPortsOnly) {
  const PortRange range = *PortRange::parse("8000-8002");
  EXPECT_FALSE(range.contains(net::Port{7999}));
  EXPECT_TRUE(range.contains(net::Port{8000}));
  EXPECT_TRUE(range.contains(net::Port{8002}));
  EXPECT_FALSE(range.contains(net::Port{8003}));
  EXPECT_EQ(range.text(), "8000-8002");
}

}  // namespace
}  // namespace nfr::core
