// SPDX-License-Identifier: GPL-2.0-only
// nfctl events: who changed what when, and which visitors were turned away, in one order. Pure; called by app.cpp.
#include <fmt/format.h>

#include <algorithm>

#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {
namespace {

Result<Call> build_events(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"events", json::object()};
}

bool turned_away(const json& event) {
  const std::string verdict = cell(event, "verdict");
  return verdict == "refused" || verdict == "denied";
}

/// Visitors of `flows --recent` that were turned away join the events; in the order of time.
void join_visitors(json& result, const json& recent) {
  json events = list(result, "events");
  for (const json& visitor : list(recent, "events")) {
    if (!turned_away(visitor)) continue;
    events.push_back({{"time", count(visitor, "time")},
                      {"who", cell(visitor, "visitor")},
                      {"what", fmt::format("{} at {}: {}", cell(visitor, "verdict"), cell(visitor, "public"),
                                           cell(visitor, "detail"))},
                      {"verdict", cell(visitor, "verdict")}});
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const json& a, const json& b) { return count(a, "time") < count(b, "time"); });
  result = json{{"events", std::move(events)}};
}

Text render_events(const json& result, const View& view) {
  const json& events = list(result, "events");
  if (events.empty()) return {"nothing was changed and nobody refused since the relay started\n", ""};
  std::vector<Row> rows;
  for (const json& event : events) {
    rows.push_back({clock_text(count(event, "time"), view.now), cell(event, "who"),
                    Cell(cell(event, "what"), turned_away(event) ? Tone::kBad : Tone::kPlain)});
  }
  return {render_table({"TIME UTC", "WHO", "WHAT"}, rows, view), ""};
}

}  // namespace

std::vector<Command> events_commands() {
  return {{.name = "events",
           .operands = "",
           .summary = "who changed what when, and visitors turned away; newest last",
           .details = "Since the relay started, at most the last thousand changes.\n",
           .options = {watch_option()},
           .build = build_events,
           .render = render_events,
           .second = Second{{"flows", {{"recent", true}}}, join_visitors}}};
}

}  // namespace nfr::nfctl
