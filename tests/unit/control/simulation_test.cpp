// SPDX-License-Identifier: GPL-2.0-only
// The policy of relay and agents, whole, under a seed: a minute of random trouble, then quiet, then everything must
// work. A failing seed is printed; run it alone with NFR_SIM_SEED=n. NFR_SIM_SEEDS sets how many (default 1000 x
// NFR_SCALE).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/log.hpp"
#include "harness/scale.hpp"
#include "harness/sim/world.hpp"

namespace nfr::sim {
namespace {

constexpr int kMachines = 4;
constexpr Micros kSecond{1'000'000};

std::string agent_name(std::uint64_t index) { return "client" + std::to_string(index); }

void visit_something(World& world) {
  if (!world.relay || world.relay->mappings().all().empty()) return;
  if (world.relay->flows().all().size() >= world.visitors_max) return;  // it waits to be accepted
  auto entry = world.relay->mappings().all().begin();
  std::advance(entry, static_cast<std::ptrdiff_t>(world.random.below(world.relay->mappings().all().size())));
  const auto host = static_cast<std::uint8_t>(1 + world.random.below(4));
  const core::VisitorRef ref = world.visit(entry->first, host);
  if (!world.random.chance(5) || world.visitors.at(ref).fate != Visitor::Fate::kPending) return;
  world.visitors.at(ref).fate = Visitor::Fate::kLost;
  world.relay->flows().on_visitor_gone(ref);
}

std::vector<proto::Wish> some_wishes(World& world) {
  std::vector<proto::Wish> wishes;
  for (const char* target : {"3000", "3001", "127.0.0.1:22"}) {
    if (world.random.chance(70))
      wishes.push_back({*core::PublicPorts::parse("auto"), *core::Target::parse(target), {}});
  }
  // Everybody's favourites: agents race for them, with each other and with the operator.
  for (const char* port : {"8003", "8100", "8101-8102"}) {
    const char* target = std::string_view(port).size() > 4 ? "5000-5001" : "443";
    if (world.random.chance(40)) wishes.push_back({*core::PublicPorts::parse(port), *core::Target::parse(target), {}});
  }
  return wishes;
}

core::Rights some_rights(World& world) {
  core::Rights rights;
  if (world.random.chance(70)) rights.ports.push_back(*core::PortRange::parse("8003-8101"));
  if (world.random.chance(50)) rights.ports.push_back(*core::PortRange::parse("8102"));
  rights.automatic = world.random.chance(80);
  rights.mappings_max = static_cast<std::uint32_t>(1 + world.random.below(6));
  return rights;
}

core::Admission some_admission(World& world) {
  core::Admission admission;
  if (world.random.chance(40)) admission.allow.push_back(*net::Network::parse("198.51.100.0/31"));
  if (world.random.chance(40)) admission.allow.push_back(*net::Network::parse("198.51.100.2"));
  if (world.random.chance(30)) admission.deny.push_back(*net::Network::parse("198.51.100.1"));
  if (world.random.chance(40)) admission.flows_max = static_cast<std::uint32_t>(1 + world.random.below(3));
  if (world.random.chance(30)) admission.flows_per_source_max = 1;
  if (world.random.chance(20)) admission.rate_per_source = 1;
  return admission;
}

void operator_applies(World& world) {
  std::vector<control::MappingBook::Request> requests;
  for (std::uint16_t port = 8000; port < 8004; ++port) {
    if (world.random.chance(50)) continue;
    control::MappingBook::Request request{agent_name(world.random.below(kMachines)), {}};
    request.mapping.public_ports = *core::PublicPorts::parse(std::to_string(port));
    request.mapping.target = *core::Target::parse(world.random.chance(50) ? "3306" : "3307");
    requests.push_back(request);
  }
  if (world.random.chance(40)) world.store.fail_writes = 1 + static_cast<unsigned>(world.random.below(2));
  if (world.random.chance(30)) world.ports->taken.insert(core::PublicPorts::parse("8002")->first);
  world.apply(requests, world.random.chance(20));
}

void operator_changes_agents(World& world, const std::string& name) {
  switch (world.random.below(6)) {
    case 0: world.revoke(name); break;
    case 1: world.join(static_cast<int>(world.random.below(kMachines)), name); break;
    case 2:
      if (world.random.chance(30)) (void)world.relay->agent_remove(name);
      break;
    case 3:
      if (world.random.chance(50))
        world.rename(name, "moved" + name);
      else
        world.rename("moved" + name, name);
      break;
    default: world.set_rights(name, some_rights(world)); break;
  }
}

void operator_does_something(World& world) {
  if (!world.relay) return;
  const std::string name = agent_name(world.random.below(kMachines));
  const std::uint16_t port = static_cast<std::uint16_t>(8000 + world.random.below(6));
  switch (world.random.below(10)) {
    case 0:
    case 1:
    case 2: operator_changes_agents(world, name); break;
    case 3: world.unmap({{net::IpAddress{}, net::Port{port}}, 1}, world.random.chance(50)); break;
    case 4: (void)world.relay->rotate_key(); break;
    case 5: operator_applies(world); break;
    case 9: world.set_admission({{net::IpAddress{}, net::Port{port}}, 1}, some_admission(world)); break;
    case 6: world.map(port, name, std::chrono::minutes(1 + world.random.below(120))); break;
    default: world.map(port, name); break;
  }
}

/// A login that meets a revocation at any of its steps.
void revoke_during_connect(World& world, Machine& machine) {
  machine.crash();
  machine.boot();
  world.run_for(Micros(world.random.below(60'000)));
  world.revoke(machine.name);
}

void trouble(World& world) {
  const int victim = static_cast<int>(world.random.below(kMachines));
  Machine& machine = *world.machines[static_cast<std::size_t>(victim)];
  switch (world.random.below(14)) {
    case 7: revoke_during_connect(world, machine); break;
    case 8:
    case 9:
      machine.wishes = some_wishes(world);
      if (machine.agent) machine.agent->wish(machine.wishes);
      break;
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
    case 10: world.break_channels(victim); break;
    default: operator_does_something(world); break;
  }
}

void heal(World& world) {
  world.store.fail_writes = 0;
  world.boot_relay();
  world.ports->taken.clear();
  for (std::size_t i = 0; i < world.machines.size(); ++i) {
    Machine& machine = *world.machines[i];
    machine.crash();
    // A renamed agent gets its name back, or goes where another has it by now: every agent has its machine then.
    world.rename("moved" + agent_name(i), agent_name(i));
    (void)world.relay->agent_remove("moved" + agent_name(i));
    EXPECT_TRUE(world.join(static_cast<int>(i), agent_name(i)));
  }
  std::vector<core::PublicPorts> mapped;
  for (const auto& [id, entry] : world.relay->mappings().all()) mapped.push_back(entry.mapping.public_ports);
  for (const core::PublicPorts& ports : mapped) world.set_admission(ports, {});
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

bool within_rights(const core::Rights& rights, const core::Mapping& mapping) {
  if (mapping.automatic && rights.automatic) return true;
  for (std::uint16_t i = 0; i < mapping.public_ports.count; ++i) {
    const net::Port port = mapping.public_ports.nth(i).port;
    const bool covered = std::any_of(rights.ports.begin(), rights.ports.end(),
                                     [&](const core::PortRange& range) { return range.contains(port); });
    if (mapping.automatic || !covered) return false;
  }
  return true;
}

void check_rights(World& world) {
  std::map<core::AgentId, std::uint32_t> made;
  for (const auto& [id, entry] : world.relay->mappings().all()) {
    const core::Mapping& mapping = entry.mapping;
    world.expect(!mapping.expires || *mapping.expires > world.clock.wall(), "a mapping has ended by its time");
    for (const auto& [other_id, other] : world.relay->mappings().all()) {
      world.expect(id == other_id || !mapping.public_ports.overlaps(other.mapping.public_ports),
                   "a public port belongs to one mapping");
    }
    if (mapping.origin != core::Origin::kAgent) continue;
    const core::Rights& rights = world.relay->agents().find(mapping.agent)->rights;
    world.expect(within_rights(rights, mapping), "an agent's own mapping is within its rights");
    world.expect(++made[mapping.agent] <= rights.mappings_max, "an agent has no more mappings than it may");
  }
}

/// What an agent shows to people is so.
void check_declared(World& world, const Machine& machine) {
  const auto* record = world.relay->agents().find(machine.name);
  if (record == nullptr) return;
  world.expect(machine.last_asked == machine.wishes, "the last list was answered");
  for (const auto& [serial, answers] : machine.wire->answers) world.expect(answers > 0, "every declare is answered");
  for (std::size_t i = 0; i < machine.last_asked.size() && i < machine.last_declared.outcomes.size(); ++i) {
    const auto& outcome = machine.last_declared.outcomes[i];
    world.expect(outcome.address.empty() != outcome.error.empty(), "a wish has an address or an error");
    const auto& all = world.relay->mappings().all();
    const bool there = std::any_of(all.begin(), all.end(), [&](const auto& item) {
      const core::Mapping& mapping = item.second.mapping;
      return mapping.agent == record->id && mapping.origin == core::Origin::kAgent &&
             mapping.target == machine.last_asked[i].target &&
             world.relay->address_of(mapping.public_ports) == outcome.address;
    });
    world.expect(outcome.address.empty() || there, "a declared mapping is there");
  }
}

void check_quiet_world(World& world) {
  check_books(world);
  check_rights(world);
  for (const auto& machine : world.machines) check_declared(world, *machine);
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

void check_idle_world(World& world) {
  world.run_for(Micros(std::chrono::minutes(12)));
  world.expect(world.kept.empty(), "nothing stands ready where nobody comes");
}

/// How often what the rules are about has happened.
struct Seen {
  unsigned started_ready = 0;
  unsigned lost = 0;
};

std::vector<std::string> live_through(std::uint64_t seed, Seen& seen) {
  World world(seed);
  world.scarce = seed % 4 == 0;
  world.crash_relay();
  world.boot_relay();
  for (int i = 0; i < kMachines; ++i) {
    world.add_machine();
    world.machines.back()->wishes = some_wishes(world);
    world.join(i, agent_name(static_cast<std::uint64_t>(i)));
    world.set_rights(agent_name(static_cast<std::uint64_t>(i)), some_rights(world));
  }
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
  if (seed % 16 == 0) check_idle_world(world);
  seen.started_ready += world.started_ready;
  seen.lost += world.lost;
  return world.violations;
}

TEST(Simulation, PolicyHoldsUnderEverySeed) {
  spdlog::set_level(spdlog::level::off);
  const char* one = std::getenv("NFR_SIM_SEED");
  const char* many = std::getenv("NFR_SIM_SEEDS");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t count = one != nullptr    ? 1
                              : many != nullptr ? std::strtoull(many, nullptr, 10)
                                                : test::scaled(1000, 8);
  Seen seen;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto violations = live_through(seed, seen);
    ASSERT_TRUE(violations.empty()) << "seed " << seed << ": " << violations.front() << " (" << violations.size()
                                    << " in all)";
  }
  if (count < 100) return;
  EXPECT_GT(seen.started_ready, 5 * count) << "visitors find channels ready";
  EXPECT_GT(seen.lost, count / 10) << "some of these are broken";
}

/// A quiet world of two agents; the first has declared a port of the relay's choice, the second is mapped to.
class Planted : public ::testing::Test {
 protected:
  Planted() {
    spdlog::set_level(spdlog::level::off);
    for (int i = 0; i < 2; ++i) {
      world.add_machine();
      world.join(i, agent_name(static_cast<std::uint64_t>(i)));
    }
    world.run_for(kSecond);
    machine().wishes = {{*core::PublicPorts::parse("auto"), *core::Target::parse("3000"), {}}};
    machine().agent->wish(machine().wishes);
    world.map(8000, "client1");
    world.run_for(kSecond);
  }
  Machine& machine() { return *world.machines[0]; }
  core::MappingId mapping() { return world.relay->mappings().find(*core::PublicPorts::parse("8000"))->mapping.id; }
  /// A visitor of port 8000 has left a channel ready behind it.
  core::ChannelRef warm_up() {
    world.visit(mapping());
    world.run_for(kSecond / 2);
    EXPECT_EQ(world.kept.size(), 1u);
    return world.kept.begin()->first;
  }
  core::VisitorRef waiting_visitor() {
    const core::VisitorRef ref{7, 7};
    world.visitors[ref].mapping = mapping();
    world.visitors[ref].agent = world.relay->mappings().find(mapping())->mapping.agent;
    return ref;
  }
  void finds(const std::string& rule) {
    check_books(world);
    check_rights(world);
    world.check_pool();
    for (const auto& one : world.machines) check_declared(world, *one);
    EXPECT_NE(std::find(world.violations.begin(), world.violations.end(), rule), world.violations.end()) << rule;
  }
  World world{1};
};

TEST_F(Planted, NothingIsFoundInAGoodWorld) {
  check_quiet_world(world);
  EXPECT_TRUE(world.violations.empty()) << world.violations.front();
}
TEST_F(Planted, AMappingThatIsNotInTheStore) {
  world.store.mappings.clear();
  finds("mappings in memory are those in the store");
}
TEST_F(Planted, AnAgentThatIsNotInTheStore) {
  world.store.agents.clear();
  finds("agents in memory are those in the store");
}
TEST_F(Planted, APortThatIsNotOpen) {
  world.ports->open_now.clear();
  finds("a mapping's port is open");
}
TEST_F(Planted, APortThatNobodyWants) {
  world.ports->open_now.insert(core::MappingId{999});
  finds("no port is open without a mapping");
}
TEST_F(Planted, AMappingThatOutlivedItsTime) {
  world.map(8001, "client1", std::chrono::minutes(1));
  world.clock.jump_wall(std::chrono::hours(1));  // and no tick
  finds("a mapping has ended by its time");
}
TEST_F(Planted, AListThatWasNotAnswered) {
  machine().wire->answers[999] = 0;
  finds("every declare is answered");
}
TEST_F(Planted, AWishThatWasForgotten) {
  machine().wishes.clear();
  finds("the last list was answered");
}
TEST_F(Planted, AnAddressThatIsNotThere) {
  machine().last_declared.outcomes.at(0).address = "203.0.113.5:1";
  finds("a declared mapping is there");
}
TEST_F(Planted, AChannelThatStaysReadyForNobody) {
  warm_up();
  check_idle_world(world);
  EXPECT_TRUE(world.violations.empty()) << world.violations.front();
  // Minutes of visitors, and then none: what is left is not the pool's.
  world.kept[core::ChannelRef{999'999}] = {};
  check_idle_world(world);
  finds("nothing stands ready where nobody comes");
}
TEST_F(Planted, AChannelThatOutlivedItsSession) {
  warm_up();
  world.kept.begin()->second.session = core::SessionId{1};
  finds("a ready channel's session is alive");
}
TEST_F(Planted, AChannelThatThePoolForgot) {
  warm_up();
  world.kept[core::ChannelRef{999'999}] = world.kept.begin()->second;
  finds("what is kept is what stands ready");
}
TEST_F(Planted, AChannelThatServesTwice) {
  const core::ChannelRef channel = warm_up();
  core::FlowSpec spec;
  spec.stood_ready = true;
  world.kept.erase(channel);
  world.start(waiting_visitor(), channel, spec);
  finds("a channel serves one visitor");
}
TEST_F(Planted, AChannelOfAnotherLeg) {
  const core::ChannelRef channel = warm_up();
  core::FlowSpec spec;
  spec.stood_ready = true;
  spec.leg = core::Leg::kTls;
  world.start(waiting_visitor(), channel, spec);
  finds("a channel serves the leg it was asked for");
}
TEST_F(Planted, AChannelOfAnotherMapping) {
  const core::ChannelRef channel = warm_up();
  world.kept.at(channel).mapping = core::MappingId{999};
  world.kept.at(channel).target = *core::Target::parse("22");
  core::FlowSpec spec;
  spec.stood_ready = true;
  world.start(waiting_visitor(), channel, spec);
  finds("a channel serves the mapping it was asked for");
  finds("a ready channel leads to the target of now");
}
TEST_F(Planted, AChannelOfAnotherAgent) {
  const core::ChannelRef channel = warm_up();
  world.kept.at(channel).opener = "client0";
  core::FlowSpec spec;
  spec.stood_ready = true;
  world.start(waiting_visitor(), channel, spec);
  finds("a visitor reaches only the agent of its mapping");
}
TEST_F(Planted, MoreChannelsThanDescriptors) {
  warm_up();
  world.visitors_max = 0;
  finds("ready channels leave their descriptors to visitors");
}
TEST_F(Planted, ARightThatIsNotThere) {
  core::Mapping mapping;
  mapping.public_ports = *core::PublicPorts::parse("8000-8101");
  core::Rights rights;
  rights.automatic = false;
  rights.ports.push_back(*core::PortRange::parse("8000-8100"));
  EXPECT_FALSE(within_rights(rights, mapping));
  rights.ports.push_back(*core::PortRange::parse("8101"));
  EXPECT_TRUE(within_rights(rights, mapping));
  mapping.automatic = true;
  EXPECT_FALSE(within_rights(rights, mapping));
}

}  // namespace
}  // namespace nfr::sim
