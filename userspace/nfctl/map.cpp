// SPDX-License-Identifier: GPL-2.0-only
// nfctl map | check | unmap | maps: requests and how their answers look. Pure; called by app.cpp. The relay judges
// ports, names and targets; here they are only taken apart.
#include <fmt/format.h>

#include <chrono>

#include "base/text.hpp"
#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"
#include "nfctl/rules.hpp"

namespace nfr::nfctl {
namespace {

Status read_duration(const Arguments& arguments, const char* option, const char* key, json& args) {
  const auto text = arguments.value(option);
  if (!text) return {};
  const auto ms = parse_duration_ms(*text);
  if (!ms) return ms.error().context(std::string("--") + option);
  args[key] = *ms;
  return {};
}

Result<Call> build_map(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 2); !status) return status.error();
  const std::string& where = arguments.operands[1];
  const std::size_t colon = where.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == where.size()) {
    return Error(Code::kInvalid, fmt::format("'{}': expected AGENT:TARGET, such as client1:3306 or "
                                             "client1:192.168.1.123:3306",
                                             escape(where, 80)));
  }
  json args = {
      {"public", arguments.operands[0]}, {"agent", where.substr(0, colon)}, {"target", where.substr(colon + 1)}};
  for (const char* name : {"leg", "proxy"}) {
    if (const auto value = arguments.value(name)) args[name] = *value;
  }
  for (const char* name : {"allow", "deny"}) {
    if (arguments.has(name)) args[name] = arguments.items(name);
  }
  Status status = read_duration(arguments, "idle", "idle_timeout_ms", args);
  if (status) status = read_duration(arguments, "for", "for_ms", args);
  if (status) status = read_limits(arguments, args);
  if (!status) return status.error();
  return Call{"map", std::move(args)};
}

Result<Call> build_check(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 1); !status) return status.error();
  return Call{"check", {{"public", arguments.operands[0]}}};
}

Result<Call> build_unmap(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 1); !status) return status.error();
  return Call{"unmap", {{"public", arguments.operands[0]}, {"now", arguments.has("now")}}};
}

Result<Call> build_maps(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"maps", json::object()};
}

std::string answer_time(const json& probe) {
  const json& ms = member(probe, "ms");
  if (!ms.is_number()) return "";
  const double value = std::clamp(ms.get<double>(), 0.0, 1e9);
  return " in " + human_duration(Micros(static_cast<Micros::rep>(value * 1000)));
}

std::string probe_text(const json& probe, const View& view) {
  const std::string state = cell(probe, "state");
  const std::string why = sentence(probe, "text");
  const std::string more = why.empty() ? "" : ": " + why;
  if (state == "answers") return paint("target answers" + answer_time(probe), Tone::kGood, view);
  if (state == "refused") return paint("target refuses the connection" + more, Tone::kBad, view);
  if (state == "no_answer") return paint("target does not answer" + more, Tone::kBad, view);
  if (state == "agent_away")
    return paint("agent away, visitors are refused until it connects" + more, Tone::kWarn, view);
  if (state == "not_allowed") return paint("the agent does not allow this target" + more, Tone::kBad, view);
  return paint("target: " + state + more, Tone::kWarn, view);
}

Text render_map(const json& result, const View& view) {
  Text text;
  const bool addressed = member(result, "address").is_string();
  text.out = fmt::format("{} -> {} {}   {}   leg {}   tier {}", cell(result, addressed ? "address" : "public"),
                         cell(result, "agent"), cell(result, "target"), probe_text(member(result, "probe"), view),
                         cell(result, "leg"), cell(result, "tier"));
  if (const std::string rules = rules_text(result); rules != "-") text.out += "   " + rules;
  if (count(result, "expires") > 0) text.out += "   ends " + utc_text(count(result, "expires"));
  text.out += flag(result, "automatic") ? "   (the same next time)\n" : "\n";
  text.err += warnings_text(result);
  return text;
}

Text render_unmap(const json& result, const View&) {
  std::string line = cell(result, "public") + " is unmapped";
  const std::uint64_t running = count(result, "flows_running");
  const std::uint64_t cut = count(result, "flows_cut");
  if (running > 0)
    line += fmt::format(", {} {} on until {}", counted(running, "flow"), running == 1 ? "goes" : "go",
                        running == 1 ? "it ends" : "they end");
  if (cut > 0) line += ", " + counted(cut, "flow") + " cut";
  return {line + "\n", ""};
}

Tone tone_of(const std::string& state) {
  return state == "ok" ? Tone::kGood : state.starts_with("agent away") ? Tone::kWarn : Tone::kBad;
}

Text render_maps(const json& result, const View& view) {
  const json& mappings = list(result, "mappings");
  if (mappings.empty())
    return {"no mappings yet: nfctl map PUBLIC AGENT:TARGET, such as nfctl map 8888 client1:3306\n", ""};
  std::vector<Row> rows;
  for (const json& mapping : mappings) {
    const std::string state = cell(mapping, "state");
    rows.push_back({cell(mapping, "public"), cell(mapping, "agent"), cell(mapping, "target"), cell(mapping, "leg"),
                    std::to_string(count(mapping, "flows")), bytes_cell(mapping, "in_bytes"),
                    bytes_cell(mapping, "out_bytes"), ms_cell(mapping, "idle_timeout_ms"), cell(mapping, "origin"),
                    remaining_cell(mapping, "expires", view.now), rules_text(mapping), Cell(state, tone_of(state))});
  }
  return {render_table(
              {"PUBLIC", "AGENT", "TARGET", "LEG", "FLOWS", "IN", "OUT", "IDLE", "BY", "ENDS IN", "RULES", "STATE"},
              rows, view),
          ""};
}

constexpr const char* kMapDetails =
    "PUBLIC: a port of the relay (8888), one of its addresses and a port (203.0.113.5:8888, [2001:db8::1]:8888),\n"
    "a range (5000-5100), or auto: a port from 30000 to 65535, the same again for this agent and target.\n"
    "TARGET: what the agent dials: a port of its own machine (3306), HOST:PORT in its network (a name is resolved\n"
    "by the agent), [IPV6]:PORT, as many ports as PUBLIC has (5000-5100), or unix:/PATH.\n";

std::vector<Option> map_options() {
  return {{"leg", "plain|tls", "how bytes travel between relay and agent (default: chosen by rule)"},
          {"idle", "TIME", "end a flow that was silent for so long: 30s, 10m, 2h, never"},
          {"for", "TIME", "the mapping ends by itself after so long"},
          {"proxy", "v1|v2", "tell the target who the visitor is (PROXY protocol)"},
          {"allow", "NETWORKS", "only these visitors: 10.0.0.0/8,192.0.2.7; may be given again", true},
          {"deny", "NETWORKS", "not these visitors; wins over --allow", true},
          {"max-flows", "N", "most flows at once; 0: no limit"},
          {"max-per-source", "N", "most flows at once from one address (IPv6: one /64); 0: no limit"},
          {"rate", "N", "most new flows a second from one address; 0: no limit"}};
}

}  // namespace

std::vector<Command> map_commands() {
  return {
      {.name = "map",
       .operands = "PUBLIC AGENT:TARGET",
       .summary = "publish a target of an agent",
       .details = kMapDetails,
       .options = map_options(),
       .build = build_map,
       .render = render_map,
       .looks_at_firewall = true},
      {.name = "check",
       .operands = "PUBLIC",
       .summary = "tell again what map told: target, leg, tier, firewall",
       .details = "",
       .options = {},
       .build = build_check,
       .render = render_map,
       .looks_at_firewall = true},
      {"unmap",
       "PUBLIC",
       "take a public endpoint back; running flows end by themselves",
       "",
       {{"now", "", "cut the running flows"}},
       build_unmap,
       render_unmap},
      {"maps",
       "",
       "list the mappings",
       "IN: from visitors; OUT: to visitors; both since the relay started. BY: the operator (nfctl) or the agent "
       "itself.\n"
       "RULES: how many networks may and may not come (nfctl maps --json lists them), limits, PROXY protocol.\n",
       {watch_option()},
       build_maps,
       render_maps},
  };
}

}  // namespace nfr::nfctl
