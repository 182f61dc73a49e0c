// SPDX-License-Identifier: GPL-2.0-only
// nfctl agent add | list | set | rename | revoke | rejoin | remove: requests and how their answers look. Pure; called
// by app.cpp.
#include <fmt/format.h>

#include "base/text.hpp"
#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {
namespace {

constexpr std::size_t kJoinLineMax = 8192;

template <const char* kCmd>
Result<Call> build_named(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 1); !status) return status.error();
  return Call{kCmd, {{"name", arguments.operands[0]}}};
}

constexpr char kAdd[] = "agent.add";
constexpr char kRevoke[] = "agent.revoke";
constexpr char kRejoin[] = "agent.rejoin";
constexpr char kRemove[] = "agent.remove";

Result<Call> build_list(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"agent.list", json::object()};
}

Result<Call> build_set(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 1); !status) return status.error();
  json args = {{"name", arguments.operands[0]}};
  if (const auto ports = arguments.value("ports")) args["ports"] = *ports;
  for (const auto& [option, key] : {std::pair("max-mappings", "max_mappings"), std::pair("max-flows", "max_flows")}) {
    if (!arguments.has(option)) continue;
    const auto number = number_option(arguments, option, UINT32_MAX);
    if (!number) return number.error();
    args[key] = *number;
  }
  if (args.size() == 1) return Error(Code::kInvalid, "nothing to set: --ports, --max-mappings or --max-flows expected");
  return Call{"agent.set", std::move(args)};
}

Result<Call> build_rename(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 2); !status) return status.error();
  return Call{"agent.rename", {{"name", arguments.operands[0]}, {"to", arguments.operands[1]}}};
}

Text render_set(const json& result, const View&) {
  const json& rights = member(result, "rights");
  const std::uint64_t flows = count(rights, "max_flows");
  std::string line = fmt::format("{} may publish on ports {} by itself, {}, {}", cell(result, "name"),
                                 cell(rights, "ports"), counted(count(rights, "max_mappings"), "mapping"),
                                 flows == 0 ? "any number of flows" : counted(flows, "flow") + " at once");
  if (const std::uint64_t gone = count(result, "withdrawn"); gone > 0) {
    line += fmt::format("; {} of its own {} outside of that and {} removed", gone, gone == 1 ? "was" : "were",
                        gone == 1 ? "is" : "are");
  }
  return {line + "\n", ""};
}

Text render_rename(const json& result, const View&) {
  return {fmt::format("{} is now called {}; its mappings and its session stay\n", cell(result, "from"),
                      cell(result, "name")),
          ""};
}

Text render_join(const json& result, const View&) {
  const json& line = member(result, "join_line");
  const std::string token = line.is_string() ? escape(line.get<std::string>(), kJoinLineMax) : "-";
  return {fmt::format("Run this on the machine behind NAT (works once, until {}):\n  nfagent join {}\n",
                      utc_text(count(result, "expires")), token),
          warnings_text(result)};
}

Tone tone_of(const std::string& state) {
  if (state == "connected") return Tone::kGood;
  return state == "revoked" ? Tone::kBad : Tone::kWarn;
}

Text render_list(const json& result, const View& view) {
  const json& agents = list(result, "agents");
  if (agents.empty()) return {"no agents yet: nfctl agent add NAME\n", ""};
  std::vector<Row> rows;
  for (const json& agent : agents) {
    const std::string state = cell(agent, "state");
    rows.push_back({cell(agent, "name"), Cell(state, tone_of(state)), age_cell(agent, "since", view.now),
                    cell(agent, "address"), cell(agent, "key"), std::to_string(count(agent, "mappings")),
                    std::to_string(count(agent, "flows")), cell(member(agent, "rights"), "ports"),
                    cell(agent, "note")});
  }
  return {render_table({"NAME", "STATE", "FOR", "ADDRESS", "KEY", "MAPPINGS", "FLOWS", "PORTS", "NOTE"}, rows, view),
          ""};
}

Text render_revoke(const json& result, const View&) {
  const std::string name = cell(result, "name");
  return {fmt::format("{0} is revoked, {1} cut. To let it in again: nfctl agent rejoin {0}\n", name,
                      counted(count(result, "flows_cut"), "flow")),
          ""};
}

Text render_remove(const json& result, const View&) {
  return {fmt::format("{} is removed with its mappings, {} cut\n", cell(result, "name"),
                      counted(count(result, "flows_cut"), "flow")),
          ""};
}

}  // namespace

std::vector<Command> agent_commands() {
  return {
      {"agent add",
       "NAME",
       "make an agent and print its one-time join line",
       "NAME: 1 to 32 of a-z 0-9 - _ . beginning with a letter or digit.\n",
       {},
       build_named<kAdd>,
       render_join},
      {"agent list",
       "",
       "list the agents and their state (also: nfctl agents)",
       "PORTS: what the agent may publish by itself (nfctl agent set).\n",
       {watch_option()},
       build_list,
       render_list},
      {"agent set",
       "NAME",
       "set what an agent may publish by itself",
       "Mappings that the operator makes are not bound by it. Those of the agent that are outside of it are removed.\n",
       {{"ports", "LIST", "public ports it may name, and auto: 8000-8999,auto; or none"},
        {"max-mappings", "N", "most mappings of its own making"},
        {"max-flows", "N", "most flows at once over all its mappings; 0: no limit"}},
       build_set,
       render_set},
      {"agent rename", "OLD NEW", "give an agent another name", "", {}, build_rename, render_rename},
      {"agent revoke",
       "NAME",
       "forbid an agent and cut its flows; its mappings stay",
       "",
       {},
       build_named<kRevoke>,
       render_revoke},
      {"agent rejoin",
       "NAME",
       "print another one-time join line for an agent",
       "For a new machine in its place, a lost key, or an agent that was revoked.\n",
       {},
       build_named<kRejoin>,
       render_join},
      {"agent remove",
       "NAME",
       "forget an agent with its mappings and cut its flows",
       "",
       {},
       build_named<kRemove>,
       render_remove},
  };
}

}  // namespace nfr::nfctl
