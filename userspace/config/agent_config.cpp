// SPDX-License-Identifier: GPL-2.0-only
#include "config/agent_config.hpp"

#include <fmt/format.h>

#include <span>
#include <vector>

#include "config/config_file.hpp"
#include "config/toml_reader.hpp"
#include "config/value_rules.hpp"

namespace nfr::config {
namespace {

void read_allow_targets(TomlReader& reader, AgentConfig& config) {
  std::vector<std::string> rules;
  const auto count = reader.list("allow_targets", TomlReader::Items::kStrings, [&](std::string_view text) -> Status {
    const std::string rule(text);
    // Parsed alone first, so that an error is reported at its own line.
    if (const auto alone = core::AllowList::parse(std::span(&rule, 1)); !alone) return alone.error();
    rules.push_back(rule);
    return {};
  });
  if (!count) return;
  auto list = core::AllowList::parse(rules);
  NFR_ASSERT(list.ok());
  config.allow_targets = std::move(*list);
}

/// Reported at whichever of the two keys is there; the other one may be a default.
void check_reconnect(TomlReader& reader, const AgentConfig& config) {
  if (config.reconnect_min <= config.reconnect_max) return;
  const bool min_given = config.reconnect_min != AgentConfig{}.reconnect_min;
  reader.problem(min_given ? "reconnect_min_ms" : "reconnect_max_ms",
                 fmt::format("reconnect_min_ms = {} is more than reconnect_max_ms = {}; expected at most as much",
                             config.reconnect_min.count(), config.reconnect_max.count()));
}

}  // namespace

Result<AgentConfig> parse_agent_config(std::string_view text, const std::string& file) {
  auto reader = TomlReader::parse(text, file);
  if (!reader) return reader.error();
  AgentConfig config;
  read_allow_targets(*reader, config);
  reader->text("leg_min", [&](std::string_view name) -> Status {
    const auto leg = core::parse_leg(name);
    if (!leg) return leg.error();
    config.leg_min = *leg;
    return {};
  });
  reader->millis("heartbeat_ms", 100, 60'000, config.heartbeat);
  reader->millis("reconnect_min_ms", 10, 600'000, config.reconnect_min);
  reader->millis("reconnect_max_ms", 10, 600'000, config.reconnect_max);
  check_reconnect(*reader, config);
  read_path_keys(*reader, config.paths);
  if (auto status = reader->finish(); !status) return status.error();
  return config;
}

Result<AgentConfig> load_agent_config(const ConfigFile& file) {
  const auto text = read_config_file(file);
  if (!text) return text.error();
  return parse_agent_config(*text, file.path);
}

}  // namespace nfr::config
