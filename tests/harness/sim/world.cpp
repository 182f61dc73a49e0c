// SPDX-License-Identifier: GPL-2.0-only
#include "harness/sim/world.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace nfr::sim {

void RelayEnd::send(std::string payload) { world_.to_agent(wire_, std::move(payload)); }
void RelayEnd::close() { world_.close_wire(wire_, true); }
void AgentEnd::send(std::string payload) { world_.to_relay(wire_, std::move(payload)); }
void AgentEnd::close() { world_.close_wire(wire_, false); }

void Machine::boot() {
  if (agent || (name.empty() && token.empty())) return;
  ++boots;
  control::AgentSettings settings;
  settings.addresses = {"203.0.113.5:7707"};
  settings.instance = core::InstanceId{world_.random.u64() | 1};
  settings.software = "sim";
  if (!token.empty()) settings.enroll = proto::Hello::Enroll{name, token};
  agent = std::make_unique<control::Agent>(world_.clock, world_.random, *this, settings);
  agent->wish(wishes);
  agent->start();
}

void Machine::declared(const std::vector<proto::Wish>& asked, const proto::Declared& outcome) {
  last_asked = asked;
  last_declared = outcome;
  const auto* record = world_.relay ? world_.relay->agents().find(name) : nullptr;
  if (record == nullptr) return;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::string& address = outcome.outcomes[i].address;
    if (!asked[i].ports.automatic() || address.empty()) continue;
    const auto place = std::pair(record->id, asked[i].target.text());
    const bool remembered = std::any_of(world_.store.memories.begin(), world_.store.memories.end(), [&](auto& memory) {
      return memory.agent == place.first && memory.target == place.second;
    });
    if (const auto first = world_.first_addresses.find(place); first != world_.first_addresses.end()) {
      world_.expect(first->second == address, "an automatic port is the same again");
    } else if (remembered) {
      world_.first_addresses[place] = address;
    }
  }
}

void Machine::crash() {
  agent.reset();
  if (wire) world_.break_wire(index_);
  world_.break_channels(index_);
}

void Machine::dial_relay(const std::string&) { world_.connect(*this, index_); }

std::optional<proto::RefuseReason> Machine::open_channel(const proto::Open& open, core::SessionId session,
                                                         const core::SessionKeys& session_keys) {
  const proto::Preface preface{session, NFR_PREFACE_OPEN, open.number};
  const auto bytes = proto::encode_preface(world_.crypto, session_keys.to_relay, preface);
  Channel channel{name, index_, session, open.mapping, open.target, open.leg};
  world_.queue.after(world_.latency(), [this, channel, bytes]() mutable {
    world_.channel_arrives(channel, bytes);
    // Somebody on the path replays the preface: it must buy nothing.
    channel.opener.clear();
    world_.channel_arrives(channel, bytes);
  });
  return std::nullopt;
}

void Machine::probe(const proto::Probe& probe) {
  world_.queue.after(Micros(400), [this, number = probe.number] {
    if (agent) agent->on_probe_result(number, std::nullopt, Micros(400));
  });
}

World::World(std::uint64_t seed) : random(seed) {
  tick();
  boot_relay();
}

World::~World() {
  for (auto& machine : machines) machine->agent.reset();
  relay.reset();
}

void World::tick() {
  // The relay looks at what it keeps right before; a NAT's silence it does not see.
  const bool seen = random.chance(70);
  for (auto next = kept.begin(); next != kept.end();) {
    const auto at = next++;
    if (!at->second.dead || !seen) continue;
    const core::ChannelRef channel = at->first;
    kept.erase(at);
    if (relay) relay->flows().on_channel_gone(channel);
  }
  if (relay) relay->tick();
  check_pool();
  for (auto& machine : machines) {
    if (machine->agent) machine->agent->tick();
  }
  queue.after(Micros(100'000), [this] { tick(); });
}

void World::run_for(Micros span) { queue.run_until(clock.now() + span); }

void World::expect(bool holds, const std::string& what) {
  if (!holds) violations.push_back(what);
}

void World::boot_relay() {
  if (relay) return;
  ports = std::make_unique<SimPorts>(queue);
  control::RelaySettings settings;
  settings.join_addresses = {"203.0.113.5:7707"};
  settings.public_host = "203.0.113.5";
  relay = std::make_unique<control::Relay>(
      control::Relay::Seams{clock, random, crypto, store, keys, static_cast<core::DataPlane&>(*this), *ports},
      settings);
  expect(relay->start().ok(), "the relay starts");
  if (scarce) relay->set_descriptors({.limit = 96, .fixed = 30, .listeners = 2, .sessions = 0});
}

void World::crash_relay() {
  if (!relay) return;
  relay.reset();
  ports.reset();
  ++generation_;
  flows_.clear();
  kept.clear();
  visitors_max = SIZE_MAX;
  for (auto& [ref, visitor] : visitors) {
    if (visitor.fate == Visitor::Fate::kPending) visitor.fate = Visitor::Fate::kLost;
  }
  auto links = std::move(links_);
  links_.clear();
  for (auto& [id, link] : links) {
    link.first->open = false;
    const auto wire = link.first;
    queue.after(latency(), [this, wire] {
      if (!wire->silent) tell_agent(wire, "connection reset");
    });
  }
}

int World::add_machine() {
  machines.push_back(std::make_unique<Machine>(*this, static_cast<int>(machines.size())));
  return static_cast<int>(machines.size()) - 1;
}

bool World::join(int index, const std::string& name) {
  if (!relay) return false;
  auto made = relay->agents().find(name) != nullptr ? relay->agent_rejoin(name) : relay->agent_add(name);
  if (!made) return false;
  const auto line = proto::decode_join_line(made->join_line);
  expect(line.ok(), "a join line decodes");
  Machine& machine = *machines[static_cast<std::size_t>(index)];
  revoked.erase(name);
  machine.crash();
  machine.name = name;
  machine.token = std::string(as_text(line->token));
  machine.gave_up.clear();
  random.fill(machine.key);
  machine.boot();
  return true;
}

void World::revoke(const std::string& agent) {
  if (!relay || !relay->agent_revoke(agent)) return;
  revoked.insert(agent);
  run_for(Micros(1'000'000));
  if (!relay) return;
  const auto of_agent = [&](const control::FlowBook::Flow& flow) { return flow.agent_name == agent; };
  expect(relay->flows().count_of(of_agent) == 0, "a second after a revocation no flow of the agent is left");
}

bool World::map(std::uint16_t port, const std::string& agent, std::chrono::minutes life) {
  if (!relay) return false;
  control::MappingBook::Request request{agent, {}};
  request.mapping.public_ports.first.port.value = port;
  request.mapping.target = *core::Target::parse("3306");
  if (life.count() > 0) request.mapping.expires = clock.wall() + life;
  may_retell();
  auto answered = std::make_shared<int>(0);
  auto mapped = std::make_shared<bool>(false);
  relay->map(request, [answered, mapped](Result<control::Relay::MapResult> result) {
    ++*answered;
    *mapped = result.ok();
  });
  run_for(Micros(4'000'000));
  expect(!relay || *answered == 1, "map answers exactly once");
  return *mapped;
}

// Any session may be answered again now: an upper bound that is easy to be sure of.
void World::may_retell() {
  // Of the relay's links, not the machines': a session whose machine has gone on lives until it is found silent.
  for (auto& [id, link] : links_) ++link.first->retold;
}

void World::set_rights(const std::string& agent, const core::Rights& rights) {
  may_retell();
  if (relay) (void)relay->set_rights(agent, rights);
}

void World::unmap(const core::PublicPorts& ports_of, bool now) {
  may_retell();
  if (relay) (void)relay->unmap(ports_of, now);
}

void World::rename(const std::string& from, const std::string& to) {
  if (!relay || !relay->agent_rename(from, to)) return;
  renamed_[from] = to;
  renamed_.erase(to);
  if (revoked.erase(from) > 0) revoked.insert(to);
  for (auto& machine : machines) {
    if (machine->name == from) machine->name = to;
  }
}

void World::apply(const std::vector<control::MappingBook::Request>& declared, bool dry_run) {
  if (!relay) return;
  const auto answered = std::make_shared<int>(0);
  relay->apply(declared, dry_run, [answered](const Result<control::MappingPlan>&) { ++*answered; });
  run_for(Micros(2'000));
  expect(!relay || *answered == 1, "apply answers exactly once");
}

void World::set_admission(const core::PublicPorts& ports_of, const core::Admission& admission) {
  may_retell();
  if (!relay) return;
  const auto changed = relay->set_admission(ports_of, admission);
  run_for(Micros(2'000));
  const auto* entry = relay->mappings().find(ports_of);
  if (!changed || entry == nullptr) return;
  const auto outside = [&](const control::FlowBook::Flow& flow) {
    return flow.mapping == entry->mapping.id && !control::admits(admission, flow.visitor_address.address);
  };
  expect(relay->flows().count_of(outside) == 0, "no flow is left outside the lists");
}

core::VisitorRef World::visit(core::MappingId mapping, std::uint8_t host) {
  const core::VisitorRef ref{0, ++last_id_};
  Visitor visitor;
  visitor.mapping = mapping;
  visitor.arrived = clock.now();
  visitor.source = net::IpAddress::v4(0xC6336400U | host);
  const auto* entry = relay->mappings().find(mapping);
  if (entry != nullptr) visitor.agent = entry->mapping.agent;
  visitors[ref] = visitor;
  const net::Endpoint from{visitor.source, net::Port{40000}};
  const net::Port port = entry != nullptr ? entry->mapping.public_ports.first.port : net::Port{8888};
  const core::Admission limits = entry != nullptr ? entry->mapping.admission : core::Admission{};
  const auto reached = [&](std::uint32_t most, bool one_source) {
    return most > 0 && relay->flows().count_of([&](const control::FlowBook::Flow& flow) {
      return flow.mapping == mapping && (!one_source || flow.visitor_address.address == visitor.source);
    }) >= most;
  };
  const bool full = reached(limits.flows_max, false) || reached(limits.flows_per_source_max, true);
  relay->flows().on_visitor(ref, mapping, from, {net::IpAddress::v4(0xCB007105), port});
  expect(!full || visitors[ref].fate == Visitor::Fate::kRefused, "a limit that is reached turns the next visitor away");
  return ref;
}

void World::connect(Machine& machine, int index) {
  auto wire = std::make_shared<Wire>();
  wire->id = core::LinkId{++last_id_};
  wire->machine = index;
  wire->peer.key = machine.key;
  wire->peer.address = {net::IpAddress::v4(0x0A000000U + static_cast<std::uint32_t>(index)), net::Port{5000}};
  random.fill(wire->peer.keys.to_agent);
  random.fill(wire->peer.keys.to_relay);
  queue.after(latency(), [this, wire, index, boots = machine.boots] {
    Machine& dialler = *machines[static_cast<std::size_t>(index)];
    if (!dialler.agent || dialler.boots != boots) return;
    if (!relay) return dialler.agent->on_dial_failed("connection refused");
    auto end = std::make_unique<RelayEnd>(*this, wire);
    relay->on_link(wire->id, *end, wire->peer);
    links_[wire->id] = {wire, std::move(end)};
    dialler.wire = wire;
    dialler.end = std::make_unique<AgentEnd>(*this, wire);
    dialler.agent->on_connected(*dialler.end, wire->peer.keys);
  });
}

void World::to_relay(const std::shared_ptr<Wire>& wire, std::string payload) {
  if (!wire->open || wire->silent) return;
  queue.after(Micros(5'000), [this, wire, payload = std::move(payload)] {
    const auto message = proto::decode(payload);
    const auto* declare = message ? std::get_if<proto::Declare>(&*message) : nullptr;
    if (declare != nullptr && relay && links_.contains(wire->id)) wire->answers[declare->serial];
    if (relay && !wire->silent && links_.contains(wire->id)) relay->on_link_message(wire->id, payload);
  });
}

void World::to_agent(const std::shared_ptr<Wire>& wire, std::string payload) {
  const auto message = proto::decode(payload);
  const auto* declared = message ? std::get_if<proto::Declared>(&*message) : nullptr;
  if (declared != nullptr) {
    expect(wire->answers.contains(declared->serial), "only what was declared is answered");
    expect(++wire->answers[declared->serial] <= 1 + wire->retold, "a declare is answered once");
  }
  if (!wire->open || wire->silent) return;
  queue.after(Micros(5'000), [this, wire, payload = std::move(payload)] {
    Machine& machine = *machines[static_cast<std::size_t>(wire->machine)];
    if (machine.wire == wire && machine.agent && !wire->silent) machine.agent->on_message(payload);
  });
}

void World::tell_agent(const std::shared_ptr<Wire>& wire, const char* reason) {
  Machine& machine = *machines[static_cast<std::size_t>(wire->machine)];
  if (machine.wire != wire || !machine.agent || wire->agent_told) return;
  wire->agent_told = true;
  machine.agent->on_link_closed(reason);
}

// Either end closes; both learn of it after what was sent before. A silent wire tells only the closing end.
void World::close_wire(const std::shared_ptr<Wire>& wire, bool by_relay) {
  wire->open = false;
  queue.after(Micros(5'000), [this, wire, by_relay] {
    if (relay && (by_relay || !wire->silent) && links_.contains(wire->id)) {
      relay->on_link_closed(wire->id, "closed");
      links_.erase(wire->id);
    }
    if (!by_relay || !wire->silent) tell_agent(wire, "closed");
  });
}

void World::break_wire(int machine) {
  const auto wire = machines[static_cast<std::size_t>(machine)]->wire;
  if (!wire || !wire->open) return;
  wire->open = false;
  queue.after(latency(), [this, wire] {
    if (relay && !wire->silent && links_.contains(wire->id)) {
      relay->on_link_closed(wire->id, "connection reset");
      links_.erase(wire->id);
    }
    tell_agent(wire, "connection reset");
  });
}

void World::silence_wire(int machine) {
  if (const auto& wire = machines[static_cast<std::size_t>(machine)]->wire) wire->silent = true;
}

void World::channel_arrives(const Channel& channel, proto::PrefaceBytes preface) {
  if (!relay) return;
  const core::ChannelRef ref{++last_id_};
  channels_[ref] = channel;
  relay->flows().on_channel(ref, preface, channel.leg);
  channels_.erase(ref);
}

void World::reject(core::ChannelRef channel) {
  expect(channels_.contains(channel) || kept.contains(channel), "only what is there is rejected");
  kept.erase(channel);
}

void World::keep(core::ChannelRef ref) {
  const Channel channel = channels_.at(ref);
  expect(!channel.opener.empty(), "a replayed preface is not kept");
  kept[ref] = channel;
  check_pool();
  if (random.chance(20)) {
    queue.after(Micros(random.below(8'000'000)), [this, ref] {
      if (kept.contains(ref)) kept.at(ref).dead = true;
    });
  }
}

void World::break_channels(int machine) {
  for (auto& [ref, channel] : kept) {
    if (channel.machine == machine) channel.dead = true;
  }
}

void World::check_pool() {
  if (!relay) return;
  std::map<core::AgentId, std::size_t> of_agent;
  for (const auto& [ref, channel] : kept) {
    const auto* session = relay->sessions().find(channel.session);
    expect(session != nullptr, "a ready channel's session is alive");
    if (session != nullptr) ++of_agent[session->agent];
  }
  for (const auto& [agent, count] : of_agent) expect(count <= 64, "an agent's ready channels have a bound");
  const control::ChannelPool& pool = relay->flows().pool();
  expect(pool.ready_count() == kept.size(), "what is kept is what stands ready");
  expect(kept.size() <= pool.count_max(), "ready channels have a bound");
  const std::size_t used = 2 * relay->flows().all().size() + kept.size();
  expect(visitors_max == SIZE_MAX || used <= 2 * visitors_max, "ready channels leave their descriptors to visitors");
}

void World::refuse(core::VisitorRef ref) {
  Visitor& visitor = visitors.at(ref);
  expect(visitor.fate == Visitor::Fate::kPending, "a visitor is refused once, and only before it was started");
  visitor.fate = Visitor::Fate::kRefused;
}

void World::start(core::VisitorRef ref, core::ChannelRef channel, core::FlowSpec spec) {
  Visitor& visitor = visitors.at(ref);
  expect(visitor.fate == Visitor::Fate::kPending, "a visitor is started once");
  visitor.fate = Visitor::Fate::kStarted;
  ++started;
  auto taken = kept.extract(channel);
  expect(!taken.empty() || channels_.contains(channel), "a channel serves one visitor");
  expect(taken.empty() != spec.stood_ready, "a channel that stood ready is known as such");
  const Channel used = taken.empty() ? channels_[channel] : taken.mapped();
  started_ready += spec.stood_ready ? 1 : 0;
  check_start(visitor, used, spec);
  flows_.insert(spec.id);
  if (!used.dead) return begin_flow(spec.id);
  queue.after(latency(), [this, ref, id = spec.id, generation = generation_] { lose(ref, id, generation); });
}

void World::lose(core::VisitorRef ref, core::FlowId flow, unsigned generation) {
  if (generation != generation_ || !relay || flows_.erase(flow) == 0) return;
  ++lost;
  visitors.at(ref).fate = Visitor::Fate::kPending;
  relay->flows().on_channel_lost(flow);
}

void World::check_start(const Visitor& visitor, const Channel& channel, const core::FlowSpec& spec) {
  const std::string& opener = channel.opener;
  expect(!opener.empty(), "a replayed preface starts nothing");
  const core::AgentRecord* agent = relay->agents().find(visitor.agent);
  const auto renamed = renamed_.find(opener);
  const std::string& opener_now = renamed != renamed_.end() ? renamed->second : opener;
  expect(agent != nullptr && (opener == agent->name || opener_now == agent->name),
         "a visitor reaches only the agent of its mapping");
  expect(agent == nullptr || !revoked.contains(agent->name), "no flow starts for a revoked agent");
  const auto* entry = relay->mappings().find(visitor.mapping);
  expect(entry == nullptr || control::admits(entry->mapping.admission, visitor.source),
         "a flow starts only for a visitor that the lists admit");
  expect(channel.leg == spec.leg, "a channel serves the leg it was asked for");
  expect(channel.mapping == visitor.mapping, "a channel serves the mapping it was asked for");
  if (entry == nullptr || !spec.stood_ready) return;
  expect(entry->mapping.target.nth(0) == channel.target, "a ready channel leads to the target of now");
  const auto* session = relay->sessions().find(channel.session);
  expect(session != nullptr && session->agent == visitor.agent, "a ready channel's session is alive");
}

void World::begin_flow(core::FlowId id) {
  const unsigned generation = generation_;
  queue.after(latency(), [this, id, generation] {
    if (generation != generation_ || !relay || !flows_.contains(id)) return;
    relay->flows().on_ready(id);
  });
  queue.after(Micros(50'000 + random.below(5'000'000)),
              [this, id, generation] { end_flow(id, core::FlowEnd::kFinished, generation); });
}

void World::cut(core::FlowId flow) {
  const unsigned generation = generation_;
  queue.after(Micros(100), [this, flow, generation] { end_flow(flow, core::FlowEnd::kCut, generation); });
}

void World::end_flow(core::FlowId flow, core::FlowEnd end, unsigned generation) {
  if (generation != generation_ || !relay || flows_.erase(flow) == 0) return;
  relay->flows().on_ended(flow, end);
}

}  // namespace nfr::sim
