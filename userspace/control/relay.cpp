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
      flows_(mappings_, agents_, sessions_, seams.plane, seams.crypto, seams.clock, settings_.flow) {}

Status Relay::start() {
  const auto state = seams_.store.load();
  if (!state) return state.error().context("loading the relay's state");
  agents_.load(state->agents);
  mappings_.load(state->mappings);
  return {};
}

void Relay::tick() {
  sessions_.tick();
  mappings_.tick();
  flows_.tick();
  const Instant now = seams_.clock.now();
  for (auto next = probes_.begin(); next != probes_.end();) {
    const auto probe = next++;
    if (now > probe->second.deadline)
      finish_probe(probe->first, "no_answer", "the agent did not report in time", Micros{0});
  }
}

void Relay::stop() { sessions_.end_all(proto::ByeCode::kStopping, "the relay stops"); }

void Relay::on_session_up(const SessionBook::Session& session) { flows_.on_session_up(session.agent); }

void Relay::on_session_down(core::AgentId agent) {
  for (auto next = probes_.begin(); next != probes_.end();) {
    const auto probe = next++;
    if (probe->second.agent == agent) finish_probe(probe->first, "agent_away", "the agent left", Micros{0});
  }
}

void Relay::on_session_message(const SessionBook::Session& session, const proto::Message& message) {
  if (const auto* failed = std::get_if<proto::OpenFailed>(&message)) {
    return flows_.on_open_failed(session.agent, failed->number, failed->reason);
  }
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

void Relay::map(const MappingBook::Request& request, std::function<void(Result<MapResult>)> done) {
  mappings_.add(request, [this, done](Result<core::Mapping> added) {
    if (!added) return done(added.error());
    const SessionBook::Session* session = sessions_.active(added->agent);
    MapResult result;
    result.mapping = *added;
    result.agent = agents_.find(added->agent)->name;
    result.leg = FlowBook::effective_leg(*added, session);
    if (added->leg == core::Leg::kPlain && result.leg == core::Leg::kTls) {
      result.warnings.push_back(fmt::format("agent {} demands leg tls, so plain is not used", result.agent));
    }
    const std::string service = clear_text_service(added->target.endpoint.port);
    if (result.leg == core::Leg::kPlain && !service.empty()) {
      result.warnings.push_back(
          fmt::format("{} without TLS travels in clear text on both legs; --leg tls encrypts relay-agent", service));
    }
    probe(std::move(result), done);
  });
}

void Relay::probe(MapResult result, std::function<void(Result<MapResult>)> done) {
  const std::uint64_t number = ++last_probe_;
  const core::AgentId agent = result.mapping.agent;
  const core::Target target = result.mapping.target;
  const bool revoked = agents_.find(agent)->revoked;
  probes_[number] =
      PendingProbe{agent, seams_.clock.now() + settings_.probe_timeout, std::move(result), std::move(done)};
  if (sessions_.send(agent, proto::Probe{number, target})) return;
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

Result<Relay::UnmapResult> Relay::unmap(const net::Endpoint& public_endpoint, bool now) {
  const auto mapping = mappings_.remove(public_endpoint);
  if (!mapping) return mapping.error();
  UnmapResult result{*mapping, 0, 0};
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
