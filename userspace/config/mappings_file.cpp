// SPDX-License-Identifier: GPL-2.0-only
#include "config/mappings_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/duration.hpp"
#include "config/toml_reader.hpp"

namespace nfr::config {
namespace {

constexpr Millis kIdleMin{1000};
constexpr Millis kIdleMax{std::int64_t{30} * 24 * 3600 * 1000};
constexpr std::int64_t kRateMax = 1'000'000;

/// Stores what `parse` makes of a text.
template <class Parse, class Out>
TomlReader::Take into(Parse parse, Out& out) {
  return [parse, &out](std::string_view text) -> Status {
    auto value = parse(text);
    if (!value) return value.error();
    out = std::move(*value);
    return {};
  };
}

Result<Millis> parse_idle(std::string_view text) {
  const auto idle = parse_duration(text);
  if (!idle) return idle.error();
  if (idle->count() == 0 || (*idle >= kIdleMin && *idle <= kIdleMax)) return *idle;
  return Error(Code::kInvalid, "expected never, or 1s to 30d");
}

void read_networks(TomlReader& reader, const char* key, std::vector<net::Network>& out) {
  reader.list(key, TomlReader::Items::kStrings, [&](std::string_view text) -> Status {
    const auto network = net::Network::parse(text);
    if (!network) return network.error();
    if (std::find(out.begin(), out.end(), *network) != out.end()) return Error(Code::kInvalid, "listed twice");
    out.push_back(*network);
    return {};
  });
}

/// A key whose value is one string, or a port as a number.
void read_place(TomlReader& reader, const char* key, std::string_view what, const TomlReader::Take& take) {
  if (!reader.require(key, what)) return;
  const auto count = reader.list(key, TomlReader::Items::kStringsOrIntegers, take);
  if (count != std::size_t{1}) reader.problem(key, "expected one value");
}

DeclaredMapping read_mapping(TomlReader& reader) {
  DeclaredMapping declared;
  core::Mapping& mapping = declared.mapping;
  read_place(reader, "public", "a port, a range, ADDRESS:PORT or auto",
             into([](std::string_view text) { return core::PublicPorts::parse(text); }, mapping.public_ports));
  if (reader.require("agent", "the agent's name")) reader.text("agent", into(core::parse_agent_name, declared.agent));
  read_place(reader, "target", "what the agent dials, such as 3306 or 192.168.1.5:3306",
             into([](std::string_view text) { return core::Target::parse(text); }, mapping.target));
  reader.text("leg", into(core::parse_leg, mapping.leg));
  reader.text("idle", into(parse_idle, mapping.idle_timeout));
  reader.text("proxy", into(core::parse_proxy_header, mapping.proxy));
  read_networks(reader, "allow", mapping.admission.allow);
  read_networks(reader, "deny", mapping.admission.deny);
  reader.integer("max_flows", 0, UINT32_MAX, mapping.admission.flows_max);
  reader.integer("max_per_source", 0, UINT32_MAX, mapping.admission.flows_per_source_max);
  reader.integer("rate", 0, kRateMax, mapping.admission.rate_per_source);
  return declared;
}

/// A basic string. Names, networks and targets hold no control characters (their parsers refuse them).
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string written_networks(std::string_view key, const std::vector<net::Network>& networks) {
  if (networks.empty()) return "";
  std::vector<std::string> items;
  for (const net::Network& network : networks) items.push_back(quoted(network.text()));
  return fmt::format("{} = [{}]\n", key, fmt::join(items, ", "));
}

std::string written_number(std::string_view key, std::uint32_t value) {
  return value == 0 ? "" : fmt::format("{} = {}\n", key, value);
}

std::string written(const DeclaredMapping& declared) {
  const core::Mapping& mapping = declared.mapping;
  const core::Admission& admission = mapping.admission;
  std::string out =
      fmt::format("[[mapping]]\npublic = {}\nagent = {}\ntarget = {}\n", quoted(mapping.public_ports.text()),
                  quoted(declared.agent), quoted(mapping.target.text()));
  if (mapping.leg) out += fmt::format("leg = {}\n", quoted(core::leg_name(*mapping.leg)));
  if (mapping.idle_timeout.count() > 0) out += fmt::format("idle = {}\n", quoted(typed_duration(mapping.idle_timeout)));
  if (mapping.proxy != core::ProxyHeader::kNone)
    out += fmt::format("proxy = {}\n", quoted(core::proxy_header_name(mapping.proxy)));
  out += written_networks("allow", admission.allow) + written_networks("deny", admission.deny);
  out += written_number("max_flows", admission.flows_max);
  out += written_number("max_per_source", admission.flows_per_source_max);
  return out + written_number("rate", admission.rate_per_source);
}

}  // namespace

Result<std::vector<DeclaredMapping>> parse_mappings(std::string_view text, const std::string& file) {
  auto reader = TomlReader::parse(text, file);
  if (!reader) return reader.error();
  std::vector<DeclaredMapping> mappings;
  reader->tables("mapping", [&](TomlReader& table) { mappings.push_back(read_mapping(table)); });
  if (auto status = reader->finish(); !status) return status.error();
  return mappings;
}

std::string write_mappings(const std::vector<DeclaredMapping>& mappings) {
  std::string out;
  for (const DeclaredMapping& declared : mappings) out += (out.empty() ? "" : "\n") + written(declared);
  return out;
}

}  // namespace nfr::config
