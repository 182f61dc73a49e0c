// SPDX-License-Identifier: GPL-2.0-only
// What firewall tools print, as each tool's: a verdict whose sentence can be printed, whatever it was.
#include "fuzz/target.hpp"
#include "nfctl/firewall.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto ports = core::PublicPorts::parse("5000-5010");
  const std::string text(input);
  nfctl::FirewallOutputs ufw, firewalld, filters;
  ufw.ufw_conf = "ENABLED=yes";
  ufw.ufw = firewalld.firewalld = filters.nft = filters.iptables = text;
  for (const auto* outputs : {&ufw, &firewalld, &filters}) {
    const auto verdict = nfctl::judge_firewall(*outputs, *ports);
    NFR_HOLDS(verdict.text.empty() == (verdict.state == nfctl::FirewallVerdict::State::kOpen));
  }
}
