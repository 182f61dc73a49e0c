// SPDX-License-Identifier: GPL-2.0-only
// Names resolved on the loop: one that every machine knows, and what servers do, good and bad; the server is a thread
// of the test on loopback.
#include "agent/resolver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/agent/dns_server.hpp"

namespace nfr::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Found = Result<std::vector<net::IpAddress>>;

class ResolverTest : public test::LoopbackTest {
 protected:
  void TearDown() override { settle(10ms); }  // the last poll of a resolver ends

  ResolverOptions options(Millis deadline = 4000ms) const { return {{server.endpoint}, deadline}; }

  Found ask(Resolver& resolver, const std::string& name) {
    std::optional<Found> found;
    resolver.look_up(name, [&](Found got) { found = std::move(got); });
    EXPECT_FALSE(found) << "never from inside";
    EXPECT_TRUE(until([&] { return found.has_value(); }));
    return found ? *found : Found(Error(Code::kInvalid, "no answer"));
  }
  Found ask(const std::string& name, Millis deadline = 4000ms) {
    Resolver resolver(*loop, options(deadline));
    return ask(resolver, name);
  }

  static std::vector<std::string> texts(const Found& found) {
    std::vector<std::string> out;
    if (found) {
      for (const net::IpAddress& address : *const_cast<Found&>(found)) out.push_back(address.text());
    }
    return out;
  }

  test::DnsServer server;
};

TEST_F(ResolverTest, LocalhostIsThisMachineAndNobodyIsAsked) {
  for (const char* name : {"localhost", "LOCALHOST"}) {
    const Found found = ask(name);
    ASSERT_TRUE(found.ok()) << name << ": " << found.error().message();
    ASSERT_FALSE(texts(found).empty()) << name;
    for (const net::IpAddress& address : *found) EXPECT_TRUE(address.is_loopback()) << address.text();
  }
  EXPECT_EQ(server.udp_queries, 0);
}

TEST_F(ResolverTest, BothFamiliesAreAskedAndGiven) {
  EXPECT_THAT(texts(ask("both.test")), UnorderedElementsAre("192.0.2.7", "2001:db8::7"));
  EXPECT_THAT(texts(ask("four.test")), UnorderedElementsAre("192.0.2.7"));
  EXPECT_THAT(texts(ask("six.test")), UnorderedElementsAre("2001:db8::7"));
}

TEST_F(ResolverTest, AnUnknownNameIsAnErrorThatNamesItAndTheServer) {
  const Found found = ask("unknown.test");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), Code::kUnavailable);
  EXPECT_THAT(found.error().message(), HasSubstr("'unknown.test'"));
  EXPECT_THAT(found.error().message(), HasSubstr("127.0.0.1 knows no address for it"));
}

TEST_F(ResolverTest, AServerThatFailsIsNamed) {
  const Found found = ask("failing.test");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), Code::kUnavailable);
  EXPECT_THAT(found.error().message(), HasSubstr("'failing.test'"));
  EXPECT_THAT(found.error().message(), HasSubstr("DNS server 127.0.0.1 is not there or fails"));
}

TEST_F(ResolverTest, SilenceEndsAtTheDeadline) {
  for (const char* name : {"silent.test", "garbage.test"}) {
    const auto began = std::chrono::steady_clock::now();
    const Found found = ask(name, 400ms);
    const auto took = std::chrono::steady_clock::now() - began;
    ASSERT_FALSE(found.ok()) << name;
    EXPECT_EQ(found.error().code(), Code::kTimeout) << name;
    EXPECT_THAT(found.error().message(), HasSubstr("127.0.0.1 did not answer"));
    EXPECT_GE(took, 300ms) << name;
    EXPECT_LE(took, 3s) << name;
  }
}

TEST_F(ResolverTest, SilenceAboutOneFamilyDoesNotCostTheOther) {
  EXPECT_THAT(texts(ask("half.test", 800ms)), UnorderedElementsAre("192.0.2.7"));
}

TEST_F(ResolverTest, AnAnswerWithoutItsRecordsIsAnError) {
  const Found found = ask("cut.test");
  ASSERT_FALSE(found.ok());
  EXPECT_THAT(found.error().message(), HasSubstr("'cut.test'"));
}

TEST_F(ResolverTest, ATruncatedAnswerIsAskedForOverTcp) {
  EXPECT_THAT(texts(ask("long.test")), UnorderedElementsAre("192.0.2.7"));
  EXPECT_GE(server.tcp_queries, 1);
}

TEST_F(ResolverTest, NoServerIsAnErrorThatSaysSo) {
  net::Endpoint nobody;
  test::listen_on_loopback(nobody).reset();
  Resolver resolver(*loop, {{nobody}, 2000ms});
  const Found found = ask(resolver, "both.test");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), Code::kUnavailable);
  EXPECT_THAT(found.error().message(), HasSubstr("DNS server 127.0.0.1 is not there or fails"));
  EXPECT_THAT(found.error().message(), HasSubstr("/etc/resolv.conf"));
}

TEST_F(ResolverTest, WhatIsNoNameIsRefusedBeforeAnybodyIsAsked) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a..b"), std::string(".a"),
                                  std::string("caf\xc3\xa9"), std::string("a\0b", 3), std::string("a\x1b[31m"),
                                  std::string("a/b"), longest + "a", std::string(64, 'a') + ".test"}) {
    const Found found = ask(name);
    ASSERT_FALSE(found.ok()) << name;
    EXPECT_EQ(found.error().code(), Code::kInvalid) << name;
    EXPECT_EQ(found.error().message().find('\x1b'), std::string::npos);
  }
  EXPECT_EQ(server.udp_queries, 0);
  EXPECT_FALSE(ask(longest).ok());  // 253 bytes: the server says it has no address
  EXPECT_GE(server.udp_queries, 1);
}

TEST_F(ResolverTest, TooManyAtOnceAreTurnedAwayAndAllAreAnswered) {
  Resolver resolver(*loop, options());
  int answered = 0;
  int exhausted = 0;
  for (int i = 0; i < 40; ++i) {
    resolver.look_up("both.test", [&](const Found& got) {
      ++answered;
      if (!got && got.error().code() == Code::kExhausted) ++exhausted;
      EXPECT_TRUE(!got || texts(got).size() == 2U);
    });
  }
  EXPECT_TRUE(until([&] { return answered == 40; }));
  EXPECT_EQ(exhausted, 8);
  EXPECT_TRUE(ask(resolver, "both.test").ok()) << "places are free again";
}

TEST_F(ResolverTest, ADestroyedResolverCallsNobody) {
  const int descriptors = test::open_descriptors();
  bool called = false;
  {
    Resolver resolver(*loop, options());
    for (const char* name : {"silent.test", "both.test", "localhost", "no name"}) {
      resolver.look_up(name, [&](const Found&) { called = true; });
    }
    loop->run_once(0ms);
    resolver.look_up("both.test", [&](const Found&) { called = true; });
    called = false;
  }
  settle();
  EXPECT_FALSE(called);
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

TEST_F(ResolverTest, AnAnswerMayAskOnAndMayDestroyTheResolver) {
  auto resolver = std::make_unique<Resolver>(*loop, options());
  bool over = false;
  resolver->look_up("four.test", [&](const Found&) {
    resolver->look_up("six.test", [&](const Found& second) {
      EXPECT_TRUE(second.ok());
      resolver.reset();
      over = true;
    });
  });
  EXPECT_TRUE(until([&] { return over; }));
  settle(20ms);
}

}  // namespace
}  // namespace nfr::agent
