// SPDX-License-Identifier: GPL-2.0-only
// Logins, takeovers and refusals one by one, on the simulated world.
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <sstream>

#include "base/log.hpp"
#include "harness/sim/world.hpp"

namespace nfr::sim {
namespace {

constexpr Micros kSecond{1'000'000};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() { spdlog::set_level(spdlog::level::off); }
  Machine& machine(int index) { return *world.machines[static_cast<std::size_t>(index)]; }
  const core::AgentRecord& record(const std::string& name) { return *world.relay->agents().find(name); }
  bool connected(const std::string& name) { return world.relay->sessions().active(record(name).id) != nullptr; }
  // Gives a second machine the key of the first, as a copied disk image does.
  Machine& copy_of(int index) {
    Machine& copy = machine(world.add_machine());
    copy.key = machine(index).key;
    copy.name = machine(index).name;
    return copy;
  }
  World world{7};
};

TEST_F(SessionTest, AJoinLineWorksOnce) {
  world.join(world.add_machine(), "client1");
  const std::string token = machine(0).token;
  world.run_for(kSecond);
  EXPECT_TRUE(connected("client1"));
  EXPECT_TRUE(machine(0).token.empty());
  Machine& thief = machine(world.add_machine());
  thief.key[0] = std::byte{1};
  thief.name = "client1";
  thief.token = token;
  thief.boot();
  world.run_for(kSecond);
  EXPECT_NE(thief.gave_up.find("used already"), std::string::npos) << thief.gave_up;
  EXPECT_EQ(thief.logins, 0U);
}

TEST_F(SessionTest, AJoinLineExpires) {
  const int index = world.add_machine();
  world.join(index, "client1");
  machine(index).crash();
  world.clock.jump_wall(std::chrono::hours(25));
  machine(index).boot();
  world.run_for(kSecond);
  EXPECT_NE(machine(index).gave_up.find("expired"), std::string::npos) << machine(index).gave_up;
}

TEST_F(SessionTest, AWrongTokenOrNameTellsNothing) {
  world.join(world.add_machine(), "client1");
  for (const char* name : {"client1", "nobody"}) {
    Machine& stranger = machine(world.add_machine());
    stranger.name = name;
    stranger.token = "0123456789abcdef";
    stranger.key[0] = std::byte{2};
    stranger.boot();
    world.run_for(kSecond);
    EXPECT_NE(stranger.gave_up.find("used already or is not valid"), std::string::npos) << stranger.gave_up;
  }
}

TEST_F(SessionTest, AnUnknownKeyIsToldWhatToDo) {
  Machine& stranger = machine(world.add_machine());
  stranger.name = "client1";
  stranger.boot();
  world.run_for(2 * kSecond);
  EXPECT_EQ(stranger.logins, 0U);
}

TEST_F(SessionTest, AFailedStoreRefusesTheLoginAndTheTokenStaysGood) {
  const int index = world.add_machine();
  world.join(index, "client1");
  machine(index).crash();
  world.store.fail_writes = 1;
  machine(index).boot();
  world.run_for(kSecond);
  EXPECT_NE(machine(index).gave_up.find("disk full"), std::string::npos) << machine(index).gave_up;
  machine(index).crash();
  machine(index).boot();
  world.run_for(kSecond);
  EXPECT_TRUE(connected("client1"));
}

TEST_F(SessionTest, ARestartedAgentTakesItsPlaceBackAtOnce) {
  world.join(world.add_machine(), "client1");
  world.run_for(kSecond);
  world.silence_wire(0);  // the relay still believes in the old session
  machine(0).agent.reset();
  machine(0).boot();
  world.run_for(kSecond / 2);
  EXPECT_TRUE(connected("client1"));
  EXPECT_EQ(machine(0).logins, 2U);
}

TEST_F(SessionTest, TwoMachinesWithOneIdentityAreToldInsteadOfFlapping) {
  world.join(world.add_machine(), "client1");
  world.run_for(kSecond);
  Machine& copy = copy_of(0);
  copy.boot();
  world.run_for(60 * kSecond);
  EXPECT_LE(machine(0).logins + copy.logins, 4U);
  EXPECT_TRUE(connected("client1"));
  const std::string note = world.relay->sessions().duplicate_note(record("client1").id);
  EXPECT_NE(note.find("10.0.0.0"), std::string::npos) << note;
  EXPECT_NE(note.find("10.0.0.1"), std::string::npos) << note;
  EXPECT_FALSE(machine(0).last_notice.empty() && copy.last_notice.empty());
}

TEST_F(SessionTest, ASilentAgentIsGoneAfterThreeHeartbeatsAndItsReturnIsServed) {
  world.join(world.add_machine(), "client1");
  world.run_for(kSecond);
  world.silence_wire(0);
  world.run_for(14 * kSecond);
  EXPECT_TRUE(connected("client1"));
  world.run_for(8 * kSecond);
  EXPECT_TRUE(connected("client1"));  // it noticed by itself and logged in again
  EXPECT_EQ(machine(0).logins, 2U);
}

TEST_F(SessionTest, RevokedMeansOutUntilRejoined) {
  world.join(world.add_machine(), "client1");
  world.run_for(kSecond);
  world.revoke("client1");
  EXPECT_FALSE(connected("client1"));
  world.run_for(120 * kSecond);
  EXPECT_FALSE(connected("client1"));
  world.join(0, "client1");
  world.run_for(kSecond);
  EXPECT_TRUE(connected("client1"));
}

TEST_F(SessionTest, AVisitorWaitsForAnAgentThatWasHereAMomentAgo) {
  world.join(world.add_machine(), "client1");
  world.run_for(kSecond);
  ASSERT_TRUE(world.map(8000, "client1"));
  const core::MappingId mapping = world.relay->mappings().all().begin()->first;
  machine(0).crash();
  world.run_for(kSecond / 10);
  const core::VisitorRef early = world.visit(mapping);
  EXPECT_EQ(world.visitors.at(early).fate, Visitor::Fate::kPending);
  machine(0).boot();
  world.run_for(kSecond);
  EXPECT_EQ(world.visitors.at(early).fate, Visitor::Fate::kStarted);
  machine(0).crash();
  world.run_for(4 * kSecond);
  const core::VisitorRef late = world.visit(mapping);
  EXPECT_EQ(world.visitors.at(late).fate, Visitor::Fate::kRefused);
  EXPECT_NE(world.relay->flows().recent().back().detail.find("agent client1 away"), std::string::npos);
}

TEST_F(SessionTest, AVisitorWhoseSessionIsLostIsServedByTheNextOne) {
  world.join(world.add_machine(), "client1");
  world.run_for(kSecond);
  ASSERT_TRUE(world.map(8000, "client1"));
  const core::VisitorRef ref = world.visit(world.relay->mappings().all().begin()->first);
  machine(0).crash();  // the OPEN is on its way
  world.run_for(kSecond / 5);
  EXPECT_EQ(world.visitors.at(ref).fate, Visitor::Fate::kPending);
  machine(0).boot();
  world.run_for(kSecond);
  EXPECT_EQ(world.visitors.at(ref).fate, Visitor::Fate::kStarted);
}

TEST_F(SessionTest, AVisitorWhoseSessionDoesNotComeBackIsTurnedAway) {
  world.join(world.add_machine(), "client1");
  world.run_for(kSecond);
  ASSERT_TRUE(world.map(8000, "client1"));
  const core::VisitorRef ref = world.visit(world.relay->mappings().all().begin()->first);
  machine(0).crash();
  world.run_for(4 * kSecond);
  EXPECT_EQ(world.visitors.at(ref).fate, Visitor::Fate::kRefused);
}

TEST_F(SessionTest, RefusedLoginsAreALineASecond) {
  std::ostringstream lines;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_st>(lines)));
  spdlog::set_level(spdlog::level::warn);
  for (int i = 0; i < 50; ++i) {
    Machine& stranger = machine(world.add_machine());
    stranger.key[0] = std::byte(i + 1);
    stranger.name = "client1";
    stranger.boot();
  }
  world.run_for(kSecond * 3 / 2);
  Machine& last = machine(world.add_machine());
  last.key[0] = std::byte{99};
  last.name = "client1";
  last.boot();
  world.run_for(kSecond / 2);
  spdlog::set_default_logger(before);
  const std::string text = lines.str();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 3) << text;
  EXPECT_NE(text.find("more since the last such line"), std::string::npos) << text;
}

TEST_F(SessionTest, APortBelongsToAnIdentityAndTheErrorNamesIt) {
  world.join(world.add_machine(), "client1");
  world.join(world.add_machine(), "client2");
  world.run_for(kSecond);
  ASSERT_TRUE(world.map(8888, "client1"));
  EXPECT_TRUE(world.map(8888, "client1"));  // again: the same
  control::MappingBook::Request other{"client2", {}};
  other.mapping.public_ports = *core::PublicPorts::parse("8888");
  other.mapping.target = *core::Target::parse("22");
  std::string message;
  world.relay->map(other, [&](Result<control::Relay::MapResult> result) { message = result.error().message(); });
  EXPECT_NE(message.find("belongs to client1"), std::string::npos) << message;
  EXPECT_NE(message.find("nfctl unmap 8888"), std::string::npos) << message;
  world.crash_relay();
  world.boot_relay();
  world.run_for(5 * kSecond);
  EXPECT_FALSE(world.map(8888, "client2"));
}

TEST_F(SessionTest, APortTakenByAnotherProgramIsNamedAndNothingIsStored) {
  world.join(world.add_machine(), "client1");
  world.ports->taken.insert({net::IpAddress{}, net::Port{8888}});
  EXPECT_FALSE(world.map(8888, "client1"));
  EXPECT_TRUE(world.store.mappings.empty());
  EXPECT_TRUE(world.relay->mappings().all().empty());
}

TEST_F(SessionTest, MappingAClosedPortAgainTriesIt) {
  world.join(world.add_machine(), "client1");
  world.run_for(kSecond);
  ASSERT_TRUE(world.map(8888, "client1"));
  const net::Endpoint port{net::IpAddress{}, net::Port{8888}};
  world.crash_relay();
  world.boot_relay();
  world.ports->taken.insert(port);  // before the relay asks for it again
  world.run_for(kSecond / 10);
  const auto& entry = world.relay->mappings().all().begin()->second;
  ASSERT_NE(entry.port_fault.find("nginx"), std::string::npos) << entry.port_fault;
  world.ports->taken.erase(port);
  EXPECT_TRUE(world.map(8888, "client1"));
  EXPECT_EQ(entry.port_fault, "");
}

}  // namespace
}  // namespace nfr::sim
