// SPDX-License-Identifier: GPL-2.0-only
// Mappings that agents make by themselves, one rule at a time, on the simulated world.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.hpp"
#include "harness/sim/world.hpp"

namespace nfr::sim {
namespace {

using ::testing::HasSubstr;
constexpr Micros kSecond{1'000'000};

proto::Wish wish(const char* ports, const char* target) {
  return {*core::PublicPorts::parse(ports), *core::Target::parse(target), std::nullopt, core::ProxyHeader::kNone};
}

class DeclarationsTest : public ::testing::Test {
 protected:
  DeclarationsTest() {
    spdlog::set_level(spdlog::level::off);
    for (const char* name : {"client1", "client2"}) {
      world.join(world.add_machine(), name);
      rights(name, "8000-8099", true);
    }
    world.run_for(kSecond);
  }
  ~DeclarationsTest() override { EXPECT_TRUE(world.violations.empty()) << world.violations.front(); }

  void rights(const char* agent, const char* ports, bool automatic, std::uint32_t most = 16) {
    core::Rights rights;
    if (*ports != '\0') rights.ports.push_back(*core::PortRange::parse(ports));
    rights.automatic = automatic;
    rights.mappings_max = most;
    world.set_rights(agent, rights);
    world.run_for(kSecond);
  }
  Machine& machine(int index) { return *world.machines[static_cast<std::size_t>(index)]; }
  void declare(int index, std::vector<proto::Wish> wishes) {
    machine(index).wishes = wishes;
    machine(index).agent->wish(std::move(wishes));
    world.run_for(kSecond);
  }
  const proto::Declared::Outcome& outcome(int index, std::size_t wish) {
    return machine(index).last_declared.outcomes.at(wish);
  }
  const core::Mapping* mapped(const char* ports) {
    const auto* entry = world.relay->mappings().find(*core::PublicPorts::parse(ports));
    return entry != nullptr ? &entry->mapping : nullptr;
  }
  World world{11};
};

TEST_F(DeclarationsTest, AWishWithinTheRightsIsMade) {
  declare(0, {wish("8001", "22"), wish("auto", "3000")});
  EXPECT_EQ(outcome(0, 0).address, "203.0.113.5:8001");
  EXPECT_THAT(outcome(0, 1).address, HasSubstr("203.0.113.5:"));
  ASSERT_NE(mapped("8001"), nullptr);
  EXPECT_EQ(mapped("8001")->origin, core::Origin::kAgent);
}

TEST_F(DeclarationsTest, OutsideTheRightsTheAgentIsNamed) {
  declare(0, {wish("8099-8100", "22-23"), wish("80", "80")});
  EXPECT_THAT(outcome(0, 0).error, HasSubstr("nfctl agent set client1 --ports"));
  EXPECT_THAT(outcome(0, 1).error, HasSubstr("80/tcp is not among the ports this agent may ask for (8000-8099,auto)"));
  EXPECT_TRUE(world.relay->mappings().all().empty());
}

TEST_F(DeclarationsTest, TheSecondAgentIsToldWhoHasThePort) {
  declare(0, {wish("8001", "22")});
  declare(1, {wish("8001", "22")});
  EXPECT_THAT(outcome(1, 0).error, HasSubstr("belongs to client1"));
  declare(0, {});
  declare(1, {wish("8001", "22")});
  EXPECT_EQ(outcome(1, 0).address, "203.0.113.5:8001");
}

TEST_F(DeclarationsTest, WhatIsNoLongerDeclaredEnds) {
  declare(0, {wish("8001", "22"), wish("8002", "22")});
  declare(0, {wish("8002", "22")});
  EXPECT_EQ(mapped("8001"), nullptr);
  EXPECT_NE(mapped("8002"), nullptr);
}

TEST_F(DeclarationsTest, TwoSpellingsOfOnePlaceAreNotBothPromised) {
  declare(0, {wish("8001", "22"), wish("8001", "23"), wish("8001", "22")});
  EXPECT_EQ(outcome(0, 0).address, "203.0.113.5:8001");
  EXPECT_THAT(outcome(0, 1).error, HasSubstr("twice"));
  EXPECT_EQ(outcome(0, 2).address, "203.0.113.5:8001");
  EXPECT_EQ(mapped("8001")->target.text(), "127.0.0.1:22");
}

TEST_F(DeclarationsTest, TheOperatorsMappingIsNotTakenOver) {
  world.map(8001, "client1");
  control::MappingBook::Request automatic{"client1", {}};
  automatic.mapping.target = *core::Target::parse("3000");
  automatic.mapping.admission.allow = {*net::Network::parse("10.0.0.0/8")};
  std::optional<core::Mapping> made;
  world.relay->map(automatic, [&](auto result) { made = result->mapping; });
  world.run_for(kSecond);
  declare(0, {wish("8001", "22"), wish("auto", "3000")});
  EXPECT_THAT(outcome(0, 0).error, HasSubstr("by the relay's operator"));
  EXPECT_THAT(outcome(0, 1).error, HasSubstr("by the relay's operator"));
  ASSERT_TRUE(made);
  const core::Mapping& kept = world.relay->mappings().find(made->id)->mapping;
  EXPECT_EQ(kept.origin, core::Origin::kOperator);
  EXPECT_EQ(kept.admission.allow.size(), 1U);
  EXPECT_EQ(mapped("8001")->target.text(), "127.0.0.1:3306");
}

TEST_F(DeclarationsTest, TheOperatorsListsOutliveAnotherLogin) {
  declare(0, {wish("8001", "22")});
  core::Admission closed;
  closed.allow = {*net::Network::parse("10.0.0.0/8")};
  ASSERT_TRUE(world.relay->set_admission(*core::PublicPorts::parse("8001"), closed));
  world.break_wire(0);
  world.run_for(5 * kSecond);
  EXPECT_EQ(outcome(0, 0).address, "203.0.113.5:8001");
  EXPECT_EQ(mapped("8001")->admission, closed);
}

TEST_F(DeclarationsTest, NarrowerRightsEndMappingsAndTheAgentIsTold) {
  declare(0, {wish("8001", "22"), wish("auto", "3000")});
  rights("client1", "8002", true);
  EXPECT_EQ(mapped("8001"), nullptr);
  EXPECT_THAT(outcome(0, 0).error, HasSubstr("not among the ports"));
  EXPECT_FALSE(outcome(0, 1).address.empty());
  rights("client1", "8000-8099", true);
  EXPECT_EQ(outcome(0, 0).address, "203.0.113.5:8001");
  EXPECT_NE(mapped("8001"), nullptr);
}

TEST_F(DeclarationsTest, TheMostMappingsAreHeld) {
  rights("client1", "8000-8099", true, 2);
  declare(0, {wish("8001", "1"), wish("8002", "2"), wish("8003", "3")});
  EXPECT_TRUE(outcome(0, 0).error.empty());
  EXPECT_THAT(outcome(0, 2).error, HasSubstr("may make 2 mapping(s)"));
  rights("client1", "8000-8099", true, 1);
  EXPECT_EQ(world.relay->mappings().all().size(), 1U);
}

TEST_F(DeclarationsTest, AnOperatorsUnmapIsTold) {
  declare(0, {wish("8001", "22"), wish("8002", "23")});
  world.unmap(*core::PublicPorts::parse("8001"), false);
  world.run_for(kSecond);
  EXPECT_THAT(outcome(0, 0).error, HasSubstr("taken back by the relay's operator"));
  EXPECT_EQ(outcome(0, 1).address, "203.0.113.5:8002");
}

TEST_F(DeclarationsTest, APortOfAnotherProgramIsNotPromised) {
  world.ports->taken.insert(core::PublicPorts::parse("8001")->first);
  declare(0, {wish("8001", "22")});
  EXPECT_THAT(outcome(0, 0).error, HasSubstr("nginx"));
  EXPECT_EQ(mapped("8001"), nullptr);
}

// The second list comes while the port of the first is being opened: it must not be told what is not known yet.
TEST_F(DeclarationsTest, TwoListsInOneMomentAreBothToldTheTruth) {
  world.ports->taken.insert(core::PublicPorts::parse("8001")->first);
  machine(0).agent->wish({wish("8001", "22")});
  declare(0, {wish("8001", "22"), wish("8002", "23")});
  EXPECT_THAT(outcome(0, 0).error, HasSubstr("nginx"));
  EXPECT_EQ(outcome(0, 1).address, "203.0.113.5:8002");
  EXPECT_EQ(mapped("8001"), nullptr);
}

TEST_F(DeclarationsTest, AnAutomaticPortIsTheSameAfterRestartsOfBothSides) {
  declare(0, {wish("auto", "3000")});
  const std::string first = outcome(0, 0).address;
  declare(0, {});
  EXPECT_TRUE(world.relay->mappings().all().empty());
  world.crash_relay();
  machine(0).crash();
  world.boot_relay();
  world.rename("client1", "moved");
  machine(0).wishes = {wish("auto", "3000")};
  machine(0).boot();
  world.run_for(5 * kSecond);
  EXPECT_EQ(outcome(0, 0).address, first);
}

TEST_F(DeclarationsTest, AnAutomaticPortOfAnotherProgramIsPassedOver) {
  declare(0, {wish("auto", "3000")});
  const core::PublicPorts ports = world.relay->mappings().all().begin()->second.mapping.public_ports;
  declare(0, {});
  world.first_addresses.clear();  // it cannot be the same again this time
  // Ours after it, another program's before: the search must go on and not come back.
  net::Endpoint next = ports.first;
  world.ports->taken.insert(next);
  next.port = control::PortChooser::after(next.port);
  world.map(next.port.value, "client2");
  for (int i = 0; i < 4; ++i) {
    next.port = control::PortChooser::after(next.port);
    world.ports->taken.insert(next);
  }
  declare(0, {wish("auto", "3000")});
  EXPECT_EQ(outcome(0, 0).error, "");
  EXPECT_FALSE(outcome(0, 0).address.empty());
}

TEST_F(DeclarationsTest, AFloodOfListsCostsWhatAFewCostAndTheLastOneCounts) {
  const std::uint64_t before = world.store.write_count;
  for (int i = 0; i < 500; ++i) machine(0).agent->wish({wish(i % 2 == 0 ? "8001" : "8002", "22")});
  world.run_for(kSecond);
  declare(0, {wish("8003", "22")});
  world.run_for(kSecond * 2);
  EXPECT_NE(mapped("8003"), nullptr);
  EXPECT_EQ(world.relay->mappings().all().size(), 1u);
  EXPECT_THAT(outcome(0, 0).address, HasSubstr(":8003"));
  // Eight at once, then two a second; each makes one mapping and takes one back.
  EXPECT_LE(world.store.write_count - before, 2u * (8 + 10));
}

TEST_F(DeclarationsTest, AListIsChargedForWhatItChanges) {
  rights("client1", "8000-8999", true, 64);
  const auto many = [](int first) {
    std::vector<proto::Wish> wishes;
    for (int i = 0; i < 64; ++i) wishes.push_back(wish(std::to_string(first + i).c_str(), "22"));
    return wishes;
  };
  declare(0, many(8100));
  world.run_for(kSecond * 30);
  const std::uint64_t before = world.store.write_count;
  for (int i = 0; i < 100; ++i) {
    machine(0).agent->wish(many(i % 2 == 0 ? 8200 : 8100));
    world.run_for(kSecond / 10);
  }
  // 128 changes are worth eight seconds and more: two lists within ten, and the one that was ahead.
  EXPECT_LE(world.store.write_count - before, 3u * 128);
  const std::uint64_t unchanged = world.store.write_count;
  declare(0, many(8100));
  world.run_for(kSecond * 30);
  EXPECT_EQ(world.relay->mappings().all().size(), 64u);
  EXPECT_LE(world.store.write_count - unchanged, 2u * 128);
}

TEST_F(DeclarationsTest, AHeldListEndsWithItsSession) {
  for (int i = 0; i < 20; ++i) machine(0).agent->wish({wish("8001", "22")});
  machine(0).agent->wish({wish("8002", "22")});
  world.run_for(kSecond / 100);
  EXPECT_EQ(mapped("8002"), nullptr);
  ASSERT_TRUE(world.relay->agent_revoke("client1"));
  world.run_for(kSecond * 5);
  EXPECT_EQ(mapped("8002"), nullptr);
}

}  // namespace
}  // namespace nfr::sim
