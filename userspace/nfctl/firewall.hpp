// SPDX-License-Identifier: GPL-2.0-only
// Whether this machine's own firewall lets visitors reach a public port: ufw, firewalld, nftables, iptables. What the
// tools print comes in, a verdict with the command to type goes out; pure. firewall_look.cpp asks the tools.
#pragma once

#include <optional>
#include <string>

#include "core/public_ports.hpp"

namespace nfr::nfctl {

/// What each tool printed; nothing: it is not there, or could not be asked.
struct FirewallOutputs {
  std::optional<std::string> ufw_conf;   ///< /etc/ufw/ufw.conf
  std::optional<std::string> ufw;        ///< ufw status verbose
  std::optional<std::string> firewalld;  ///< firewall-cmd --list-all, while it runs
  std::optional<std::string> nft;        ///< nft -j list ruleset
  std::optional<std::string> iptables;   ///< iptables-save
  std::optional<std::string> ip6tables;  ///< ip6tables-save
};

struct FirewallVerdict {
  enum class State { kOpen, kBlocked, kUnknown };
  State state = State::kOpen;
  std::string text;  ///< a sentence with what to type; empty for kOpen
};

bool ufw_enabled(const std::string& ufw_conf);

/// Ports on a loopback address are always open.
FirewallVerdict judge_firewall(const FirewallOutputs& outputs, const core::PublicPorts& ports);

}  // namespace nfr::nfctl
