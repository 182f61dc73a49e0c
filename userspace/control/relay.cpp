// SPDX-License-Identifier: GPL-2.0-only
#include "control/relay.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "control/clear_text.hpp"

namespace nfr::control {

Relay::Relay(Seams seams, RelaySettings settings)
    : seams_(seams),
      settings_(std::move(settings)),
      agents_(seams.store, seams.crypto, seams.clock, seams.random),
      sessions_(agents_, seams.keys, seams.clock, seams.random, settings_.session, *this),
      mappings_(seams.store, seams.ports, agents_, seams.clock),
      flows_(mappings_, agents_, sessions_, seams.plane, seams.crypto, seams.clock, settings_.flow),
      events_(seams.clock),
      declarations_(mappings_, agents_, sessions_, seams.clock, *this),
      descriptors_(events_, seams.clock) {
  mappings_.on_expired = [this](const core::Mapping& mapping) {
    flows_.refuse_waiting_of(mapping.id);
    events_.note("relay", fmt::format("{} has ended (--for)", mapping.public_ports.text()));
  };
}

Status Relay::start() {
  const auto state = seams_.store.load();
  if (!state) return state.error().context("loading the relay's state");
  agents_.load(state->agents);
  mappings_.load(*state);
  return {};
}

void Relay::tick() {
  sessions_.tick();
  mappings_.tick();
  flows_.tick();
  descriptors_.look(flows_.take_high_water());
  declarations_.tick();
  const Instant now = seams_.clock.now();
  for (auto next = probes_.begin(); next != probes_.end();) {
    const auto probe = next++;
    if (now > probe->second.deadline)
      finish_probe(probe->first, "no_answer", "the agent did not report in time", Micros{0});
  }
}

void Relay::reconfigure(RelaySettings settings) {
  settings_ = std::move(settings);
  sessions_.reconfigure(settings_.session);
  flows_.reconfigure(settings_.flow);
}

void Relay::set_descriptors(const DescriptorFacts& facts) {
  if (!descriptors_.set(facts)) return;
  const DescriptorPlan& plan = descriptors_.plan();
  flows_.set_descriptors(plan.visitors_max, plan.pool_max, plan.strangers_min);
  seams_.plane.set_visitors_max(plan.visitors_max);
}

void Relay::stop() { sessions_.end_all(proto::ByeCode::kStopping, "the relay stops"); }

void Relay::on_session_up(const SessionBook::Session& session) { flows_.on_session_up(session.agent); }

void Relay::on_session_down(core::AgentId agent) {
  flows_.on_session_down(agent);
  for (auto next = probes_.begin(); next != probes_.end();) {
    const auto probe = next++;
    if (probe->second.agent == agent) finish_probe(probe->first, "agent_away", "the agent left", Micros{0});
  }
}

void Relay::on_session_message(const SessionBook::Session& session, const proto::Message& message) {
  if (const auto* failed = std::get_if<proto::OpenFailed>(&message)) {
    return flows_.on_open_failed(session.agent, failed->number, failed->reason);
  }
  if (const auto* declare = std::get_if<proto::Declare>(&message)) return declarations_.on_declare(session, *declare);
  const auto* result = std::get_if<proto::ProbeResult>(&message);
  if (result == nullptr) return;  // kinds only a relay sends: a confused agent harms itself alone
  const auto probe = probes_.find(result->number);
  if (probe == probes_.end() || probe->second.agent != session.agent) return;
  if (result->reason == 0) return finish_probe(probe->first, "answers", "", Micros{result->dial_us});
  const auto reason = proto::refuse_from_wire(result->reason);
  const std::string text(reason ? proto::refuse_text(*reason) : "unknown reason");
  std::string state = "no_answer";
  if (reason == proto::RefuseReason::connection_refused) state = "refused";
  if (reason == proto::RefuseReason::not_allowed) state = "not_allowed";
  finish_probe(probe->first, state, text, Micros{0});
}

Relay::Invitation Relay::invitation(const AgentBook::Invitation& made) const {
  const proto::JoinLine line{settings_.join_addresses, seams_.keys.pins(), made.record.name, made.token};
  return {made.record.name, proto::encode_join_line(line), made.record.token_expires};
}

Result<Relay::Invitation> Relay::agent_add(std::string_view name) {
  const auto made = agents_.add(name);
  if (!made) return made.error();
  return invitation(*made);
}

Result<Relay::Invitation> Relay::agent_rejoin(std::string_view name) {
  const auto made = agents_.rejoin(name);
  if (!made) return made.error();
  return invitation(*made);
}

std::size_t Relay::cut_agent(core::AgentId agent) {
  return flows_.cut_if([&](const FlowBook::Flow& flow) { return flow.agent == agent; });
}

Result<std::size_t> Relay::agent_revoke(std::string_view name) {
  const auto record = agents_.revoke(name);
  if (!record) return record.error();
  const std::size_t cut = cut_agent(record->id);
  sessions_.end(record->id, proto::ByeCode::kRevoked,
                fmt::format("agent {} was revoked by the relay's operator", record->name));
  return cut;
}

Result<std::size_t> Relay::agent_remove(std::string_view name) {
  const auto record = agents_.remove(name);
  if (!record) return record.error();
  const std::size_t cut = cut_agent(record->id);
  mappings_.drop_agent(record->id);
  sessions_.end(record->id, proto::ByeCode::kRevoked,
                fmt::format("agent {} was removed by the relay's operator", record->name));
  return cut;
}

Relay::MapResult Relay::result_of(const core::Mapping& mapping) const {
  MapResult result;
  result.mapping = mapping;
  result.agent = agents_.find(mapping.agent)->name;
  result.leg = FlowBook::effective_leg(mapping, sessions_.active(mapping.agent));
  if (mapping.leg == core::Leg::kPlain && result.leg == core::Leg::kTls) {
    const bool promised = mapping.admission.selects() || mapping.proxy != core::ProxyHeader::kNone;
    result.warnings.push_back(promised ? "the service is promised who its visitors are, so leg tls is used, not plain"
                                       : fmt::format("agent {} demands leg tls, so plain is not used", result.agent));
  }
  const MappingBook::Entry* entry = mappings_.find(mapping.id);
  if (entry != nullptr && !entry->port_fault.empty()) {
    result.warnings.push_back("the public port is not open: " + entry->port_fault);
  }
  if (mapping.target.kind == core::Target::Kind::kUnix) {
    result.warnings.emplace_back(
        "a unix socket cannot carry a reset: the service sees a broken connection as an ordinary end");
  }
  const std::string service = clear_text_service(mapping.target.endpoint.port);
  if (result.leg == core::Leg::kPlain && !service.empty()) {
    result.warnings.push_back(
        fmt::format("{} without TLS travels in clear text on both legs; --leg tls encrypts relay-agent", service));
  }
  return result;
}

void Relay::map(const MappingBook::Request& request, std::function<void(Result<MapResult>)> done) {
  mappings_.add(request, [this, done](const Result<core::Mapping>& added) {
    if (!added) return done(added.error());
    probe(result_of(*added), done);
  });
}

void Relay::check(const core::PublicPorts& ports, std::function<void(Result<MapResult>)> done) {
  const auto id = mappings_.need(ports);
  if (!id) return done(id.error());
  const MappingBook::Entry& entry = *mappings_.find(*id);
  probe(result_of(entry.mapping), std::move(done));
}

std::string Relay::address_of(const core::PublicPorts& ports) const {
  const std::string range = ports.ports().text();
  const std::string host = ports.first.address.is_wildcard() ? settings_.public_host : ports.first.address.text();
  return host.find(':') != std::string::npos ? fmt::format("[{}]:{}", host, range) : host + ":" + range;
}

void Relay::on_declared(const core::AgentRecord& agent, const core::Mapping& mapping) {
  events_.note("agent " + agent.name,
               fmt::format("mapped {} -> {} {}", mapping.public_ports.text(), agent.name, mapping.target.text()));
}

void Relay::on_withdrawn(const core::AgentRecord& agent, const core::Mapping& mapping, std::string_view why) {
  flows_.refuse_waiting_of(mapping.id);
  events_.note("agent " + agent.name, fmt::format("unmapped {} ({})", mapping.public_ports.text(), why));
}

Result<Relay::AdmissionResult> Relay::set_admission(const core::PublicPorts& ports, core::Admission admission) {
  const auto id = mappings_.need(ports);
  if (!id) return id.error();
  const core::AgentId agent = mappings_.find(*id)->mapping.agent;
  const core::Leg before = FlowBook::effective_leg(mappings_.find(*id)->mapping, sessions_.active(agent));
  const auto changed = mappings_.set_admission(ports, std::move(admission));
  if (!changed) return changed.error();
  AdmissionResult result{*changed, FlowBook::effective_leg(*changed, sessions_.active(agent))};
  result.leg_changed = result.leg != before;
  result.cut = flows_.cut_unadmitted(*changed);
  result.running = flows_.count_of([&](const FlowBook::Flow& flow) {
    return flow.mapping == changed->id && admits(changed->admission, flow.visitor_address.address);
  });
  return result;
}

Result<Relay::RightsResult> Relay::set_rights(std::string_view agent, core::Rights rights) {
  const auto record = agents_.set_rights(agent, std::move(rights));
  if (!record) return record.error();
  return RightsResult{*record, declarations_.enforce(record->id)};
}

void Relay::apply(const std::vector<MappingBook::Request>& declared, bool dry_run,
                  std::function<void(Result<MappingPlan>)> done) {
  auto plan = MappingPlan::make(mappings_, agents_, declared);
  if (!plan || dry_run) return done(std::move(plan));
  std::vector<core::MappingId> remove;
  for (const core::Mapping& mapping : plan->remove) remove.push_back(mapping.id);
  std::vector<core::Mapping> put = plan->change;
  put.insert(put.end(), plan->add.begin(), plan->add.end());
  mappings_.change(remove, std::move(put), [this, plan = *plan, done = std::move(done)](const Status& changed) {
    if (!changed) return done(changed.error());
    for (const core::Mapping& mapping : plan.remove) flows_.refuse_waiting_of(mapping.id);
    for (const core::Mapping& mapping : plan.change) flows_.cut_unadmitted(mapping);
    done(plan);
  });
}

void Relay::probe(MapResult result, std::function<void(Result<MapResult>)> done) {
  const std::uint64_t number = ++last_probe_;
  const core::AgentId agent = result.mapping.agent;
  const core::Target target = result.mapping.target.nth(0);
  const core::ProxyHeader proxy = result.mapping.proxy;
  const bool revoked = agents_.find(agent)->revoked;
  probes_[number] =
      PendingProbe{agent, seams_.clock.now() + settings_.probe_timeout, std::move(result), std::move(done)};
  if (sessions_.send(agent, proto::Probe{number, target, proxy})) return;
  finish_probe(number, "agent_away", revoked ? "the agent is revoked" : "the agent is not connected", Micros{0});
}

void Relay::finish_probe(std::uint64_t number, std::string state, std::string text, Micros dial) {
  const auto found = probes_.find(number);
  PendingProbe pending = std::move(found->second);
  probes_.erase(found);
  pending.result.probe_state = std::move(state);
  pending.result.probe_text = std::move(text);
  pending.result.dial = dial;
  if (pending.result.probe_state == "agent_away") {
    pending.result.warnings.push_back(fmt::format("agent {}: {}; visitors are refused until it is back",
                                                  pending.result.agent, pending.result.probe_text));
  } else if (pending.result.probe_state != "answers") {
    pending.result.warnings.push_back(
        fmt::format("target {} does not answer: {}", pending.result.mapping.target.text(), pending.result.probe_text));
  }
  pending.done(std::move(pending.result));
}

Result<Relay::UnmapResult> Relay::unmap(const core::PublicPorts& ports, bool now) {
  const auto mapping = mappings_.remove(ports);
  if (!mapping) return mapping.error();
  UnmapResult result{*mapping, 0, 0};
  if (mapping->origin == core::Origin::kAgent) declarations_.on_taken_back(*mapping);
  flows_.refuse_waiting_of(mapping->id);
  const auto of_mapping = [&](const FlowBook::Flow& flow) { return flow.mapping == mapping->id; };
  if (now)
    result.cut = flows_.cut_if(of_mapping);
  else
    result.running = flows_.count_of(of_mapping);
  return result;
}

Result<std::size_t> Relay::rotate_key() {
  const Status rotated = seams_.keys.rotate();
  if (!rotated) return rotated.error();
  return sessions_.broadcast(proto::Pins{seams_.keys.pins()});
}

}  // namespace nfr::control
