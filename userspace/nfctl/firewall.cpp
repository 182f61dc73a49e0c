// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/firewall.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "nfctl/packet_filter.hpp"

namespace nfr::nfctl {
namespace {

using State = FirewallVerdict::State;

FirewallVerdict blocked(std::string_view who, const core::PortRange& ports, const std::string& command) {
  return {State::kBlocked, fmt::format("{} blocks {}/tcp on this relay: sudo {}", who, ports.text(), command)};
}

FirewallVerdict unknown(std::string_view who, const core::PortRange& ports, const std::string& command) {
  return {State::kUnknown,
          fmt::format("cannot tell whether {} lets every visitor reach {}/tcp: sudo {}", who, ports.text(), command)};
}

std::string with_colon(const core::PortRange& ports) {
  std::string text = ports.text();
  std::replace(text.begin(), text.end(), '-', ':');
  return text;
}

/// The first column of a ufw rule: "22/tcp", "5000:5100/tcp", "80,443/tcp (Nginx Full)", "Anywhere", "8888 (v6)".
Match ufw_covers(std::string to, const Knock& knock) {
  const bool v6 = to.ends_with(" (v6)");
  if (v6) to.resize(to.size() - 5);
  if (v6 != knock.v6) return Match::kNo;
  to = to.substr(0, to.find(" ("));
  // "8888 on eth0", "192.0.2.1 8888/tcp": for some visitors.
  const std::size_t interface = to.find(" on ");
  const bool limited = interface != std::string::npos || to.find(' ') != std::string::npos;
  to = to.substr(0, interface);
  to = to.substr(to.find_last_of(' ') + 1);
  if (to == "Anywhere") return limited ? Match::kMaybe : Match::kYes;
  if (to.ends_with("/udp")) return Match::kNo;
  if (to.ends_with("/tcp")) to.resize(to.size() - 4);
  Match match = Match::kNo;
  std::istringstream items(to);
  for (std::string item; std::getline(items, item, ',');) {
    std::replace(item.begin(), item.end(), ':', '-');
    const auto range = core::PortRange::parse(item);
    match = either(match, range ? cover(*range, knock.ports) : Match::kMaybe);
  }
  return limited ? both(match, Match::kMaybe) : match;
}

FirewallVerdict judge_ufw(const std::string& status, const Knock& knock) {
  static const std::regex kRule(R"(^(.+?)\s+(ALLOW|DENY|REJECT|LIMIT)(?: IN)?\s{2,}(.+?)\s*(?:#.*)?$)");
  const std::string ask = "ufw status verbose";
  if (status.find("Status: active") == std::string::npos) return {};
  FilterChain rules;
  rules.drops = status.find("Default: allow (incoming)") == std::string::npos;
  std::istringstream lines(status);
  for (std::string line; std::getline(lines, line);) {
    std::smatch parts;
    if (!std::regex_match(line, parts, kRule)) continue;
    const bool anywhere = parts[3].str().starts_with("Anywhere");
    FilterRule rule;
    rule.by_source = !anywhere;
    rule.match = both(ufw_covers(parts[1], knock), anywhere ? Match::kYes : Match::kMaybe);
    const bool allows = parts[2] == "ALLOW" || parts[2] == "LIMIT";
    rule.verdict = allows ? FilterRule::Verdict::kAccept : FilterRule::Verdict::kDrop;
    rules.rules.push_back(rule);
  }
  switch (rule_on({}, rules)) {
    case Ruling::kAccepts: return {};
    case Ruling::kUnknown: return unknown("ufw", knock.ports, ask);
    case Ruling::kDrops: break;
  }
  return blocked("ufw", knock.ports, fmt::format("ufw allow {}/tcp", with_colon(knock.ports)));
}

/// The words after "  ports:" and the like.
std::vector<std::string> listed(const std::string& zone, const std::string& key) {
  std::vector<std::string> words;
  std::istringstream lines(zone);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  " + key + ":")) continue;
    std::istringstream items(line.substr(key.size() + 3));
    for (std::string word; items >> word;) words.push_back(word);
  }
  return words;
}

FirewallVerdict judge_firewalld(const std::string& zone, const Knock& knock) {
  static const std::map<std::string, std::uint16_t> kServices = {{"ssh", 22}, {"http", 80}, {"https", 443}};
  if (listed(zone, "target") == std::vector<std::string>{"ACCEPT"}) return {};
  Match match = Match::kNo;
  for (const std::string& item : listed(zone, "ports")) {
    if (!item.ends_with("/tcp")) continue;
    const auto range = core::PortRange::parse(std::string_view(item).substr(0, item.size() - 4));
    match = either(match, range ? cover(*range, knock.ports) : Match::kMaybe);
  }
  for (const std::string& service : listed(zone, "services")) {
    const auto known = kServices.find(service);
    if (known != kServices.end()) match = either(match, cover({net::Port{known->second}, 1}, knock.ports));
  }
  if (match == Match::kYes) return {};
  const bool rich = zone.find("rule family") != std::string::npos || zone.find("rule priority") != std::string::npos;
  if (rich || match == Match::kMaybe) return unknown("firewalld", knock.ports, "firewall-cmd --list-all");
  return blocked(
      "firewalld", knock.ports,
      fmt::format("firewall-cmd --add-port={}/tcp && sudo firewall-cmd --runtime-to-permanent", knock.ports.text()));
}

FirewallVerdict judge_chains(const FilterChains& chains, std::string_view tool, const Knock& knock) {
  FirewallVerdict verdict;
  const bool nft = tool == "nftables";
  for (const auto& [name, chain] : chains) {
    if (!chain.input) continue;
    const Ruling ruling = rule_on(chains, chain);
    const std::string iptables = knock.v6 ? "ip6tables" : "iptables";
    if (ruling == Ruling::kDrops) {
      return blocked(
          tool, knock.ports,
          nft ? fmt::format("nft insert rule {} tcp dport {} accept", chain.address, knock.ports.text())
              : fmt::format("{} -I {} -p tcp --dport {} -j ACCEPT", iptables, chain.address, with_colon(knock.ports)));
    }
    if (ruling == Ruling::kUnknown) verdict = unknown(tool, knock.ports, nft ? "nft list ruleset" : iptables + "-save");
  }
  return verdict;
}

FirewallVerdict judge_filters(const FirewallOutputs& outputs, const Knock& knock) {
  const auto& saved = knock.v6 ? outputs.ip6tables : outputs.iptables;
  const FilterChains legacy = saved ? iptables_chains(*saved, knock) : FilterChains();
  const FirewallVerdict by_iptables = judge_chains(legacy, "iptables", knock);
  if (by_iptables.state == State::kBlocked || !outputs.nft) return by_iptables;
  auto chains = nft_chains(*outputs.nft, knock);
  if (!chains) return unknown("nftables", knock.ports, "nft list ruleset");
  // iptables keeps its table there too; its own tool tells more.
  if (!legacy.empty()) chains->erase(knock.v6 ? "ip6 filter INPUT" : "ip filter INPUT");
  const FirewallVerdict by_nft = judge_chains(*chains, "nftables", knock);
  return by_nft.state == State::kOpen ? by_iptables : by_nft;
}

}  // namespace

bool ufw_enabled(const std::string& ufw_conf) {
  std::istringstream lines(ufw_conf);
  for (std::string line; std::getline(lines, line);) {
    if (line == "ENABLED=yes") return true;
  }
  return false;
}

FirewallVerdict judge_firewall(const FirewallOutputs& outputs, const core::PublicPorts& ports) {
  const Knock knock{ports.ports(), !ports.first.address.is_v4()};
  if (ports.first.address.is_loopback()) return {};
  // Both write the rules of the packet filters themselves: they know best.
  if (outputs.ufw_conf && ufw_enabled(*outputs.ufw_conf)) {
    return outputs.ufw ? judge_ufw(*outputs.ufw, knock) : unknown("ufw", knock.ports, "ufw status verbose");
  }
  if (outputs.firewalld) return judge_firewalld(*outputs.firewalld, knock);
  return judge_filters(outputs, knock);
}

}  // namespace nfr::nfctl
