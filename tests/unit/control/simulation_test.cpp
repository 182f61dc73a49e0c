// SPDX-License-Identifier: GPL-2.0-only
// The policy of relay and agents, whole, under a seed: a minute of random trouble, then quiet, then everything must
// work. A failing seed is printed; run it alone with NFR_SIM_SEED=n. NFR_SIM_SEEDS sets how many (default 1000).
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/log.hpp"
#include "harness/sim/world.hpp"

namespace nfr::sim {
namespace {

constexpr int kMachines = 4;
constexpr Micros kSecond{1'000'000};

std::string agent_name(std::uint64_t index) { return "client" + std::to_string(index); }

void visit_something(World& world) {
  if (!world.relay || world.relay->mappings().all().empty()) return;
  auto entry = world.relay->mappings().all().begin();
  std::advance(entry, static_cast<std::ptrdiff_t>(world.random.below(world.relay->mappings().all().size())));
  const core::VisitorRef ref = world.visit(entry->first);
  if (!world.random.chance(5) || world.visitors.at(ref).fate != Visitor::Fate::kPending) return;
  world.visitors.at(ref).fate = Visitor::Fate::kLost;
  world.relay->flows().on_visitor_gone(ref);
}

void operator_does_something(World& world) {
  if (!world.relay) return;
  const std::string name = agent_name(world.random.below(kMachines));
  const std::uint16_t port = static_cast<std::uint16_t>(8000 + world.random.below(6));
  switch (world.random.below(8)) {
    case 0: world.revoke(name); break;
    case 1: world.join(static_cast<int>(world.random.below(kMachines)), name); break;
    case 2: (void)world.relay->unmap({{net::IpAddress{}, net::Port{port}}, 1}, world.random.chance(50)); break;
    case 3: (void)world.relay->rotate_key(); break;
    case 4:
      if (world.random.chance(20)) (void)world.relay->agent_remove(name);
      break;
    default: world.map(port, name); break;
  }
}

void trouble(World& world) {
  const int victim = static_cast<int>(world.random.below(kMachines));
  Machine& machine = *world.machines[static_cast<std::size_t>(victim)];
  switch (world.random.below(9)) {
    case 0: world.crash_relay(); break;
    case 1: machine.crash(); break;
    case 2: world.break_wire(victim); break;
    case 3: world.silence_wire(victim); break;
    case 4: world.store.fail_writes = 1 + static_cast<unsigned>(world.random.below(3)); break;
    case 5: world.clock.jump_wall(std::chrono::hours(world.random.chance(50) ? 25 : -25)); break;
    case 6: {  // a copied state directory: two machines, one identity
      Machine& other = *world.machines[(static_cast<std::size_t>(victim) + 1) % kMachines];
      other.crash();
      other.key = machine.key;
      other.name = machine.name;
      other.token.clear();
      other.boot();
      break;
    }
    default: operator_does_something(world); break;
  }
}

void heal(World& world) {
  world.store.fail_writes = 0;
  world.boot_relay();
  for (std::size_t i = 0; i < world.machines.size(); ++i) {
    Machine& machine = *world.machines[i];
    machine.crash();
    EXPECT_TRUE(world.join(static_cast<int>(i), agent_name(i)));
  }
}

void check_books(World& world) {
  const auto& relay = *world.relay;
  world.expect(relay.agents().all().size() == world.store.agents.size(), "agents in memory are those in the store");
  world.expect(relay.mappings().all().size() == world.store.mappings.size(),
               "mappings in memory are those in the store");
  std::set<core::PublicPorts> seen;
  for (const auto& [id, entry] : relay.mappings().all()) {
    world.expect(seen.insert(entry.mapping.public_ports).second, "a public endpoint belongs to one mapping");
    world.expect(relay.agents().find(entry.mapping.agent) != nullptr, "a mapping's agent exists");
    world.expect(world.ports->open_now.contains(id), "a mapping's port is open");
  }
  world.expect(world.ports->open_now.size() == relay.mappings().all().size(), "no port is open without a mapping");
}

void check_quiet_world(World& world) {
  check_books(world);
  for (const auto& machine : world.machines) {
    const auto* record = world.relay->agents().find(machine->name);
    world.expect(record != nullptr && world.relay->sessions().active(record->id) != nullptr,
                 machine->name + " is connected");
  }
  std::vector<core::VisitorRef> last;
  for (const auto& [id, entry] : world.relay->mappings().all()) last.push_back(world.visit(id));
  world.run_for(2 * kSecond);
  for (const core::VisitorRef ref : last) {
    world.expect(world.visitors.at(ref).fate == Visitor::Fate::kStarted, "a visitor of a healthy mapping is served");
  }
  world.run_for(20 * kSecond);
  for (const auto& [ref, visitor] : world.visitors) {
    world.expect(visitor.fate != Visitor::Fate::kPending, "no visitor waits for ever");
  }
  world.expect(world.relay->flows().all().empty(), "no flow is left over");
}

std::vector<std::string> live_through(std::uint64_t seed) {
  World world(seed);
  for (int i = 0; i < kMachines; ++i) world.join(world.add_machine(), agent_name(static_cast<std::uint64_t>(i)));
  world.run_for(kSecond);
  for (std::uint16_t port = 8000; port < 8003; ++port) world.map(port, agent_name(port % kMachines));
  for (int step = 0; step < 60; ++step) {
    if (world.random.chance(40)) trouble(world);
    for (unsigned visits = 0; visits < 3; ++visits) visit_something(world);
    world.run_for(Micros(world.random.below(2'000'000)));
    if (world.random.chance(60)) world.boot_relay();
    for (auto& machine : world.machines) {
      if (world.random.chance(40)) machine->boot();
    }
  }
  heal(world);
  world.run_for(90 * kSecond);
  check_quiet_world(world);
  return world.violations;
}

TEST(Simulation, PolicyHoldsUnderEverySeed) {
  spdlog::set_level(spdlog::level::off);
  const char* one = std::getenv("NFR_SIM_SEED");
  const char* many = std::getenv("NFR_SIM_SEEDS");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t count = one != nullptr ? 1 : many != nullptr ? std::strtoull(many, nullptr, 10) : 1000;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto violations = live_through(seed);
    ASSERT_TRUE(violations.empty()) << "seed " << seed << ": " << violations.front() << " (" << violations.size()
                                    << " in all)";
  }
}

TEST(Simulation, TheHarnessSeesABrokenRule) {
  World world(1);
  world.expect(false, "planted");
  EXPECT_EQ(world.violations.size(), 1U);
  EXPECT_EQ(world.violations.front(), "planted");
}

}  // namespace
}  // namespace nfr::sim
