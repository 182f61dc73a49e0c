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

template <class T>
TomlReader::Take into(Result<T> (*parse)(std::string_view), T& out) {
  return [parse, &out](std::string_view text) -> Status {
    auto value = parse(text);
    if (!value) return value.error();
    out = std::move(*value);
    return {};
  };
}

void read_proxy(TomlReader& reader, AgentConfig& config) {
  reader.secret_text("proxy", [&](std::string_view text) -> Status {
    config.proxy_none = text == "none";
    if (config.proxy_none) return {};
    auto proxy = parse_proxy(text);
    if (!proxy) return proxy.error();
    config.proxy = std::move(*proxy);
    return {};
  });
}

/// What of two tables cannot be had together; empty: both can.
std::string clash(const MappingTable& a, const MappingTable& b) {
  if (!a.ports.automatic() && !b.ports.automatic() && a.ports.overlaps(b.ports)) {
    return fmt::format("{} and {} of two tables overlap", a.ports.text(), b.ports.text());
  }
  const bool same = a.ports.automatic() && b.ports.automatic() && a.target == b.target;
  return same ? fmt::format("two tables publish {} on an automatic port", a.target.text()) : "";
}

void check_mapping(TomlReader& reader, const MappingTable& mapping, const AgentConfig& config) {
  const std::uint16_t count = mapping.ports.automatic() ? 1 : mapping.ports.count;
  if (count != mapping.target.port_count) {
    reader.problem("target",
                   fmt::format("{} has {} port(s) and {} has {}; expected the same number", mapping.ports.text(), count,
                               mapping.target.text(), mapping.target.port_count));
  }
  for (const MappingTable& before : config.mappings) {
    if (const std::string what = clash(before, mapping); !what.empty()) reader.problem("public", what);
  }
  if (config.mappings.size() == kMappingsMax) {
    reader.problem("public", fmt::format("more than {} tables; an agent may ask for so many", kMappingsMax));
  }
}

void read_mapping(TomlReader& reader, AgentConfig& config) {
  MappingTable mapping;
  bool ports = false;
  bool target = false;
  core::Leg leg{};
  bool has_leg = false;
  const auto noting = [](TomlReader::Take take, bool& read) {
    return [take = std::move(take), &read](std::string_view text) -> Status {
      auto status = take(text);
      read = status.ok();
      return status;
    };
  };
  using Items = TomlReader::Items;
  reader.require("public", "expected \"8888\" or \"auto\"");
  reader.require("target", "expected \"3306\", for example");
  reader.text("public", noting(into(&core::PublicPorts::parse, mapping.ports), ports), Items::kStringsOrIntegers);
  reader.text("target", noting(into(&core::Target::parse, mapping.target), target), Items::kStringsOrIntegers);
  reader.text("leg", noting(into(&core::parse_leg, leg), has_leg));
  reader.text("proxy", into(&core::parse_proxy_header, mapping.proxy));
  if (has_leg) mapping.leg = leg;
  if (!ports || !target) return;
  check_mapping(reader, mapping, config);
  if (config.mappings.size() < kMappingsMax) config.mappings.push_back(std::move(mapping));
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
  reader->millis("reconnect_min_ms", 10, 600'000, config.reconnect_min);
  reader->millis("reconnect_max_ms", 10, 600'000, config.reconnect_max);
  check_reconnect(*reader, config);
  read_proxy(*reader, config);
  reader->tables("mapping", [&](TomlReader& table) { read_mapping(table, config); });
  read_io(*reader, config.io);
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
