// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/firewall_look.hpp"

#include "nfctl/field.hpp"
#include "nfctl/firewall.hpp"

namespace nfr::nfctl {
namespace {

constexpr const char* kUfwConf = "/etc/ufw/ufw.conf";

FirewallOutputs ask_tools(const Environment& environment) {
  FirewallOutputs outputs;
  if (environment.exists(kUfwConf)) {
    const auto conf = environment.read(kUfwConf);
    if (conf) outputs.ufw_conf = *conf;
    if (conf && ufw_enabled(*conf)) {
      outputs.ufw = environment.output_of({"ufw", "status", "verbose"});
      return outputs;
    }
  }
  if (environment.output_of({"firewall-cmd", "--state"})) {
    outputs.firewalld = environment.output_of({"firewall-cmd", "--list-all"});
    if (outputs.firewalld) return outputs;
  }
  outputs.nft = environment.output_of({"nft", "-j", "list", "ruleset"});
  outputs.iptables = environment.output_of({"iptables-save"});
  outputs.ip6tables = environment.output_of({"ip6tables-save"});
  return outputs;
}

}  // namespace

std::string firewall_lines(const json& result, bool talks, const Environment& environment) {
  const json& text = member(result, "public");
  const auto ports = core::PublicPorts::parse(text.is_string() ? text.get<std::string>() : "");
  if (!ports || ports->first.address.is_loopback()) return "";
  if (!environment.read || !environment.output_of) return "";  // nothing to look with
  if (!environment.root) {
    return talks || environment.terminal ? "note: this machine's firewall was not looked at (needs root)\n" : "";
  }
  const FirewallVerdict verdict = judge_firewall(ask_tools(environment), *ports);
  switch (verdict.state) {
    case FirewallVerdict::State::kBlocked: return "warning: " + verdict.text + "\n";
    case FirewallVerdict::State::kUnknown: return "note: " + verdict.text + "\n";
    case FirewallVerdict::State::kOpen: break;
  }
  return talks ? "note: no firewall of this machine blocks " + ports->text() + "\n" : "";
}

}  // namespace nfr::nfctl
