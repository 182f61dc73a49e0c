// SPDX-License-Identifier: GPL-2.0-only
// The book of what an agent asks for: one list out of agent.toml and every running expose, and what each client hears.
#include "agent/exposes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nfr/admin/agent.h"
#include "nfr/wire/wire.h"

namespace nfr::agent {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class HandClock final : public Clock {
 public:
  Instant now() const override { return now_; }
  WallTime wall() const override { return WallTime(std::chrono::hours(24 * 20000)); }
  void pass(Millis by) { now_ += by; }

 private:
  Instant now_{std::chrono::hours(1)};
};

proto::Wish wish(const char* ports, const char* target) {
  return {*core::PublicPorts::parse(ports), *core::Target::parse(target), std::nullopt, core::ProxyHeader::kNone};
}

class ExposesTest : public ::testing::Test {
 protected:
  explicit ExposesTest(std::vector<proto::Wish> configured = {})
      : exposes(std::move(configured), clock, [this](std::vector<proto::Wish> wishes) { lists.push_back(wishes); }) {}

  /// The relay's answer to the last list: addresses by place, or one error for all.
  void relay_answers(const std::string& error = "") {
    proto::Declared declared;
    for (std::size_t i = 0; i < exposes.wishes().size(); ++i) {
      const std::string address = "203.0.113.5:" + std::to_string(31'000 + i);
      declared.outcomes.push_back({error.empty() ? address : "", error});
    }
    exposes.on_declared(exposes.wishes(), declared);
  }
  void poll(std::uint64_t client) {
    exposes.poll(client, [this, client](Result<Json> answer) {
      ASSERT_TRUE(answer) << answer.error().message();
      for (const Json& event : (*answer)["events"]) events[client].push_back(event["type"]);
      last[client] = *answer;
    });
  }
  void visit(VisitorNote::What what, std::uint16_t public_port, const char* target = "3000") {
    VisitorNote note;
    note.target = *core::Target::parse(target);
    note.visitor = *net::Endpoint::parse("198.51.100.7:51544");
    note.public_endpoint = {net::IpAddress{}, net::Port{public_port}};
    note.what = what;
    note.in_bytes = 310;
    exposes.on_visitor(note);
  }
  using Types = std::vector<std::string>;
  HandClock clock;
  std::vector<std::vector<proto::Wish>> lists;
  Exposes exposes;
  std::map<std::uint64_t, Types> events;
  std::map<std::uint64_t, Json> last;
};

class ConfiguredTest : public ExposesTest {
 protected:
  ConfiguredTest() : ExposesTest({wish("8888", "3306")}) {}
};

TEST_F(ConfiguredTest, TheListIsTheUnion) {
  exposes.on_connected();
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  ASSERT_TRUE(exposes.begin(2, wish("auto", "3001")));
  ASSERT_TRUE(exposes.begin(3, wish("8888", "3306")));
  EXPECT_EQ(lists.back().size(), 3U);
  exposes.drop(1);
  EXPECT_EQ(lists.back(), (std::vector<proto::Wish>{wish("8888", "3306"), wish("auto", "3001")}));
  const std::size_t lists_before = lists.size();
  exposes.drop(3);  // agent.toml has it too
  EXPECT_EQ(lists.size(), lists_before);
  exposes.drop(77);
  EXPECT_EQ(lists.size(), lists_before);
}

TEST_F(ConfiguredTest, OnePlaceCannotBeHadInTwoWays) {
  const auto refused = exposes.begin(1, wish("8888", "22"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("8888/tcp -> 127.0.0.1:3306"));
  EXPECT_FALSE(exposes.begin(1, wish("8880-8888", "22-30")));
  EXPECT_FALSE(exposes.begin(1, wish("9000-9001", "22")));
  EXPECT_FALSE(exposes.begin(1, wish("auto", "22-23")));
  EXPECT_TRUE(exposes.begin(1, wish("auto", "3306")));
  EXPECT_FALSE(exposes.begin(1, wish("auto", "3307"))) << "one mapping a connection";
}

TEST_F(ConfiguredTest, TheRelaysLimitIsKept) {
  for (std::uint64_t client = 1; client < NFR_WISHES_MAX; ++client) {
    ASSERT_TRUE(exposes.begin(client, wish("auto", std::to_string(client).c_str())));
  }
  EXPECT_EQ(exposes.begin(1000, wish("auto", "9000")).error().code(), Code::kExhausted);
}

TEST_F(ExposesTest, AClientHearsAddressAndVisitors) {
  exposes.on_connected();
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  poll(1);
  EXPECT_TRUE(events[1].empty());
  relay_answers();
  visit(VisitorNote::What::kArrived, 31'000);
  visit(VisitorNote::What::kArrived, 8888);          // another mapping of the same target
  visit(VisitorNote::What::kArrived, 31'000, "22");  // cannot be
  visit(VisitorNote::What::kLeft, 31'000);
  visit(VisitorNote::What::kRefused, 31'000);
  poll(1);
  EXPECT_EQ(events[1], (Types{"address", "arrived", "left", "turned_away"}));
  EXPECT_EQ(last[1]["events"][1]["in_bytes"], 310);
}

TEST_F(ExposesTest, AnUnchangedAddressIsToldOnce) {
  exposes.on_connected();
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  relay_answers();
  relay_answers();
  poll(1);
  EXPECT_EQ(events[1], Types{"address"});
}

TEST_F(ExposesTest, AwayAndBack) {
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  exposes.on_connected();
  relay_answers();
  exposes.on_disconnected("connection reset");
  exposes.on_disconnected("connection refused");
  visit(VisitorNote::What::kLeft, 31'000);  // flows end although the session is gone
  exposes.on_connected();
  relay_answers();
  poll(1);
  EXPECT_EQ(events[1], (Types{"away", "address", "away", "left", "address"}));
  EXPECT_EQ(last[1]["events"][1]["again"], false);
  EXPECT_EQ(last[1]["events"][4]["again"], true);
}

TEST_F(ExposesTest, ARefusalIsTheRelaysWords) {
  exposes.on_connected();
  ASSERT_TRUE(exposes.begin(1, wish("80", "3000")));
  relay_answers("80/tcp is not among the ports");
  poll(1);
  EXPECT_EQ(last[1]["events"][0]["error"], "80/tcp is not among the ports");
}

TEST_F(ExposesTest, EndWaitsForTheRelayAndCountsWhatRuns) {
  exposes.on_connected();
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  relay_answers();
  visit(VisitorNote::What::kArrived, 31'000);
  visit(VisitorNote::What::kArrived, 31'000);
  visit(VisitorNote::What::kLeft, 31'000);
  std::optional<Json> ended;
  exposes.end(1, [&](Result<Json> answer) { ended = *answer; });
  EXPECT_FALSE(ended);
  EXPECT_TRUE(lists.back().empty());
  relay_answers();
  ASSERT_TRUE(ended);
  EXPECT_EQ((*ended)["removed"], true);
  EXPECT_EQ((*ended)["running"], 1);
  EXPECT_FALSE(exposes.has(1));
}

TEST_F(ExposesTest, EndDoesNotPromiseWhatTheRelayDidNotConfirm) {
  exposes.on_connected();
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  Json ended;
  exposes.end(1, [&](Result<Json> answer) { ended = *answer; });
  clock.pass(Millis(5001));
  exposes.tick();
  EXPECT_EQ(ended["removed"], false);
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  exposes.on_disconnected("reset");
  exposes.end(1, [&](Result<Json> answer) { ended = *answer; });
  EXPECT_EQ(ended["removed"], false);
  EXPECT_THAT(ended["why"].get<std::string>(), HasSubstr("not reachable"));
}

TEST_F(ExposesTest, WhoDoesNotAskLosesTheOldest) {
  exposes.on_connected();
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  relay_answers();
  for (int i = 0; i < NFR_AGENT_EVENTS_MAX + 9; ++i) visit(VisitorNote::What::kArrived, 31'000);
  poll(1);
  EXPECT_EQ(events[1].size(), NFR_AGENT_EVENTS_MAX);
  EXPECT_EQ(events[1].front(), "arrived");
  EXPECT_EQ(last[1]["dropped"], 10);
  visit(VisitorNote::What::kLeft, 31'000);
  poll(1);
  EXPECT_EQ(last[1]["dropped"], 0);
}

TEST_F(ExposesTest, AWaitingPollIsAnsweredInTheEnd) {
  exposes.on_connected();
  ASSERT_TRUE(exposes.begin(1, wish("auto", "3000")));
  poll(1);
  clock.pass(Millis(NFR_AGENT_POLL_MS));
  exposes.tick();
  EXPECT_EQ(last[1]["events"].size(), 0U);
  last.clear();
  poll(1);
  poll(1);  // the first is answered, the second waits
  EXPECT_TRUE(last.contains(1));
  bool refused = false;
  exposes.poll(9, [&](const Result<Json>& answer) { refused = !answer; });
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace nfr::agent
