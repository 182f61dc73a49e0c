// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/commands.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "nfr/admin/admin.h"
#include "relayd/arguments.hpp"

namespace nfr::relayd {
namespace {

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

nlohmann::json invitation_json(const control::Relay::Invitation& made) {
  return {{"name", made.name}, {"join_line", made.join_line}, {"expires", unix_seconds(made.expires)}};
}

}  // namespace

Commands::Commands(control::Relay& relay, core::RelayKeys& keys, Clock& clock, RelayFacts facts)
    : relay_(relay), keys_(keys), clock_(clock), facts_(std::move(facts)), started_(clock.now()) {
  answers_ = {{"agent.add", &Commands::agent_add},
              {"agent.list", &Commands::agent_list},
              {"agent.revoke", &Commands::agent_revoke},
              {"agent.rejoin", &Commands::agent_rejoin},
              {"agent.remove", &Commands::agent_remove},
              {"unmap", &Commands::unmap},
              {"maps", &Commands::maps},
              {"flows", &Commands::flows},
              {"status", &Commands::status},
              {"key.rotate", &Commands::key_rotate},
              {"key.show", &Commands::key_show},
              {"version", &Commands::version}};
}

void Commands::handle(const std::string& cmd, const nlohmann::json& args, const admin::PeerCredentials& peer,
                      admin::Reply reply) {
  spdlog::debug("uid {} asks for {}", peer.uid, escape(cmd));
  if (cmd == "map") return map(args, reply);
  const auto answer = answers_.find(cmd);
  if (answer == answers_.end())
    return reply(Error(Code::kInvalid, fmt::format("command '{}' is not known", escape(cmd))));
  reply((this->*answer->second)(args));
}

Result<nlohmann::json> Commands::agent_add(const Json& args) {
  const auto made = relay_.agent_add(text_argument(args, "name"));
  if (!made) return made.error();
  return invitation_json(*made);
}

Result<nlohmann::json> Commands::agent_rejoin(const Json& args) {
  const auto made = relay_.agent_rejoin(text_argument(args, "name"));
  if (!made) return made.error();
  return invitation_json(*made);
}

Result<nlohmann::json> Commands::agent_revoke(const Json& args) {
  const std::string name = text_argument(args, "name");
  const auto cut = relay_.agent_revoke(name);
  if (!cut) return cut.error();
  return Json{{"name", name}, {"flows_cut", *cut}};
}

Result<nlohmann::json> Commands::agent_remove(const Json& args) {
  const std::string name = text_argument(args, "name");
  const auto cut = relay_.agent_remove(name);
  if (!cut) return cut.error();
  return Json{{"name", name}, {"flows_cut", *cut}};
}

nlohmann::json Commands::agent_json(const core::AgentRecord& agent) const {
  const auto* session = relay_.sessions().active(agent.id);
  const auto* seen = relay_.sessions().last_seen(agent.id);
  Json out = {{"name", agent.name},
              {"mappings", relay_.mappings().count_of(agent.id)},
              {"flows", relay_.flows().count_of([&](const auto& flow) { return flow.agent == agent.id; })}};
  out["key"] = agent.key ? Json(fingerprint(*agent.key)) : Json(nullptr);
  if (session != nullptr) {
    out["state"] = "connected";
    out["address"] = session->peer.address.address.text();
    out["since"] = unix_seconds(session->since);
    out["instance"] = fmt::format("{:016x}", session->instance.value);
    out["software"] = session->software;
  } else {
    out["state"] = agent.revoked ? "revoked" : agent.key ? "away" : "unused";
    out["address"] = seen != nullptr ? Json(seen->address.address.text()) : Json(nullptr);
    out["since"] = seen != nullptr ? Json(unix_seconds(seen->wall)) : Json(nullptr);
  }
  const std::string note = relay_.sessions().duplicate_note(agent.id);
  if (!note.empty()) out["note"] = note;
  return out;
}

Result<nlohmann::json> Commands::agent_list(const Json&) {
  Json agents = Json::array();
  for (const auto& [id, agent] : relay_.agents().all()) agents.push_back(agent_json(agent));
  return Json{{"agents", agents}};
}

std::string Commands::public_address(const net::Endpoint& endpoint) const {
  if (!endpoint.address.is_wildcard()) return endpoint.text();
  const bool v6 = facts_.address.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", facts_.address, endpoint.port.value)
            : fmt::format("{}:{}", facts_.address, endpoint.port.value);
}

nlohmann::json Commands::map_json(const control::Relay::MapResult& result) const {
  Json probe = {{"state", result.probe_state}, {"text", result.probe_text}};
  if (result.probe_state == "answers") probe["ms"] = static_cast<double>(result.dial.count()) / 1000.0;
  return {{"public", core::public_text(result.mapping.public_endpoint)},
          {"address", public_address(result.mapping.public_endpoint)},
          {"agent", result.agent},
          {"target", result.mapping.target.text()},
          {"leg", core::leg_name(result.leg)},
          {"tier", "user"},
          {"probe", probe},
          {"warnings", result.warnings}};
}

void Commands::map(const Json& args, const admin::Reply& reply) {
  const auto request = map_request(args);
  if (!request) return reply(request.error());
  relay_.map(*request, [this, reply](Result<control::Relay::MapResult> result) {
    if (!result) return reply(result.error());
    reply(map_json(*result));
  });
}

Result<nlohmann::json> Commands::unmap(const Json& args) {
  const auto endpoint = core::parse_public(text_argument(args, "public"));
  if (!endpoint) return endpoint.error();
  const auto result = relay_.unmap(*endpoint, flag_argument(args, "now"));
  if (!result) return result.error();
  return Json{{"public", core::public_text(*endpoint)}, {"flows_running", result->running}, {"flows_cut", result->cut}};
}

nlohmann::json Commands::mapping_json(const control::MappingBook::Entry& entry) const {
  const core::Mapping& mapping = entry.mapping;
  const core::AgentRecord* agent = relay_.agents().find(mapping.agent);
  const auto* session = relay_.sessions().active(mapping.agent);
  std::uint64_t running = 0;
  std::uint64_t in_bytes = entry.ended.in_bytes;
  std::uint64_t out_bytes = entry.ended.out_bytes;
  for (const auto& [id, flow] : relay_.flows().all()) {
    if (flow.mapping != mapping.id) continue;
    ++running;
    in_bytes += flow.counters->in_bytes.load(std::memory_order_relaxed);
    out_bytes += flow.counters->out_bytes.load(std::memory_order_relaxed);
  }
  std::string state = "ok";
  if (!entry.port_fault.empty())
    state = "port not open: " + entry.port_fault;
  else if (agent->revoked)
    state = "agent revoked";
  else if (session == nullptr)
    state = "agent away";
  return {{"public", core::public_text(mapping.public_endpoint)},
          {"agent", agent->name},
          {"target", mapping.target.text()},
          {"leg", core::leg_name(control::FlowBook::effective_leg(mapping, session))},
          {"flows", running},
          {"in_bytes", in_bytes},
          {"out_bytes", out_bytes},
          {"idle_timeout_ms", mapping.idle_timeout.count()},
          {"state", state}};
}

Result<nlohmann::json> Commands::maps(const Json&) {
  Json mappings = Json::array();
  for (const auto& [id, entry] : relay_.mappings().all()) mappings.push_back(mapping_json(entry));
  return Json{{"mappings", mappings}};
}

nlohmann::json Commands::flow_json(const control::FlowBook::Flow& flow) const {
  using State = control::FlowBook::State;
  const bool running = flow.state == State::kRunning;
  const auto age = std::chrono::duration_cast<Millis>(clock_.now() - flow.started);
  return {{"visitor", flow.visitor_address.text()},
          {"public", flow.mapping_text},
          {"agent", flow.agent_name},
          {"leg", core::leg_name(flow.leg)},
          {"tier", "user"},
          {"why", flow.leg == core::Leg::kTls ? "leg tls" : "no higher tier is built in"},
          {"age_ms", age.count()},
          {"in_bytes", flow.counters->in_bytes.load(std::memory_order_relaxed)},
          {"out_bytes", flow.counters->out_bytes.load(std::memory_order_relaxed)},
          {"state", running                         ? "running"
                    : flow.state == State::kWaiting ? "waiting for the agent"
                                                    : "opening"}};
}

Result<nlohmann::json> Commands::flows(const Json& args) {
  if (!flag_argument(args, "recent")) {
    Json flows = Json::array();
    for (const auto& [id, flow] : relay_.flows().all()) flows.push_back(flow_json(flow));
    return Json{{"flows", flows}};
  }
  Json events = Json::array();
  for (const auto& event : relay_.flows().recent()) {
    const auto ms = std::chrono::duration_cast<Millis>(event.at.time_since_epoch()).count();
    events.push_back({{"time", ms},
                      {"visitor", event.visitor.text()},
                      {"public", event.public_text},
                      {"verdict", event.verdict},
                      {"detail", event.detail},
                      {"in_bytes", event.in_bytes},
                      {"out_bytes", event.out_bytes}});
  }
  return Json{{"events", events}};
}

Result<nlohmann::json> Commands::status(const Json&) {
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - started_);
  const auto pins = keys_.pins();
  return Json{{"address", facts_.address},
              {"uptime_s", up.count()},
              {"agents", relay_.agents().all().size()},
              {"agents_connected", relay_.sessions().active_count()},
              {"mappings", relay_.mappings().all().size()},
              {"flows", relay_.flows().all().size()},
              {"tiers", Json::array({{{"name", "user"}, {"on", true}, {"text", facts_.back_end}}})},
              {"limits", {{"flows", {{"used", relay_.flows().all().size()}, {"max", facts_.flow_count_max}}}}},
              {"data_threads", facts_.workers},
              {"single", facts_.single},
              {"missing", facts_.missing},
              {"relay_key", fingerprint(pins[0])},
              {"next_key", fingerprint(pins[1])}};
}

Result<nlohmann::json> Commands::key_rotate(const Json&) {
  const auto told = relay_.rotate_key();
  if (!told) return told.error();
  const auto pins = keys_.pins();
  return Json{{"current", fingerprint(pins[0])}, {"next", fingerprint(pins[1])}, {"sessions_told", *told}};
}

Result<nlohmann::json> Commands::key_show(const Json&) {
  const auto pins = keys_.pins();
  return Json{{"current", fingerprint(pins[0])}, {"next", fingerprint(pins[1])}};
}

Result<nlohmann::json> Commands::version(const Json&) {
  return Json{{"version", NFR_VERSION}, {"api", NFR_ADMIN_VERSION}};
}

}  // namespace nfr::relayd
