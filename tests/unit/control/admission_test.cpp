// SPDX-License-Identifier: GPL-2.0-only
// Who may come to a mapping: lists, limits and rates, and the memory they cost.
#include "control/admission.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/sim/basics.hpp"

namespace nfr::control {
namespace {

using ::testing::HasSubstr;

net::IpAddress at(const std::string& text) { return *net::IpAddress::parse(text); }

class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest() {
    mapping.id = core::MappingId{1};
    agent.id = core::AgentId{1};
    agent.name = "client1";
  }
  std::string judge(const std::string& visitor) {
    const auto denial = book.judge(mapping, agent, at(visitor));
    return denial ? denial->verdict + ": " + denial->detail : "";
  }
  sim::SimClock clock;
  AdmissionBook book{clock, 4};
  core::Mapping mapping;
  core::AgentRecord agent;
};

TEST_F(AdmissionTest, DenyWinsOverAllow) {
  mapping.admission.allow = {*net::Network::parse("10.0.0.0/8")};
  mapping.admission.deny = {*net::Network::parse("10.1.0.0/16")};
  EXPECT_EQ(judge("10.0.0.1"), "");
  EXPECT_EQ(judge("10.1.0.1"), "denied: rule deny 10.1.0.0/16");
  EXPECT_EQ(judge("192.0.2.1"), "denied: not in the allow list");
  EXPECT_EQ(judge("2001:db8::1"), "denied: not in the allow list");
}

TEST_F(AdmissionTest, ASourceIsAnAddressOrASlash64) {
  EXPECT_EQ(source_of(at("198.51.100.7")).text(), "198.51.100.7");
  EXPECT_EQ(source_of(at("2001:db8:1:2:3:4:5:6")).text(), "2001:db8:1:2::");
}

TEST_F(AdmissionTest, MostFlows) {
  mapping.admission.flows_max = 2;
  mapping.admission.flows_per_source_max = 1;
  book.begin(mapping.id, agent.id, at("2001:db8::1"));
  EXPECT_THAT(judge("2001:db8::2"), HasSubstr("2001:db8:: has its 1 flows"));
  EXPECT_EQ(judge("2001:db8:0:1::1"), "");
  book.begin(mapping.id, agent.id, at("192.0.2.1"));
  EXPECT_THAT(judge("192.0.2.2"), HasSubstr("the mapping has its 2 flows"));
  book.end(mapping.id, agent.id, at("192.0.2.1"));
  EXPECT_EQ(judge("192.0.2.2"), "");
}

TEST_F(AdmissionTest, OneMappingLeavesTheLastDescriptorsToOthers) {
  book.set_places(40, 2);
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(judge("192.0.2.1"), "") << i;
    book.begin(mapping.id, agent.id, at("192.0.2.1"));
  }
  EXPECT_THAT(judge("192.0.2.1"), HasSubstr("refused: the relay is short of descriptors (30 of 40 visitors)"));
  EXPECT_THAT(judge("192.0.2.1"), HasSubstr("its share of 20 flows"));
  const core::MappingId greedy = std::exchange(mapping.id, core::MappingId{2});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(judge("192.0.2.2"), "") << i;
    book.begin(mapping.id, agent.id, at("192.0.2.2"));
  }
  mapping.id = greedy;
  for (int i = 0; i < 11; ++i) book.end(mapping.id, agent.id, at("192.0.2.1"));
  EXPECT_EQ(judge("192.0.2.1"), "") << "29 of 40 run: there is no shortage";
}

TEST_F(AdmissionTest, TheOnlyMappingTakesAllDescriptors) {
  book.set_places(40, 1);
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(judge("192.0.2.1"), "") << i;
    book.begin(mapping.id, agent.id, at("192.0.2.1"));
  }
  book.set_places(0, 2);
  EXPECT_EQ(judge("192.0.2.1"), "") << "no bound is known";
}

TEST_F(AdmissionTest, TheAgentsFlowsCountOverItsMappings) {
  agent.rights.flows_max = 1;
  book.begin(core::MappingId{2}, agent.id, at("192.0.2.1"));
  EXPECT_THAT(judge("192.0.2.2"), HasSubstr("agent client1 has its 1 flows"));
}

TEST_F(AdmissionTest, ARateIsABurstAndThenSoManyASecond) {
  mapping.admission.rate_per_source = 2;
  EXPECT_EQ(judge("192.0.2.1"), "");
  EXPECT_EQ(judge("192.0.2.1"), "");
  EXPECT_THAT(judge("192.0.2.1"), HasSubstr("more than 2 times a second"));
  EXPECT_EQ(judge("192.0.2.2"), "");
  clock.advance_to(clock.now() + Millis(500));
  EXPECT_EQ(judge("192.0.2.1"), "");
  EXPECT_NE(judge("192.0.2.1"), "");
  clock.jump_wall(std::chrono::hours(25));  // only the monotonic clock counts
  EXPECT_NE(judge("192.0.2.1"), "");
}

TEST_F(AdmissionTest, StrangersCostBoundedMemory) {
  mapping.admission.rate_per_source = 1;
  for (int i = 1; i <= 100; ++i) EXPECT_EQ(judge("192.0.2." + std::to_string(i)), "");
  EXPECT_EQ(book.rate_count(), 4U);
  EXPECT_NE(judge("192.0.2.100"), "");  // the latest are those remembered
}

TEST_F(AdmissionTest, WhoIsDeniedTakesNothingFromTheRate) {
  mapping.admission.rate_per_source = 1;
  mapping.admission.deny = {*net::Network::parse("192.0.2.1")};
  EXPECT_THAT(judge("192.0.2.1"), HasSubstr("rule deny"));
  EXPECT_EQ(book.rate_count(), 0U);
}

}  // namespace
}  // namespace nfr::control
