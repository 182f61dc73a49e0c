// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/mapping_json.hpp"

#include <fmt/format.h>

namespace nfr::nfctl {
namespace {

std::string text_of(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

Status read_networks(const json& mapping, const char* key, std::vector<net::Network>& out) {
  for (const json& item : list(mapping, key)) {
    const auto network = net::Network::parse(item.is_string() ? item.get<std::string>() : item.dump());
    if (!network) return network.error();
    out.push_back(*network);
  }
  return {};
}

Status read_words(const json& mapping, core::Mapping& out) {
  if (const std::string leg = text_of(mapping, "leg"); !leg.empty()) {
    const auto parsed = core::parse_leg(leg);
    if (!parsed) return parsed.error();
    out.leg = *parsed;
  }
  if (const std::string proxy = text_of(mapping, "proxy"); !proxy.empty()) {
    const auto parsed = core::parse_proxy_header(proxy);
    if (!parsed) return parsed.error();
    out.proxy = *parsed;
  }
  return {};
}

std::uint32_t number(const json& mapping, const char* key) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count(mapping, key), UINT32_MAX));
}

}  // namespace

std::vector<std::pair<const char*, const char*>> mapping_settings() {
  return {{"leg", "leg"},   {"idle_timeout_ms", "idle"}, {"proxy", "proxy"}, {"allow", "allow"},
          {"deny", "deny"}, {"max_flows", "max_flows"},  {"rate", "rate"},   {"max_per_source", "max_per_source"}};
}

Result<config::DeclaredMapping> from_json(const json& mapping) {
  config::DeclaredMapping declared;
  core::Mapping& out = declared.mapping;
  const auto agent = core::parse_agent_name(text_of(mapping, "agent"));
  if (!agent) return agent.error();
  const auto ports = core::PublicPorts::parse(text_of(mapping, "public"));
  if (!ports) return ports.error();
  auto target = core::Target::parse(text_of(mapping, "target"));
  if (!target) return target.error();
  declared.agent = *agent;
  out.public_ports = *ports;
  out.target = std::move(*target);
  out.idle_timeout =
      Millis{static_cast<Millis::rep>(std::min<std::uint64_t>(count(mapping, "idle_timeout_ms"), 1'000'000'000'000))};
  Status status = read_words(mapping, out);
  if (status) status = read_networks(mapping, "allow", out.admission.allow);
  if (status) status = read_networks(mapping, "deny", out.admission.deny);
  if (!status) return status.error();
  out.admission.flows_max = number(mapping, "max_flows");
  out.admission.flows_per_source_max = number(mapping, "max_per_source");
  out.admission.rate_per_source = number(mapping, "rate");
  return declared;
}

}  // namespace nfr::nfctl
