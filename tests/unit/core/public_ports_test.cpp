// SPDX-License-Identifier: GPL-2.0-only
// Public endpoints as people type them, and when two of them cannot both be had.
#include "core/public_ports.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::core {
namespace {

using ::testing::HasSubstr;

std::string read(std::string_view text) {
  const auto ports = PublicPorts::parse(text);
  return ports ? ports->text() : "error: " + ports.error().message();
}

TEST(PublicPorts, EveryForm) {
  EXPECT_EQ(read("8888"), "8888/tcp");
  EXPECT_EQ(read("8888/tcp"), "8888/tcp");
  EXPECT_EQ(read("203.0.113.5:8888"), "203.0.113.5:8888/tcp");
  EXPECT_EQ(read("[2001:db8::1]:8888"), "[2001:db8::1]:8888/tcp");
  EXPECT_EQ(read("[::]:8888"), "8888/tcp");
  EXPECT_EQ(read("0.0.0.0:8888"), "8888/tcp");
  EXPECT_EQ(read("5000-5100"), "5000-5100/tcp");
  EXPECT_EQ(read("203.0.113.5:5000-5001/tcp"), "203.0.113.5:5000-5001/tcp");
  EXPECT_EQ(read("auto"), "auto");
  EXPECT_TRUE(PublicPorts::parse("auto")->automatic());
}

TEST(PublicPorts, BadOnesNameTheReason) {
  EXPECT_THAT(read("8888/udp"), HasSubstr("UDP is not supported yet"));
  EXPECT_THAT(read("0"), HasSubstr("not a port"));
  EXPECT_THAT(read("9-1"), HasSubstr("lower port first"));
  EXPECT_THAT(read("::1:80"), HasSubstr("stands in brackets"));
  EXPECT_THAT(read("[203.0.113.5]:80"), HasSubstr("stands in brackets"));
  EXPECT_THAT(read("relay.example:80"), HasSubstr("'relay.example'"));
  EXPECT_THAT(read("224.0.0.1:80"), HasSubstr("multicast"));
  EXPECT_THAT(read("automatic"), HasSubstr("expected PORT"));
  EXPECT_THAT(read(""), HasSubstr("expected PORT"));
}

TEST(PublicPorts, Overlap) {
  const auto overlap = [](const char* a, const char* b) {
    const bool one = PublicPorts::parse(a)->overlaps(*PublicPorts::parse(b));
    EXPECT_EQ(one, PublicPorts::parse(b)->overlaps(*PublicPorts::parse(a))) << a << " " << b;
    return one;
  };
  EXPECT_TRUE(overlap("80", "80"));
  EXPECT_TRUE(overlap("80", "203.0.113.5:80"));
  EXPECT_FALSE(overlap("203.0.113.6:80", "203.0.113.5:80"));
  EXPECT_TRUE(overlap("80-90", "90-100"));
  EXPECT_FALSE(overlap("80-89", "90-100"));
  EXPECT_TRUE(overlap("1-65535", "65535"));
  EXPECT_TRUE(overlap("203.0.113.5:1-10", "5"));
}

TEST(PublicPorts, NthKeepsTheAddress) {
  EXPECT_EQ(PublicPorts::parse("203.0.113.5:65534-65535")->nth(1).text(), "203.0.113.5:65535");
}

}  // namespace
}  // namespace nfr::core
