// SPDX-License-Identifier: GPL-2.0-only
#include "core/allow_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/text.hpp"
#include "core/target.hpp"

namespace nfr::core {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

std::vector<net::Network> networks_of(std::initializer_list<const char*> texts) {
  std::vector<net::Network> networks;
  for (const char* text : texts) {
    const auto network = net::Network::parse(text);
    NFR_ASSERT(network.ok());
    networks.push_back(*network);
  }
  return networks;
}

const std::vector<net::Network>& lan_networks() {
  static const auto kNetworks = networks_of({"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"});
  return kNetworks;
}

/// Addresses that mean something other than "a machine over there", or that answer with credentials to whoever asks.
const std::vector<net::Network>& guarded_networks() {
  static const auto kNetworks = networks_of({
      "0.0.0.0/8", "::/128",            // wildcard: the kernel connects it to this machine
      "169.254.0.0/16", "fe80::/10",    // link-local; 169.254.169.254 is the metadata service of most clouds
      "224.0.0.0/4", "ff00::/8",        // multicast
      "255.255.255.255/32",             // broadcast
      "fd00:ec2::/32", "fd20:ce::/32",  // metadata over IPv6: AWS, Google (inside "lan")
      "100.100.100.200/32",             // metadata: Alibaba
      "168.63.129.16/32",               // the host of an Azure guest
  });
  return kNetworks;
}

const net::Network* guard_of(const net::IpAddress& address) {
  for (const auto& network : guarded_networks()) {
    if (network.contains(address)) return &network;
  }
  return nullptr;
}

/// "PLACE:PORTS" in two; the second is empty when there is none.
std::pair<std::string_view, std::string_view> split_rule(std::string_view text) {
  std::size_t colon = std::string_view::npos;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return {text, {}};
    const std::string_view place = text.substr(1, bracket - 1);
    const std::string_view rest = text.substr(bracket + 1);
    if (rest.empty()) return {place, {}};
    if (rest[0] == ':' && rest.size() > 1) return {place, rest.substr(1)};
    return {text, {}};
  }
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    colon = text.find(':', slash);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    colon = text.find(':');
  }
  if (colon == std::string_view::npos || colon + 1 == text.size()) return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

AllowList::AllowList() {
  Rule rule;
  rule.text = "self";
  rule.self = true;
  rules_.push_back(std::move(rule));
}

Status AllowList::parse_ports(std::string_view text, Rule& rule) {
  const auto range = PortRange::parse(text);
  if (!range) return range.error();
  rule.low = range->first;
  rule.high.value = static_cast<std::uint16_t>(range->first.value + range->count - 1);
  return {};
}

Result<AllowList::Rule> AllowList::parse_rule(std::string_view text) {
  const auto invalid = [text](const std::string& reason) {
    return Error(Code::kInvalid, fmt::format("allow rule '{}': {}; expected NETWORK, NETWORK:PORT or NETWORK:LOW-HIGH, "
                                             "such as 192.168.1.0/24:80, or self or lan in place of the network",
                                             escape(text), reason));
  };
  Rule rule;
  rule.text = std::string(text);
  if (text.starts_with(kUnixPrefix)) {
    std::string_view path = text;
    if (path.ends_with('/') && path.size() > kUnixPrefix.size() + 1) path.remove_suffix(1);
    if (auto target = Target::parse(path); !target) return invalid(target.error().message());
    rule.unix_path = text.substr(kUnixPrefix.size());
    return rule;
  }
  const auto [place, ports] = split_rule(text);
  if (!ports.empty()) {
    if (auto status = parse_ports(ports, rule); !status) return invalid(status.error().message());
  }
  if (place == "self") {
    rule.self = true;
  } else if (place == "lan") {
    rule.networks = lan_networks();
  } else {
    const auto network = net::Network::parse(place);
    if (!network) return invalid(network.error().message());
    rule.networks = {*network};
  }
  return rule;
}

Result<AllowList> AllowList::parse(std::span<const std::string> rules) {
  AllowList list;
  list.rules_.clear();
  for (const auto& text : rules) {
    auto rule = parse_rule(text);
    if (!rule) return rule.error();
    list.rules_.push_back(std::move(*rule));
  }
  return list;
}

bool AllowList::matches(const Rule& rule, const net::Endpoint& target, std::span<const net::IpAddress> own) {
  if (!rule.unix_path.empty() || target.port < rule.low || target.port > rule.high) return false;
  const net::Network* guard = guard_of(target.address);
  if (rule.self && guard == nullptr) {
    if (target.address.is_loopback()) return true;
    if (std::find(own.begin(), own.end(), target.address) != own.end()) return true;
  }
  return std::any_of(rule.networks.begin(), rule.networks.end(), [&](const net::Network& network) {
    return network.contains(target.address) && (guard == nullptr || guard->contains(network));
  });
}

Status AllowList::check(const net::Endpoint& target, std::span<const net::IpAddress> own) const {
  for (const auto& rule : rules_) {
    if (matches(rule, target, own)) return {};
  }
  const net::Network* guard = guard_of(target.address);
  const std::string why =
      guard == nullptr ? "" : fmt::format(" ({} is opened only by a rule inside it)", guard->text());
  return Error(Code::kDenied,
               fmt::format("target {} is outside this agent's allow list: {}{}. To allow it, on the agent: "
                           "nfagent allow {}",
                           target.text(), text(), why, target.text()));
}

Status AllowList::check_unix(const std::string& path) const {
  const bool allowed = std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    if (rule.unix_path.empty()) return false;
    return rule.unix_path == path || (rule.unix_path.ends_with('/') && path.starts_with(rule.unix_path));
  });
  if (allowed) return {};
  return Error(Code::kDenied, fmt::format("target unix:{} is outside this agent's allow list: {}. To allow it, on the "
                                          "agent: nfagent allow unix:{}",
                                          escape(path), text(), escape(path)));
}

std::string AllowList::text() const {
  std::vector<std::string_view> texts;
  for (const auto& rule : rules_) texts.push_back(rule.text);
  return texts.empty() ? "nothing" : fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace nfr::core
