// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "nfr/wire/wire.h"

namespace nfr::relayd {
namespace {

constexpr std::int64_t kIdleMaxMs = std::int64_t{30} * 24 * 3600 * 1000;

Result<Millis> idle_argument(const nlohmann::json& args) {
  const auto found = args.find("idle_timeout_ms");
  if (found == args.end()) return Millis{0};
  if (found->is_number_integer()) {
    const std::int64_t ms = found->get<std::int64_t>();
    if (ms == 0 || (ms >= 1000 && ms <= kIdleMaxMs)) return Millis{ms};
  }
  return Error(Code::kInvalid,
               fmt::format("idle timeout {} ms: expected 0 (never) or 1 s to 30 d", escape(found->dump(), 32)));
}

constexpr std::int64_t kForMinMs = 1000;
constexpr std::int64_t kForMaxMs = std::int64_t{3650} * 24 * 3600 * 1000;
constexpr std::size_t kNetworksMax = 1000;

/// Leaves `out` as it is where the argument is missing.
Status number_argument(const nlohmann::json& args, const char* name, std::uint64_t max, std::uint32_t& out) {
  const auto found = args.find(name);
  if (found == args.end()) return {};
  const bool whole = found->is_number_unsigned() || (found->is_number_integer() && found->get<std::int64_t>() >= 0);
  if (whole && found->get<std::uint64_t>() <= max) {
    out = found->get<std::uint32_t>();
    return {};
  }
  return Error(Code::kInvalid,
               fmt::format("{} {}: expected a whole number from 0 to {}", name, escape(found->dump(), 32), max));
}

Status add_networks(const nlohmann::json& args, const char* name, std::vector<net::Network>& out) {
  const auto found = args.find(name);
  if (found == args.end()) return {};
  if (!found->is_array()) return Error(Code::kInvalid, fmt::format("{}: expected a list of networks", name));
  for (const nlohmann::json& item : *found) {
    auto network = net::Network::parse(item.is_string() ? item.get<std::string>() : item.dump());
    if (!network) return network.error();
    if (std::find(out.begin(), out.end(), *network) == out.end()) out.push_back(*network);
  }
  if (out.size() <= kNetworksMax) return {};
  return Error(Code::kInvalid, fmt::format("{} networks: at most {} fit a list; use larger ones, or nftables",
                                           out.size(), kNetworksMax));
}

Status read_limits(const nlohmann::json& args, core::Admission& out) {
  Status status = number_argument(args, "max_flows", UINT32_MAX, out.flows_max);
  if (status) status = number_argument(args, "max_per_source", UINT32_MAX, out.flows_per_source_max);
  if (status) status = number_argument(args, "rate", 1'000'000, out.rate_per_source);
  return status;
}

Status read_visitors(const nlohmann::json& args, core::Mapping& mapping) {
  if (args.contains("proxy")) {
    const auto proxy = core::parse_proxy_header(text_argument(args, "proxy"));
    if (!proxy) return proxy.error();
    mapping.proxy = *proxy;
  }
  Status status = add_networks(args, "allow", mapping.admission.allow);
  if (status) status = add_networks(args, "deny", mapping.admission.deny);
  if (status) status = read_limits(args, mapping.admission);
  return status;
}

Status read_for(const nlohmann::json& args, WallTime now, core::Mapping& mapping) {
  const auto found = args.find("for_ms");
  if (found == args.end()) return {};
  const std::int64_t ms = found->is_number_integer() ? found->get<std::int64_t>() : 0;
  if (ms < kForMinMs || ms > kForMaxMs) {
    return Error(Code::kInvalid, fmt::format("--for {} ms: expected 1 s to 10 years", escape(found->dump(), 32)));
  }
  mapping.expires = now + Millis{ms};
  return {};
}

Status read_ports(const std::string& text, core::Rights& rights) {
  rights.ports.clear();
  rights.automatic = false;
  if (text == "none") return {};
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view item = rest.substr(0, comma);
    const auto range = core::PortRange::parse(item);
    if (item == "auto") {
      rights.automatic = true;
    } else if (range) {
      rights.ports.push_back(*range);
    } else {
      return Error(Code::kInvalid, fmt::format("ports '{}': {}; expected ports, ranges and auto, such as "
                                               "8000-8999,auto; or none",
                                               escape(text, 80), range.error().message()));
    }
    if (comma == rest.size()) return {};
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace

std::string text_argument(const nlohmann::json& args, const char* name) {
  const auto found = args.find(name);
  return found != args.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_argument(const nlohmann::json& args, const char* name) {
  const auto found = args.find(name);
  return found != args.end() && found->is_boolean() && found->get<bool>();
}

Result<control::MappingBook::Request> map_request(const nlohmann::json& args, WallTime now) {
  control::MappingBook::Request request;
  core::Mapping& mapping = request.mapping;
  request.agent = text_argument(args, "agent");
  const auto ports = core::PublicPorts::parse(text_argument(args, "public"));
  if (!ports) return ports.error();
  mapping.public_ports = *ports;
  auto target = core::Target::parse(text_argument(args, "target"));
  if (!target) return target.error();
  mapping.target = std::move(*target);
  const auto idle = idle_argument(args);
  if (!idle) return idle.error();
  mapping.idle_timeout = *idle;
  if (args.contains("leg")) {
    const auto leg = core::parse_leg(text_argument(args, "leg"));
    if (!leg) return leg.error();
    mapping.leg = *leg;
  }
  if (auto status = read_for(args, now, mapping); !status) return status.error();
  if (auto status = read_visitors(args, mapping); !status) return status.error();
  return request;
}

Result<std::vector<control::MappingBook::Request>> apply_requests(const nlohmann::json& args) {
  std::vector<control::MappingBook::Request> requests;
  const auto found = args.find("mappings");
  if (found == args.end() || !found->is_array()) return Error(Code::kInvalid, "apply without a list of mappings");
  for (const nlohmann::json& entry : *found) {
    const std::string place = fmt::format("mapping {}", requests.size() + 1);
    if (!entry.is_object()) return Error(Code::kInvalid, place + ": not an object");
    if (entry.contains("for_ms")) return Error(Code::kInvalid, place + ": a declared mapping has no end");
    auto request = map_request(entry, {});
    if (!request) return request.error().context(place);
    requests.push_back(std::move(*request));
  }
  return requests;
}

Result<core::Admission> admission_change(const nlohmann::json& args, core::Admission admission) {
  if (flag_argument(args, "allow_clear")) admission.allow.clear();
  if (flag_argument(args, "deny_clear")) admission.deny.clear();
  if (auto status = add_networks(args, "allow_add", admission.allow); !status) return status.error();
  if (auto status = add_networks(args, "deny_add", admission.deny); !status) return status.error();
  if (auto status = read_limits(args, admission); !status) return status.error();
  return admission;
}

Result<core::Rights> rights_change(const nlohmann::json& args, core::Rights rights) {
  if (args.contains("ports")) {
    if (auto status = read_ports(text_argument(args, "ports"), rights); !status) return status.error();
  }
  if (auto status = number_argument(args, "max_mappings", NFR_WISHES_MAX, rights.mappings_max); !status) {
    return status.error();
  }
  if (auto status = number_argument(args, "max_flows", UINT32_MAX, rights.flows_max); !status) return status.error();
  return rights;
}

}  // namespace nfr::relayd
