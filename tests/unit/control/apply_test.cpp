// SPDX-License-Identifier: GPL-2.0-only
// `nfctl apply` as policy: what a plan holds, that it is carried out whole or not at all, and what it leaves alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.hpp"
#include "harness/sim/world.hpp"

namespace nfr::sim {
namespace {

using control::MappingPlan;
using ::testing::HasSubstr;
constexpr Micros kSecond{1'000'000};

control::MappingBook::Request request(const char* agent, const char* ports, const char* target) {
  control::MappingBook::Request out{agent, {}};
  out.mapping.public_ports = *core::PublicPorts::parse(ports);
  out.mapping.target = *core::Target::parse(target);
  return out;
}
using Requests = std::vector<control::MappingBook::Request>;

class ApplyTest : public ::testing::Test {
 protected:
  ApplyTest() {
    spdlog::set_level(spdlog::level::off);
    for (const char* name : {"client1", "client2"}) world.join(world.add_machine(), name);
    world.run_for(kSecond);
  }
  Result<MappingPlan> apply(const Requests& declared, bool dry_run = false) {
    std::optional<Result<MappingPlan>> got;
    world.relay->apply(declared, dry_run, [&](Result<MappingPlan> plan) { got = std::move(plan); });
    world.run_for(kSecond);
    EXPECT_TRUE(got.has_value());
    return got ? std::move(*got) : Result<MappingPlan>(Error(Code::kTimeout, "no answer"));
  }
  std::string refusal(const Requests& declared) {
    const auto plan = apply(declared);
    EXPECT_FALSE(plan);
    return plan ? "" : plan.error().message();
  }
  /// "8001/tcp client1 127.0.0.1:22" of every mapping, in memory and, where that differs, in the store.
  std::set<std::string> book() {
    std::set<std::string> out;
    for (const auto& [id, entry] : world.relay->mappings().all()) out.insert(line(entry.mapping));
    std::set<std::string> stored;
    for (const auto& [id, mapping] : world.store.mappings) stored.insert(line(mapping));
    EXPECT_EQ(out, stored);
    return out;
  }
  std::string line(const core::Mapping& mapping) {
    return mapping.public_ports.text() + " " + world.relay->agents().find(mapping.agent)->name + " " +
           mapping.target.text();
  }
  World world{3};
};

TEST_F(ApplyTest, MakesChangesAndRemoves) {
  ASSERT_TRUE(apply({request("client1", "8001", "22"), request("client1", "8002", "23")}));
  const auto plan = apply({request("client1", "8002", "24"), request("client2", "8003-8004", "25-26")});
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->add.size(), 1U);
  EXPECT_EQ(plan->change.size(), 1U);
  EXPECT_EQ(plan->remove.size(), 1U);
  EXPECT_EQ(book(), (std::set<std::string>{"8002/tcp client1 127.0.0.1:24", "8003-8004/tcp client2 127.0.0.1:25-26"}));
  const auto again = apply({request("client1", "8002", "24"), request("client2", "8003-8004", "25-26")});
  EXPECT_EQ(again->unchanged, 2U);
}

TEST_F(ApplyTest, ADryRunDoesNothing) {
  const auto plan = apply({request("client1", "8001", "22")}, true);
  EXPECT_EQ(plan->add.size(), 1U);
  EXPECT_TRUE(book().empty());
}

TEST_F(ApplyTest, AFailedPortTakesEverythingBack) {
  ASSERT_TRUE(apply({request("client1", "8001", "22"), request("client1", "8002", "23")}));
  const auto before = book();
  world.ports->taken.insert(core::PublicPorts::parse("8005")->first);
  EXPECT_THAT(
      refusal({request("client1", "8002", "99"), request("client1", "8004", "1"), request("client1", "8005", "1")}),
      HasSubstr("nginx"));
  EXPECT_EQ(book(), before);
  EXPECT_EQ(world.ports->open_now.size(), 2U);
}

TEST_F(ApplyTest, AFailedStoreChangesNothing) {
  ASSERT_TRUE(apply({request("client1", "8001", "22")}));
  const auto before = book();
  world.store.fail_writes = 1;
  EXPECT_THAT(refusal({request("client1", "8002", "23")}), HasSubstr("disk full"));
  EXPECT_EQ(book(), before);
}

TEST_F(ApplyTest, WhatHappensInBetweenIsNotUndone) {
  ASSERT_TRUE(apply({request("client1", "8001", "22"), request("client1", "8002", "23")}));
  world.ports->taken.insert(core::PublicPorts::parse("8005")->first);
  std::optional<bool> applied;
  world.relay->apply({request("client1", "8002", "99"), request("client1", "8005", "1")}, false,
                     [&](const auto& plan) { applied = plan.ok(); });
  // While the port is tried: the changed mapping goes, and the removed one's port gets another owner.
  ASSERT_TRUE(world.relay->unmap(*core::PublicPorts::parse("8002"), false));
  world.relay->map(request("client2", "8001", "80"), [](auto) {});
  world.run_for(kSecond);
  EXPECT_EQ(applied, false);
  EXPECT_EQ(book(), (std::set<std::string>{"8001/tcp client2 127.0.0.1:80"}));
}

TEST_F(ApplyTest, EntriesThatExcludeOneAnotherAreNamed) {
  EXPECT_THAT(refusal({request("client1", "8001", "22"), request("client2", "8000-8002", "1-3")}),
              HasSubstr("want the same"));
  EXPECT_THAT(refusal({request("client1", "auto", "22"), request("client1", "auto", "22")}),
              HasSubstr("want the same"));
  EXPECT_THAT(refusal({request("nobody", "8001", "22")}), HasSubstr("no agent is named 'nobody'"));
  EXPECT_THAT(refusal({request("client1", "8001-8002", "22")}), HasSubstr("same length"));
}

TEST_F(ApplyTest, AnotherAgentsOwnMappingIsNotTaken) {
  core::Rights rights;
  rights.ports = {*core::PortRange::parse("8001")};
  world.set_rights("client2", rights);
  world.machines[1]->agent->wish({{*core::PublicPorts::parse("8001"), *core::Target::parse("22"), {}}});
  world.run_for(kSecond);
  EXPECT_THAT(refusal({request("client1", "8001", "22")}), HasSubstr("belongs to client2"));
  ASSERT_TRUE(apply({}));
  EXPECT_EQ(book(), (std::set<std::string>{"8001/tcp client2 127.0.0.1:22"}));
}

TEST_F(ApplyTest, AnAutomaticPortIsRemembered) {
  ASSERT_TRUE(apply({request("client1", "auto", "22")}));
  const auto first = book();
  ASSERT_TRUE(apply({}));
  EXPECT_EQ(world.store.memories.size(), 1U);
  world.crash_relay();
  world.boot_relay();
  ASSERT_TRUE(apply({request("client1", "auto", "22")}));
  EXPECT_EQ(book(), first);
}

TEST_F(ApplyTest, APortOfAnAutomaticEntryIsNotGivenTwice) {
  ASSERT_TRUE(apply({request("client1", "auto", "22")}));
  const std::string port =
      std::to_string(world.relay->mappings().all().begin()->second.mapping.public_ports.first.port.value);
  EXPECT_THAT(refusal({request("client1", "auto", "22"), request("client2", port.c_str(), "80")}),
              HasSubstr("another entry has already"));
}

TEST_F(ApplyTest, AnExpiredMappingThatTheStoreKeptIsRemovedLater) {
  world.map(8001, "client1", std::chrono::minutes(1));
  world.clock.jump_wall(std::chrono::hours(1));
  world.store.fail_writes = 1;
  world.run_for(kSecond);
  EXPECT_TRUE(world.relay->mappings().all().empty());
  world.run_for(10 * kSecond);
  EXPECT_TRUE(world.store.mappings.empty());
}

}  // namespace
}  // namespace nfr::sim
