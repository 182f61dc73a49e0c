// SPDX-License-Identifier: GPL-2.0-only
#include "control/flow_book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.hpp"

namespace nfr::control {
namespace {

constexpr std::size_t kRecentMax = 1000;

}  // namespace

FlowBook::FlowBook(MappingBook& mappings, AgentBook& agents, SessionBook& sessions, core::DataPlane& plane,
                   core::Crypto& crypto, Clock& clock, FlowSettings settings)
    : mappings_(mappings),
      agents_(agents),
      sessions_(sessions),
      plane_(plane),
      crypto_(crypto),
      clock_(clock),
      settings_(settings),
      admission_(clock),
      pool_(sessions, plane, clock, settings.pool),
      born_(clock.now()) {}

FlowBook::Flow FlowBook::arrival(core::VisitorRef ref, const core::Mapping& mapping, const core::AgentRecord& agent,
                                 const net::Endpoint& visitor, const net::Endpoint& local) {
  Flow flow;
  flow.id = core::FlowId{++last_id_};
  flow.visitor = ref;
  flow.visitor_address = visitor;
  flow.public_endpoint = local;
  flow.mapping = mapping.id;
  flow.mapping_text = core::PublicPorts{{mapping.public_ports.first.address, local.port}, 1}.text();
  flow.agent = agent.id;
  flow.agent_name = agent.name;
  flow.started = clock_.now();
  flow.counters = std::make_shared<core::FlowCounters>();
  return flow;
}

void FlowBook::on_visitor(core::VisitorRef ref, core::MappingId mapping_id, const net::Endpoint& visitor,
                          const net::Endpoint& local) {
  const MappingBook::Entry* entry = mappings_.find(mapping_id);
  if (entry == nullptr) return plane_.refuse(ref);  // unmapped while it was in the backlog
  const core::Mapping& mapping = entry->mapping;
  const core::AgentRecord* agent = agents_.find(mapping.agent);
  NFR_ASSERT(agent != nullptr);
  Flow flow = arrival(ref, mapping, *agent, visitor, local);
  admission_.set_places(visitors_max_ == SIZE_MAX ? 0 : visitors_max_, mappings_.all().size());
  if (const auto denial = admission_.judge(mapping, *agent, visitor.address)) {
    plane_.refuse(ref);
    return note(flow, denial->verdict, denial->detail);
  }
  admission_.begin(mapping.id, agent->id, visitor.address);
  const core::FlowId id = flow.id;
  by_visitor_[ref] = id;
  Flow& kept = flows_.emplace(id, std::move(flow)).first->second;
  high_water_ = std::max(high_water_, flows_.size());
  make_room();
  if (flows_.size() > settings_.flow_count_max)
    return refuse(id, fmt::format("{} flows are running (flow_count_max)", flows_.size() - 1));
  if (agent->revoked) return refuse(id, fmt::format("agent {} is revoked", agent->name));
  if (sessions_.active(agent->id) != nullptr) return serve(kept, mapping);
  if (!agent_was_here(agent->id)) return refuse(id, away_text(*agent));
  kept.deadline = clock_.now() + settings_.agent_grace;
}

// A restart of relay or agent takes a moment: visitors that come meanwhile wait a little instead of being refused.
bool FlowBook::agent_was_here(core::AgentId agent) const {
  const SessionBook::LastSeen* seen = sessions_.last_seen(agent);
  const Instant last = seen != nullptr ? seen->at : born_;
  return clock_.now() - last < settings_.agent_grace;
}

std::string FlowBook::away_text(const core::AgentRecord& agent) const {
  const SessionBook::LastSeen* seen = sessions_.last_seen(agent.id);
  if (seen == nullptr) return fmt::format("agent {} away (not seen since the relay started)", agent.name);
  const auto away = std::chrono::duration_cast<Micros>(clock_.now() - seen->at);
  return fmt::format("agent {} away since {} (last seen from {})", agent.name, human_duration(away),
                     seen->address.address.text());
}

core::Leg FlowBook::effective_leg(const core::Mapping& mapping, const SessionBook::Session* session) {
  if (session != nullptr && session->leg_min == core::Leg::kTls) return core::Leg::kTls;
  if (mapping.admission.selects() || mapping.proxy != core::ProxyHeader::kNone) return core::Leg::kTls;
  return mapping.leg.value_or(core::Leg::kPlain);
}

std::optional<ChannelPool::Wanted> FlowBook::wanted_at(const core::Mapping& mapping, net::Port port) const {
  const SessionBook::Session* session = sessions_.active(mapping.agent);
  const bool one = mapping.target.port_count == 1;
  const int offset = one ? 0 : port.value - mapping.public_ports.first.port.value;
  if (offset < 0 || offset >= mapping.target.port_count) return std::nullopt;
  const core::Target target = mapping.target.nth(static_cast<std::uint16_t>(offset));
  return ChannelPool::Wanted{{0, mapping.id, target, effective_leg(mapping, session), mapping.proxy, {}}, session};
}

std::optional<ChannelPool::Wanted> FlowBook::wanted_at(const ChannelPool::Place& place) const {
  const MappingBook::Entry* entry = mappings_.find(place.mapping);
  if (entry == nullptr) return std::nullopt;
  return wanted_at(entry->mapping, place.port);
}

/// By a channel that stands ready, or by one that is asked for now.
void FlowBook::serve(Flow& flow, const core::Mapping& mapping) {
  const net::Port port = flow.public_endpoint.port;
  const auto wanted = wanted_at(mapping, port);
  // The range shrank since its listener took the visitor.
  if (!wanted) return refuse(flow.id, fmt::format("port {} is not mapped any more", port.value));
  if (wanted->session == nullptr) return wait_for_agent(flow);
  const ChannelPool::Place place{mapping.id, port};
  if (const auto ready = flow.lost ? std::nullopt : pool_.take(place, *wanted)) {
    flow.session = wanted->session->id;
    flow.leg = wanted->open.leg;
    begin(flow, ready->channel, ready->number, wanted->session->peer.keys,
          {.stood_ready = true, .early = ready->fresh});
  } else {
    ask(flow, *wanted);
  }
  pool_.replace(place);
}

/// A channel stands ready: those who wait for their turn may not need one any more.
void FlowBook::serve_queued() {
  if (!pace_.somebody_waits()) return;
  for (const auto& [ref, id] : by_visitor_) {
    Flow& flow = flows_.at(id);
    if (flow.state != State::kQueued || flow.lost) continue;
    if (pool_.ready_at({flow.mapping, flow.public_endpoint.port}) == 0) continue;
    const MappingBook::Entry* entry = mappings_.find(flow.mapping);
    return entry != nullptr ? serve(flow, entry->mapping) : void();
  }
}

/// Its session is over; the next one may come in a moment.
void FlowBook::wait_for_agent(Flow& flow) {
  flow.state = State::kWaiting;
  flow.deadline = clock_.now() + settings_.agent_grace;
}

void FlowBook::ask(Flow& flow, const ChannelPool::Wanted& wanted) {
  flow.session = wanted.session->id;
  flow.leg = wanted.open.leg;
  flow.deadline = clock_.now() + settings_.open_timeout;
  flow.state = State::kQueued;
  if (!pace_.begin(flow.id, {flow.agent, flow.leg}, pace_limits())) return;
  flow.state = State::kAsked;
  proto::Open open = wanted.open;
  open.number = flow.id.value;
  sessions_.send(flow.agent, open);
}

void FlowBook::ask_next() {
  while (const auto id = pace_.next(pace_limits())) {
    const auto found = flows_.find(*id);
    if (found == flows_.end() || found->second.state != State::kQueued) {
      pace_.end(*id);  // gone, or served meanwhile
      continue;
    }
    const MappingBook::Entry* entry = mappings_.find(found->second.mapping);
    if (entry == nullptr) {
      refuse(*id, "unmapped");
    } else {
      serve(found->second, entry->mapping);
    }
  }
}

/// Ready channels are the first to go when visitors need the descriptors.
void FlowBook::make_room() {
  const std::size_t free = visitors_max_ > flows_.size() ? visitors_max_ - flows_.size() : 0;
  pool_.set_limit(std::min(pool_max_, free > SIZE_MAX / 2 ? SIZE_MAX : 2 * free));
  if (pool_.held() > pool_.limit()) pool_.give_up(pool_.held() - pool_.limit());
}

void FlowBook::set_descriptors(std::size_t visitors_max, std::size_t pool_max, std::size_t strangers) {
  visitors_max_ = visitors_max;
  pool_max_ = pool_max;
  // A quarter is left for strangers, a quarter is the pool's.
  asked_max_ = std::max<std::size_t>(strangers / 2, 1);
  pool_.set_asked_max(std::max<std::size_t>(strangers / 4, 1));
}

void FlowBook::reconfigure(const FlowSettings& settings) {
  settings_ = settings;
  pool_.reconfigure(settings.pool);
}

void FlowBook::erase(std::map<core::FlowId, Flow>::iterator flow) {
  admission_.end(flow->second.mapping, flow->second.agent, flow->second.visitor_address.address);
  pace_.end(flow->first);
  flows_.erase(flow);
}

void FlowBook::on_session_up(core::AgentId agent) {
  pool_.on_session_change(agent);
  std::vector<core::FlowId> waiting;
  for (const auto& [ref, id] : by_visitor_) {
    if (flows_.at(id).agent == agent) waiting.push_back(id);
  }
  for (const core::FlowId id : waiting) {
    Flow& flow = flows_.at(id);
    const MappingBook::Entry* entry = mappings_.find(flow.mapping);
    if (entry == nullptr)
      refuse(id, "unmapped");
    else
      serve(flow, entry->mapping);
  }
}

void FlowBook::on_session_down(core::AgentId agent) {
  pool_.on_session_change(agent);
  for (const auto& [ref, id] : by_visitor_) {
    Flow& flow = flows_.at(id);
    if (flow.agent != agent) continue;
    flow.state = State::kWaiting;
    pace_.end(id);
    flow.deadline = std::min(flow.deadline, clock_.now() + settings_.agent_grace);
  }
}

void FlowBook::on_visitor_gone(core::VisitorRef ref) {
  const auto found = by_visitor_.find(ref);
  if (found == by_visitor_.end()) return;
  const core::FlowId id = found->second;
  by_visitor_.erase(found);
  const auto flow = flows_.find(id);
  note(flow->second, "ended", "visitor left before the channel was there");
  erase(flow);
}

std::optional<core::SessionKeys> FlowBook::keys_for(core::SessionId session_id, std::uint64_t number) const {
  const SessionBook::Session* session = sessions_.find(session_id);
  if (session != nullptr && pool_.expects(session_id, number)) return session->peer.keys;
  const auto flow = flows_.find(core::FlowId{number});
  if (session == nullptr || flow == flows_.end()) return std::nullopt;
  if (flow->second.state != State::kAsked || flow->second.session != session_id) return std::nullopt;
  return session->peer.keys;
}

void FlowBook::on_channel(core::ChannelRef channel, std::span<const std::byte> bytes, core::Leg leg) {
  const auto preface = proto::parse_preface(bytes);
  if (!preface || preface->kind != NFR_PREFACE_OPEN) return plane_.reject(channel);
  const auto keys = keys_for(preface->session, preface->number);
  if (!keys || !proto::verify_preface(crypto_, keys->to_relay, bytes)) return plane_.reject(channel);
  if (pool_.expects(preface->session, preface->number)) {
    pool_.on_channel(channel, preface->number, leg);
    return serve_queued();
  }
  Flow& flow = flows_.at(core::FlowId{preface->number});
  if (flow.leg != leg || clock_.now() > flow.deadline) return plane_.reject(channel);
  begin(flow, channel, preface->number, *keys, {.stood_ready = false, .early = true});
  ask_next();
}

void FlowBook::begin(Flow& flow, core::ChannelRef channel, std::uint64_t number, const core::SessionKeys& keys,
                     Beginning how) {
  pace_.end(flow.id);
  flow.state = State::kStarting;  // the number is spent: a copied preface finds no kAsked flow
  by_visitor_.erase(flow.visitor);
  const MappingBook::Entry* entry = mappings_.find(flow.mapping);
  const Millis idle = entry != nullptr ? entry->mapping.idle_timeout : Millis{0};
  plane_.start(
      flow.visitor, channel,
      core::FlowSpec{flow.id, flow.mapping, flow.visitor_address, flow.public_endpoint, flow.session, NFR_PREFACE_OPEN,
                     number, keys, flow.leg, how.stood_ready, how.early, idle, flow.counters});
}

void FlowBook::on_channel_lost(core::FlowId id) {
  const auto found = flows_.find(id);
  if (found == flows_.end()) return;
  pool_.on_taken_broken();
  Flow& flow = found->second;
  flow.lost = true;
  by_visitor_[flow.visitor] = id;
  const MappingBook::Entry* entry = mappings_.find(flow.mapping);
  const core::AgentRecord* agent = agents_.find(flow.agent);
  if (entry == nullptr || agent == nullptr) return refuse(id, "unmapped");
  if (flow.cut || agent->revoked) return refuse(id, "cut");
  const auto wanted = wanted_at(entry->mapping, flow.public_endpoint.port);
  if (!wanted) return refuse(id, "unmapped");
  wanted->session != nullptr ? ask(flow, *wanted) : wait_for_agent(flow);
}

void FlowBook::on_open_failed(core::AgentId agent, std::uint64_t number, std::uint16_t reason) {
  pool_.on_open_failed(agent, number);
  const auto found = flows_.find(core::FlowId{number});
  if (found == flows_.end() || found->second.agent != agent || found->second.state != State::kAsked) return;
  const auto known = proto::refuse_from_wire(reason);
  const std::string_view text = known ? proto::refuse_text(*known) : "unknown reason";
  refuse(found->first, fmt::format("{}: {}", found->second.agent_name, text));
  ask_next();
}

void FlowBook::on_ready(core::FlowId id) {
  const auto found = flows_.find(id);
  if (found != flows_.end()) found->second.state = State::kRunning;
}

void FlowBook::on_refused(core::FlowId id, proto::RefuseReason reason) {
  const auto found = flows_.find(id);
  if (found == flows_.end()) return;
  const MappingBook::Entry* entry = mappings_.find(found->second.mapping);
  const std::string target = entry != nullptr ? entry->mapping.target.text() + " " : "";
  note(found->second, "refused", fmt::format("{}: {}{}", found->second.agent_name, target, proto::refuse_text(reason)));
  erase(found);
}

void FlowBook::on_ended(core::FlowId id, core::FlowEnd end) {
  const auto found = flows_.find(id);
  if (found == flows_.end()) return;
  const Flow& flow = found->second;
  mappings_.fold(flow.mapping, flow.counters->in_bytes.load(std::memory_order_relaxed),
                 flow.counters->out_bytes.load(std::memory_order_relaxed));
  note(flow, "ended", std::string(core::flow_end_name(end)));
  erase(found);
}

// Refuses a visitor that has no channel yet.
void FlowBook::refuse(core::FlowId id, std::string detail) {
  const auto found = flows_.find(id);
  by_visitor_.erase(found->second.visitor);
  plane_.refuse(found->second.visitor);
  note(found->second, "refused", std::move(detail));
  erase(found);
}

void FlowBook::note(const Flow& flow, std::string verdict, std::string detail) {
  recent_.push_back(Event{clock_.wall(), flow.visitor_address, flow.mapping_text, std::move(verdict), std::move(detail),
                          flow.counters->in_bytes.load(std::memory_order_relaxed),
                          flow.counters->out_bytes.load(std::memory_order_relaxed)});
  if (recent_.size() > kRecentMax) recent_.pop_front();
}

void FlowBook::tick() {
  const Instant now = clock_.now();
  std::vector<core::FlowId> late;
  for (const auto& [ref, id] : by_visitor_) {
    if (now > flows_.at(id).deadline) late.push_back(id);
  }
  for (const core::FlowId id : late) {
    const Flow& flow = flows_.at(id);
    const core::AgentRecord* agent = agents_.find(flow.agent);
    if (flow.state != State::kWaiting) {
      refuse(id, fmt::format("{}: {}", flow.agent_name, proto::refuse_text(proto::RefuseReason::no_channel)));
    } else {
      refuse(id, agent != nullptr ? away_text(*agent) : "agent removed");
    }
  }
  ask_next();
  make_room();
  pool_.tick([this](const ChannelPool::Place& place) { return wanted_at(place); });
}

std::size_t FlowBook::cut_if(const std::function<bool(const Flow&)>& matches) {
  std::vector<core::FlowId> chosen;
  for (const auto& [id, flow] : flows_) {
    if (matches(flow)) chosen.push_back(id);
  }
  for (const core::FlowId id : chosen) {
    const State state = flows_.at(id).state;
    if (state == State::kWaiting || state == State::kQueued || state == State::kAsked) {
      refuse(id, "cut");
    } else {
      flows_.at(id).cut = true;
      plane_.cut(id);
    }
  }
  return chosen.size();
}

std::size_t FlowBook::cut_unadmitted(const core::Mapping& mapping) {
  return cut_if([&](const Flow& flow) {
    return flow.mapping == mapping.id && !admits(mapping.admission, flow.visitor_address.address);
  });
}

std::size_t FlowBook::refuse_waiting_of(core::MappingId mapping) {
  std::vector<core::FlowId> chosen;
  for (const auto& [ref, id] : by_visitor_) {
    if (flows_.at(id).mapping == mapping) chosen.push_back(id);
  }
  for (const core::FlowId id : chosen) refuse(id, "unmapped");
  return chosen.size();
}

std::size_t FlowBook::count_of(const std::function<bool(const Flow&)>& matches) const {
  std::size_t count = 0;
  for (const auto& [id, flow] : flows_) count += matches(flow) ? 1 : 0;
  return count;
}

}  // namespace nfr::control
