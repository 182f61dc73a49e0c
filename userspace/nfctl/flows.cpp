// SPDX-License-Identifier: GPL-2.0-only
// nfctl flows [--recent]: requests and how their answers look. Pure; called by app.cpp.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {
namespace {

constexpr std::uint64_t kMsPerDay = 86'400'000;
// Year 9999: later ones do not fit the calendar functions.
constexpr std::uint64_t kUnixMsMax = 253'402'300'799'000;

Result<Call> build_flows(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"flows", {{"recent", arguments.has("recent")}}};
}

// The time of day; with the date when it is not today's. UTC, as in logs.
std::string clock_cell(std::uint64_t unix_ms, WallTime now) {
  unix_ms = std::min(unix_ms, kUnixMsMax);
  const auto now_ms = std::chrono::duration_cast<Millis>(now.time_since_epoch()).count();
  const bool today = now_ms >= 0 && static_cast<std::uint64_t>(now_ms) / kMsPerDay == unix_ms / kMsPerDay;
  const auto time = fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000));
  return today ? fmt::format("{:%H:%M:%S}", time) : fmt::format("{:%d %b %H:%M:%S}", time);
}

Text render_events(const json& events, const View& view) {
  if (events.empty())
    return {"nothing happened since the relay started: nfctl maps shows what visitors can reach\n", ""};
  std::vector<Row> rows;
  for (const json& event : events) {
    const std::string verdict = cell(event, "verdict");
    const bool bad = verdict == "refused" || verdict == "denied";
    rows.push_back({clock_cell(count(event, "time"), view.now), cell(event, "visitor"), cell(event, "public"),
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
           {{"recent", "", "what ended, was refused or denied lately, and why"}},
           build_flows,
           render_flows}};
}

}  // namespace nfr::nfctl
