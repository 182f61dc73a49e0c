// SPDX-License-Identifier: GPL-2.0-only
// nfctl map | unmap | maps: requests and how their answers look. Pure; called by app.cpp. The relay judges ports,
// names and targets; here they are only taken apart.
#include <fmt/format.h>

#include <chrono>

#include "base/text.hpp"
#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {
namespace {

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
  if (const auto leg = arguments.value("leg")) args["leg"] = *leg;
  if (const auto idle = arguments.value("idle")) {
    const auto ms = parse_duration_ms(*idle);
    if (!ms) return ms.error().context("--idle");
    args["idle_timeout_ms"] = *ms;
  }
  return Call{"map", std::move(args)};
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
  text.out = fmt::format("{} -> {} {}   {}   leg {}   tier {}\n", cell(result, addressed ? "address" : "public"),
                         cell(result, "agent"), cell(result, "target"), probe_text(member(result, "probe"), view),
                         cell(result, "leg"), cell(result, "tier"));
  for (const json& warning : list(result, "warnings")) {
    if (warning.is_string()) text.err += "warning: " + sentence(warning.get<std::string>()) + "\n";
  }
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

Text render_maps(const json& result, const View& view) {
  const json& mappings = list(result, "mappings");
  if (mappings.empty())
    return {"no mappings yet: nfctl map PUBLIC AGENT:TARGET, such as nfctl map 8888 client1:3306\n", ""};
  std::vector<Row> rows;
  for (const json& mapping : mappings) {
    const std::string state = cell(mapping, "state");
    const Tone tone = state == "ok" ? Tone::kGood : state.starts_with("agent away") ? Tone::kWarn : Tone::kBad;
    rows.push_back({cell(mapping, "public"), cell(mapping, "agent"), cell(mapping, "target"), cell(mapping, "leg"),
                    std::to_string(count(mapping, "flows")), bytes_cell(mapping, "in_bytes"),
                    bytes_cell(mapping, "out_bytes"), ms_cell(mapping, "idle_timeout_ms"), Cell(state, tone)});
  }
  return {render_table({"PUBLIC", "AGENT", "TARGET", "LEG", "FLOWS", "IN", "OUT", "IDLE", "STATE"}, rows, view), ""};
}

}  // namespace

std::vector<Command> map_commands() {
  return {
      {"map",
       "PUBLIC AGENT:TARGET",
       "publish a target of an agent",
       "PUBLIC: a port of the relay (8888) or one of its addresses and a port (203.0.113.5:8888, [2001:db8::1]:8888).\n"
       "TARGET: what the agent dials: a port of its own machine (3306) or ADDRESS:PORT in its network.\n",
       {{"leg", "plain|tls", "how bytes travel between relay and agent (default: chosen by rule)"},
        {"idle", "TIME", "end a flow that was silent for so long: 30s, 10m, 2h, never"}},
       build_map,
       render_map},
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
       "IN: from visitors; OUT: to visitors; both since the relay started.\n",
       {},
       build_maps,
       render_maps},
  };
}

}  // namespace nfr::nfctl
