// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/commands.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "admin/mapping_json.hpp"
#include "base/descriptors.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "nfr/admin/admin.h"
#include "relayd/arguments.hpp"

namespace nfr::relayd {
namespace {

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

nlohmann::json rights_json(const core::Rights& rights) {
  std::vector<std::string> ports;
  for (const core::PortRange& range : rights.ports) ports.push_back(range.text());
  if (rights.automatic) ports.emplace_back("auto");
  return {{"ports", ports.empty() ? "none" : fmt::format("{}", fmt::join(ports, ","))},
          {"max_mappings", rights.mappings_max},
          {"max_flows", rights.flows_max}};
}

}  // namespace

void Commands::note(std::string what) { relay_.events().note(who_, std::move(what)); }

Commands::Commands(control::Relay& relay, core::RelayKeys& keys, Clock& clock, RelayFacts facts)
    : relay_(relay), keys_(keys), clock_(clock), facts_(std::move(facts)), started_(clock.now()) {
  answers_ = {{"agent.add", &Commands::agent_add},
              {"agent.list", &Commands::agent_list},
              {"agent.revoke", &Commands::agent_revoke},
              {"agent.rejoin", &Commands::agent_rejoin},
              {"agent.remove", &Commands::agent_remove},
              {"agent.set", &Commands::agent_set},
              {"agent.rename", &Commands::agent_rename},
              {"admit", &Commands::admit},
              {"export", &Commands::export_all},
              {"events", &Commands::events},
              {"reload", &Commands::reload_config},
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
  who_ = fmt::format("uid {}", peer.uid);
  if (cmd == "map") return map(args, reply);
  if (cmd == "check") return check(args, reply);
  if (cmd == "apply") return apply(args, reply);
  const auto answer = answers_.find(cmd);
  if (answer == answers_.end())
    return reply(Error(Code::kInvalid, fmt::format("command '{}' is not known", escape(cmd))));
  reply((this->*answer->second)(args));
}

nlohmann::json Commands::invitation(const control::Relay::Invitation& made) const {
  Json warnings = Json::array();
  if (!facts_.address_doubt.empty()) warnings.push_back(facts_.address_doubt);
  return {{"name", made.name},
          {"join_line", made.join_line},
          {"expires", unix_seconds(made.expires)},
          {"warnings", std::move(warnings)}};
}

Result<nlohmann::json> Commands::agent_add(const Json& args) {
  const auto made = relay_.agent_add(text_argument(args, "name"));
  if (!made) return made.error();
  note("made agent " + made->name);
  return invitation(*made);
}

Result<nlohmann::json> Commands::agent_rejoin(const Json& args) {
  const auto made = relay_.agent_rejoin(text_argument(args, "name"));
  if (!made) return made.error();
  note("made another join line for " + made->name);
  return invitation(*made);
}

Result<nlohmann::json> Commands::agent_revoke(const Json& args) {
  const std::string name = text_argument(args, "name");
  const auto cut = relay_.agent_revoke(name);
  if (!cut) return cut.error();
  note(fmt::format("revoked {}, {} flow(s) cut", name, *cut));
  return Json{{"name", name}, {"flows_cut", *cut}};
}

Result<nlohmann::json> Commands::agent_remove(const Json& args) {
  const std::string name = text_argument(args, "name");
  const auto cut = relay_.agent_remove(name);
  if (!cut) return cut.error();
  note(fmt::format("removed {} with its mappings, {} flow(s) cut", name, *cut));
  return Json{{"name", name}, {"flows_cut", *cut}};
}

Result<nlohmann::json> Commands::agent_set(const Json& args) {
  const std::string name = text_argument(args, "name");
  const core::AgentRecord* agent = relay_.agents().find(name);
  auto rights = rights_change(args, agent != nullptr ? agent->rights : core::Rights{});
  if (!rights) return rights.error();
  const auto result = relay_.set_rights(name, std::move(*rights));
  if (!result) return result.error();
  const Json set = rights_json(result->agent.rights);
  note(fmt::format("set the rights of {}: ports {}, {} mapping(s), {} flow(s), 0 meaning any number", name,
                   set["ports"].get<std::string>(), set["max_mappings"].dump(), set["max_flows"].dump()));
  return Json{{"name", name}, {"rights", rights_json(result->agent.rights)}, {"withdrawn", result->withdrawn}};
}

Result<nlohmann::json> Commands::agent_rename(const Json& args) {
  const std::string from = text_argument(args, "name");
  const auto renamed = relay_.agent_rename(from, text_argument(args, "to"));
  if (!renamed) return renamed.error();
  note(fmt::format("renamed {} to {}", from, renamed->name));
  return Json{{"name", renamed->name}, {"from", from}};
}

nlohmann::json Commands::agent_json(const core::AgentRecord& agent) const {
  const auto* session = relay_.sessions().active(agent.id);
  const auto* seen = relay_.sessions().last_seen(agent.id);
  Json out = {{"name", agent.name},
              {"mappings", relay_.mappings().count_of(agent.id)},
              {"rights", rights_json(agent.rights)},
              {"flows", relay_.flows().count_of([&](const auto& flow) { return flow.agent == agent.id; })},
              {"ready_channels", relay_.flows().pool().ready_of(agent.id)}};
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

nlohmann::json Commands::map_json(const control::Relay::MapResult& result) const {
  Json probe = {{"state", result.probe_state}, {"text", result.probe_text}};
  if (result.probe_state == "answers") probe["ms"] = static_cast<double>(result.dial.count()) / 1000.0;
  Json out = admin::mapping_json(result.mapping, result.agent);
  out["public"] = result.mapping.public_ports.text();
  out["address"] = relay_.address_of(result.mapping.public_ports);
  out["leg"] = core::leg_name(result.leg);
  out["tier"] = "user";
  out["probe"] = probe;
  out["warnings"] = result.warnings;
  out["automatic"] = result.mapping.automatic;
  if (result.mapping.expires) out["expires"] = unix_seconds(*result.mapping.expires);
  return out;
}

void Commands::map(const Json& args, const admin::Reply& reply) {
  const auto request = map_request(args, clock_.wall());
  if (!request) return reply(request.error());
  relay_.map(*request, [this, reply, who = who_](Result<control::Relay::MapResult> result) {
    if (!result) return reply(result.error());
    const core::Mapping& mapping = result->mapping;
    relay_.events().note(
        who, fmt::format("mapped {} -> {} {}", mapping.public_ports.text(), result->agent, mapping.target.text()));
    reply(map_json(*result));
  });
}

void Commands::check(const Json& args, const admin::Reply& reply) {
  const auto ports = core::PublicPorts::parse(text_argument(args, "public"));
  if (!ports) return reply(ports.error());
  relay_.check(*ports, [this, reply](Result<control::Relay::MapResult> result) {
    if (!result) return reply(result.error());
    reply(map_json(*result));
  });
}

void Commands::apply(const Json& args, const admin::Reply& reply) {
  const auto requests = apply_requests(args);
  if (!requests) return reply(requests.error());
  const bool dry_run = flag_argument(args, "dry_run");
  std::map<core::MappingId, Json> before;
  for (const auto& [id, entry] : relay_.mappings().all()) before[id] = declared(entry.mapping);
  const auto finish = [this, reply, dry_run, before, who = who_](const Result<control::MappingPlan>& plan) {
    if (!plan) return reply(plan.error());
    if (!dry_run) {
      relay_.events().note(who, fmt::format("applied a file: {} added, {} changed, {} removed", plan->add.size(),
                                            plan->change.size(), plan->remove.size()));
    }
    Json added = Json::array(), changed = Json::array(), removed = Json::array();
    for (const core::Mapping& mapping : plan->add) added.push_back(declared(mapping));
    for (const core::Mapping& mapping : plan->remove) removed.push_back(before.at(mapping.id));
    for (const core::Mapping& mapping : plan->change) {
      changed.push_back(declared(mapping));
      changed.back()["before"] = before.at(mapping.id);
    }
    reply(Json{{"dry_run", dry_run},
               {"added", added},
               {"changed", changed},
               {"removed", removed},
               {"unchanged", plan->unchanged}});
  };
  relay_.apply(*requests, dry_run, finish);
}

nlohmann::json Commands::declared(const core::Mapping& mapping) const {
  const core::AgentRecord* agent = relay_.agents().find(mapping.agent);
  Json out = admin::mapping_json(mapping, agent != nullptr ? agent->name : "-");
  if (mapping.automatic && !mapping.public_ports.automatic()) out["port"] = mapping.public_ports.text();
  return out;
}

Result<nlohmann::json> Commands::export_all(const Json&) {
  Json mappings = Json::array();
  for (const auto& [id, entry] : relay_.mappings().all()) {
    const core::Mapping& mapping = entry.mapping;
    const bool lasting = mapping.origin == core::Origin::kOperator && !mapping.expires;
    if (!lasting) continue;
    mappings.push_back(declared(mapping));
    mappings.back().erase("port");
  }
  return Json{{"mappings", mappings}};
}

Result<nlohmann::json> Commands::admit(const Json& args) {
  const auto ports = core::PublicPorts::parse(text_argument(args, "public"));
  if (!ports) return ports.error();
  const auto id = relay_.mappings().need(*ports);
  if (!id) return id.error();
  auto admission = admission_change(args, relay_.mappings().find(*id)->mapping.admission);
  if (!admission) return admission.error();
  const auto result = relay_.set_admission(*ports, std::move(*admission));
  if (!result) return result.error();
  Json out = declared(result->mapping);
  out["public"] = result->mapping.public_ports.text();
  out["leg"] = core::leg_name(result->leg);
  out["leg_changed"] = result->leg_changed;
  out["flows_cut"] = result->cut;
  out["flows_running"] = result->running;
  note(fmt::format("set who may visit {}: {} flow(s) cut", result->mapping.public_ports.text(), result->cut));
  return out;
}

Result<nlohmann::json> Commands::unmap(const Json& args) {
  const auto ports = core::PublicPorts::parse(text_argument(args, "public"));
  if (!ports) return ports.error();
  const auto result = relay_.unmap(*ports, flag_argument(args, "now"));
  if (!result) return result.error();
  note(fmt::format("unmapped {}", result->mapping.public_ports.text()));
  return Json{
      {"public", result->mapping.public_ports.text()}, {"flows_running", result->running}, {"flows_cut", result->cut}};
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
  Json out = admin::mapping_json(mapping, agent->name);
  out["public"] = mapping.public_ports.text();
  out["leg"] = core::leg_name(control::FlowBook::effective_leg(mapping, session));
  out["flows"] = running;
  out["in_bytes"] = in_bytes;
  out["out_bytes"] = out_bytes;
  out["idle_timeout_ms"] = mapping.idle_timeout.count();
  out["automatic"] = mapping.automatic;
  out["origin"] = mapping.origin == core::Origin::kAgent ? "agent" : "operator";
  if (mapping.expires) out["expires"] = unix_seconds(*mapping.expires);
  out["state"] = state;
  return out;
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

Result<nlohmann::json> Commands::events(const Json&) {
  Json events = Json::array();
  for (const auto& event : relay_.events().all()) {
    const auto ms = std::chrono::duration_cast<Millis>(event.at.time_since_epoch()).count();
    events.push_back({{"time", ms}, {"who", event.who}, {"what", event.what}});
  }
  return Json{{"events", events}};
}

Result<nlohmann::json> Commands::reload_config(const Json&) {
  if (!reload) return Error(Code::kUnavailable, "this relay cannot read its configuration again");
  const auto waiting = reload();
  if (!waiting) return waiting.error();
  note("reloaded the configuration");
  return Json{{"needs_restart", *waiting}};
}

Commands::Json Commands::pool_json() const {
  const control::ChannelPool& pool = relay_.flows().pool();
  const auto& counts = pool.counts();
  return {{"ready", pool.ready_count()}, {"asked", pool.asked_count()}, {"wanted", pool.wanted_count()},
          {"max", pool.count_max()},     {"hits", counts.hits},         {"misses", counts.misses},
          {"aged", counts.aged},         {"died", counts.died},         {"failed", counts.failed},
          {"given_up", counts.given_up}};
}

Result<nlohmann::json> Commands::status(const Json&) {
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - started_);
  const auto pins = keys_.pins();
  const std::size_t flow_count_max =
      std::min(relay_.settings().flow.flow_count_max, relay_.descriptors().plan().visitors_max);
  const Json flows = {{"used", relay_.flows().all().size()}, {"max", flow_count_max}};
  const io::Loop::Statistics io = io_statistics ? io_statistics() : io::Loop::Statistics{};
  const Json descriptors = {{"used", open_descriptors()}, {"max", descriptor_limit()}};
  return Json{{"address", facts_.address},
              {"uptime_s", up.count()},
              {"agents", relay_.agents().all().size()},
              {"agents_connected", relay_.sessions().active_count()},
              {"mappings", relay_.mappings().all().size()},
              {"flows", relay_.flows().all().size()},
              {"tiers", Json::array({{{"name", "user"}, {"on", true}, {"text", facts_.back_end}}})},
              {"limits", {{"flows", flows}, {"descriptors", descriptors}}},
              {"pool", pool_json()},
              {"shortage", relay_.descriptors().shortage()},
              {"data_threads", facts_.workers},
              {"io", {{"completions", io.completions}, {"enters", io.enters}, {"outstanding", io.outstanding}}},
              {"single", facts_.single},
              {"missing", facts_.missing},
              {"relay_key", fingerprint(pins[0])},
              {"next_key", fingerprint(pins[1])}};
}

Result<nlohmann::json> Commands::key_rotate(const Json&) {
  const auto told = relay_.rotate_key();
  if (!told) return told.error();
  note("rotated the relay's key");
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
