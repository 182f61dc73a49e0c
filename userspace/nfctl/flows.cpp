// SPDX-License-Identifier: GPL-2.0-only
// nfctl flows [--recent]: requests and how their answers look. Pure; called by app.cpp.
#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {
namespace {

Result<Call> build_flows(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"flows", {{"recent", arguments.has("recent")}}};
}

Text render_events(const json& events, const View& view) {
  if (events.empty())
    return {"nothing happened since the relay started: nfctl maps shows what visitors can reach\n", ""};
  std::vector<Row> rows;
  for (const json& event : events) {
    const std::string verdict = cell(event, "verdict");
    const bool bad = verdict == "refused" || verdict == "denied";
    rows.push_back({clock_text(count(event, "time"), view.now), cell(event, "visitor"), cell(event, "public"),
                    Cell(verdict, bad ? Tone::kBad : Tone::kPlain), bytes_cell(event, "in_bytes"),
                    bytes_cell(event, "out_bytes"), cell(event, "detail")});
  }
  return {render_table({"TIME UTC", "VISITOR", "PUBLIC", "RESULT", "IN", "OUT", "DETAIL"}, rows, view), ""};
}

Text render_flows(const json& result, const View& view) {
  if (member(result, "events").is_array()) return render_events(list(result, "events"), view);
  const json& flows = list(result, "flows");
  if (flows.empty()) return {"no flows now: nfctl flows --recent shows those that ended or were refused\n", ""};
  std::vector<Row> rows;
  for (const json& flow : flows) {
    rows.push_back({cell(flow, "visitor"), cell(flow, "public"), cell(flow, "agent"), cell(flow, "leg"),
                    cell(flow, "tier"), cell(flow, "why"), ms_cell(flow, "age_ms"), bytes_cell(flow, "in_bytes"),
                    bytes_cell(flow, "out_bytes"), cell(flow, "state")});
  }
  return {render_table({"VISITOR", "PUBLIC", "AGENT", "LEG", "TIER", "WHY NOT HIGHER", "AGE", "IN", "OUT", "STATE"},
                       rows, view),
          ""};
}

}  // namespace

std::vector<Command> flows_commands() {
  return {{"flows",
           "",
           "list the running flows and the tier each is on",
           "IN: from the visitor; OUT: to the visitor.\n",
           {{"recent", "", "what ended, was refused or denied lately, and why"}, watch_option()},
           build_flows,
           render_flows}};
}

}  // namespace nfr::nfctl
