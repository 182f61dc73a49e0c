// SPDX-License-Identifier: GPL-2.0-only
// Which targets an agent dials. Every refusal here is something a lying relay might ask for.
#include "core/allow_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::core {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<net::IpAddress> kOwn = {*net::IpAddress::parse("192.168.7.20"),
                                          *net::IpAddress::parse("2001:db8::20"), *net::IpAddress::parse("fe80::20"),
                                          *net::IpAddress::parse("169.254.3.4")};

AllowList list_of(const std::vector<std::string>& rules) {
  const auto list = AllowList::parse(rules);
  EXPECT_TRUE(list) << list.error().message();
  return list ? *list : AllowList();
}

bool allows(const AllowList& list, const std::string& target) {
  const auto endpoint = net::Endpoint::parse(target);
  EXPECT_TRUE(endpoint) << target;
  const auto status = list.check(*endpoint, kOwn);
  EXPECT_TRUE(status || status.error().code() == Code::kDenied);
  return status.ok();
}

TEST(AllowList, DefaultIsThisMachineOnly) {
  const AllowList list;
  for (const char* target : {"127.0.0.1:3306", "127.9.9.9:1", "[::1]:65535", "192.168.7.20:22", "[2001:db8::20]:22",
                             "[::ffff:127.0.0.1]:80"}) {
    EXPECT_TRUE(allows(list, target)) << target;
  }
  for (const char* target : {"192.168.7.21:22", "10.0.0.1:80", "8.8.8.8:53", "[2001:db8::21]:22", "126.255.255.255:1",
                             "128.0.0.1:1", "[::2]:1"}) {
    EXPECT_FALSE(allows(list, target)) << target;
  }
}

TEST(AllowList, GuardedAddressesStayClosed) {
  const auto guarded = {
      "169.254.169.254:80", "[fe80::20]:80",     "169.254.3.4:22",     "224.0.0.1:80",    "239.1.2.3:80",
      "[ff02::1]:80",       "0.0.0.0:80",        "0.1.2.3:80",         "[::]:80",         "255.255.255.255:1",
      "[fd00:ec2::254]:80", "[fd20:ce::254]:80", "100.100.100.200:80", "168.63.129.16:80"};
  const std::vector<std::vector<std::string>> wide = {{"self"},
                                                      {"lan"},
                                                      {"0.0.0.0/0", "::/0"},
                                                      {"self", "lan", "0.0.0.0/0", "::/0"},
                                                      {"128.0.0.0/1", "fc00::/6"},
                                                      {"0.0.0.0/1", "168.0.0.0/6", "::/1"},
                                                      {"fd00::/8", "168.63.0.0/16", "100.64.0.0/10", "169.254.0.0/15"}};
  for (const auto& rules : wide) {
    const AllowList list = list_of(rules);
    for (const char* target : guarded) EXPECT_FALSE(allows(list, target)) << target << " by " << list.text();
  }
}

TEST(AllowList, GuardedAddressesOpenWhenNamed) {
  EXPECT_TRUE(allows(list_of({"169.254.169.254"}), "169.254.169.254:80"));
  EXPECT_TRUE(allows(list_of({"169.254.0.0/16"}), "169.254.169.254:80"));
  EXPECT_FALSE(allows(list_of({"169.254.1.0/24"}), "169.254.169.254:80"));
  EXPECT_FALSE(allows(list_of({"169.254.169.254:80"}), "169.254.169.254:81"));
  EXPECT_TRUE(allows(list_of({"fe80::/10"}), "[fe80::1]:80"));
  EXPECT_TRUE(allows(list_of({"fd00:ec2::254"}), "[fd00:ec2::254]:80"));
  EXPECT_TRUE(allows(list_of({"0.0.0.0"}), "0.0.0.0:80"));
}

TEST(AllowList, WideRulesOpenWhatIsNotGuarded) {
  const AllowList list = list_of({"0.0.0.0/0", "::/0"});
  for (const char* target : {"8.8.8.8:53", "127.0.0.1:1", "10.1.2.3:9", "[2001:db8::9]:443", "[::1]:1"}) {
    EXPECT_TRUE(allows(list, target)) << target;
  }
}

TEST(AllowList, LanIsThePrivateRanges) {
  const AllowList list = list_of({"lan"});
  for (const char* target : {"10.0.0.1:1", "10.255.255.255:1", "172.16.0.1:1", "172.31.255.255:1", "192.168.0.1:1",
                             "192.168.255.255:1", "[fc00::1]:1", "[fdff::1]:1"}) {
    EXPECT_TRUE(allows(list, target)) << target;
  }
  for (const char* target : {"9.255.255.255:1", "11.0.0.1:1", "172.15.255.255:1", "172.32.0.1:1", "192.167.0.1:1",
                             "192.169.0.1:1", "[fbff::1]:1", "[fe00::1]:1", "127.0.0.1:1"}) {
    EXPECT_FALSE(allows(list, target)) << target;
  }
}

TEST(AllowList, PortsAndRangesHaveExactEdges) {
  const AllowList list = list_of({"192.168.1.0/24:80", "10.0.0.5:5000-5100", "[fd00::/8]:443", "fd01::/16:8443",
                                  "[2001:db8::1]:22", "self:3306", "lan:9999"});
  for (const char* target : {"192.168.1.9:80", "10.0.0.5:5000", "10.0.0.5:5100", "[fd12::1]:443", "[fd01::1]:8443",
                             "[2001:db8::1]:22", "127.0.0.1:3306", "192.168.7.20:3306", "172.16.3.3:9999"}) {
    EXPECT_TRUE(allows(list, target)) << target;
  }
  for (const char* target : {"192.168.1.9:81", "192.168.1.9:79", "192.168.2.9:80", "10.0.0.5:4999", "10.0.0.5:5101",
                             "10.0.0.6:5000", "[fd12::1]:8443", "[2001:db8::1]:23", "127.0.0.1:3307"}) {
    EXPECT_FALSE(allows(list, target)) << target;
  }
}

TEST(AllowList, NoRuleAllowsNothing) {
  const AllowList list = list_of({});
  EXPECT_FALSE(allows(list, "127.0.0.1:80"));
  EXPECT_EQ(list.text(), "nothing");
}

TEST(AllowList, PortZeroIsNeverAllowed) {
  EXPECT_FALSE(list_of({"0.0.0.0/0"}).check({*net::IpAddress::parse("8.8.8.8"), net::Port{0}}, kOwn));
}

TEST(AllowList, RefusalNamesTargetListAndCommand) {
  const auto status = list_of({"self", "192.168.1.0/24:80"}).check(*net::Endpoint::parse("10.0.0.5:22"), kOwn);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), AllOf(HasSubstr("10.0.0.5:22"), HasSubstr("self, 192.168.1.0/24:80"),
                                              HasSubstr("nfagent allow 10.0.0.5:22")));
  const auto guarded = AllowList().check(*net::Endpoint::parse("169.254.169.254:80"), kOwn);
  ASSERT_FALSE(guarded);
  EXPECT_THAT(guarded.error().message(), HasSubstr("169.254.0.0/16 is opened only by a rule inside it"));
}

TEST(AllowList, WhatARefusalAdvisesIsARuleThatWorks) {
  for (const char* target : {"10.0.0.5:22", "[2001:db8::5]:22", "169.254.169.254:80", "[fe80::1]:80"}) {
    EXPECT_TRUE(allows(list_of({target}), target)) << target;
  }
}

TEST(AllowList, BadRulesAreNamed) {
  for (const char* rule : {"",           "lann",           "192.168.1.5/24", "192.168.1.0/33", "10.0.0.1:",
                           "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:80-",   "10.0.0.1:-80",   "10.0.0.1:90-80",
                           "[fd00::/8",  "[fd00::1]80",    "[fd00::1]:",     "fd00::1:80:x",   "10.0.0.0/8:80:90",
                           ":80",        "self:",          " lan",           "host.example",   "1.2.3.4 "}) {
    const std::string text = rule;
    const auto list = AllowList::parse(std::span(&text, 1));
    ASSERT_FALSE(list) << rule;
    EXPECT_EQ(list.error().code(), Code::kInvalid);
    EXPECT_THAT(list.error().message(), HasSubstr("allow rule '" + text + "'"));
  }
  const std::string hostile = "\x1b[2J";
  EXPECT_THAT(AllowList::parse(std::span(&hostile, 1)).error().message(), HasSubstr("\\x1b[2J"));
}

}  // namespace
}  // namespace nfr::core
