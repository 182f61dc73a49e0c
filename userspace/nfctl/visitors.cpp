// SPDX-License-Identifier: GPL-2.0-only
// nfctl allow | deny | limit: which visitors a mapping takes. Pure; called by app.cpp.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.hpp"
#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"
#include "nfctl/rules.hpp"

namespace nfr::nfctl {
namespace {

Result<Call> build_list_change(const Arguments& arguments, const std::string& list_name) {
  if (arguments.operands.empty()) return Error(Code::kInvalid, "a public endpoint is missing, such as 8888");
  std::vector<std::string> networks;
  for (auto operand = arguments.operands.begin() + 1; operand != arguments.operands.end(); ++operand) {
    for (std::string& network : split_list(*operand)) networks.push_back(std::move(network));
  }
  if (networks.empty() && !arguments.has("clear")) {
    return Error(Code::kInvalid, "a network is missing, such as 10.0.0.0/8; or --clear to empty the list");
  }
  json args = {{"public", arguments.operands[0]}};
  if (!networks.empty()) args[list_name + "_add"] = networks;
  if (arguments.has("clear")) args[list_name + "_clear"] = true;
  return Call{"admit", std::move(args)};
}

Result<Call> build_allow(const Arguments& arguments) { return build_list_change(arguments, "allow"); }
Result<Call> build_deny(const Arguments& arguments) { return build_list_change(arguments, "deny"); }

Result<Call> build_limit(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 1); !status) return status.error();
  json args = {{"public", arguments.operands[0]}};
  if (const Status limits = read_limits(arguments, args); !limits) return limits.error();
  if (args.size() == 1) {
    return Error(Code::kInvalid, "no limit is given: --max-flows, --max-per-source or --rate expected");
  }
  return Call{"admit", std::move(args)};
}

std::string networks_text(const json& networks) {
  std::string out;
  for (const json& network : networks) {
    if (network.is_string()) out += (out.empty() ? "" : ", ") + escape(network.get<std::string>(), 60);
  }
  return out;
}

/// "8888/tcp takes visitors from everywhere except 192.0.2.0/24; at most 5 flows, 3 new flows/s a source"
std::string rules_line(const json& result) {
  const std::string allow = networks_text(list(result, "allow"));
  const std::string deny = networks_text(list(result, "deny"));
  std::string line =
      fmt::format("{} takes visitors from {}", cell(result, "public"), allow.empty() ? "everywhere" : allow);
  if (!deny.empty()) line += " except " + deny;
  std::vector<std::string> limits;
  if (const auto most = count(result, "max_flows"); most > 0) limits.push_back(counted(most, "flow"));
  if (const auto most = count(result, "max_per_source"); most > 0)
    limits.push_back(counted(most, "flow") + " a source");
  if (const auto rate = count(result, "rate"); rate > 0)
    limits.push_back(fmt::format("{}/s a source", counted(rate, "new flow")));
  return limits.empty() ? line + "\n" : fmt::format("{}; at most {}\n", line, fmt::join(limits, ", "));
}

std::string flows_text(const json& result) {
  const std::uint64_t cut = count(result, "flows_cut");
  const std::uint64_t running = count(result, "flows_running");
  const char* go = running == 1 ? "goes" : "go";
  if (cut > 0 && running > 0) return fmt::format("{} cut, {} {} on", counted(cut, "running flow"), running, go);
  if (cut > 0) return counted(cut, "running flow") + " cut";
  return running > 0 ? fmt::format("{} {} on", counted(running, "running flow"), go) : "no flow was running";
}

Text render_admission(const json& result, const View&) {
  Text text;
  text.out = rules_line(result) + flows_text(result) + "\n";
  if (flag(result, "leg_changed")) {
    text.out += fmt::format("new flows now use leg {}{}\n", cell(result, "leg"),
                            cell(result, "leg") == "tls" ? " and tier user" : "");
  }
  return text;
}

constexpr const char* kSources =
    "An address counts for itself, of IPv6 its /64. Running flows that the lists no longer admit end by a reset; the\n"
    "others go on as they are. Limits are for new flows.\n";

}  // namespace

std::vector<Command> visitors_commands() {
  const std::vector<Option> limits = {{"max-flows", "N", "most flows at once; 0: no limit"},
                                      {"max-per-source", "N", "most flows at once from one address; 0: no limit"},
                                      {"rate", "N", "most new flows a second from one address; 0: no limit"}};
  return {
      {"allow",
       "PUBLIC [NETWORK...]",
       "let only these visitors come to a mapping",
       kSources,
       {{"clear", "", "empty the list first; empty: everybody may come"}},
       build_allow,
       render_admission},
      {"deny",
       "PUBLIC [NETWORK...]",
       "keep visitors away from a mapping; wins over allow",
       kSources,
       {{"clear", "", "empty the list first"}},
       build_deny,
       render_admission},
      {"limit", "PUBLIC", "set how many visitors a mapping takes", kSources, limits, build_limit, render_admission},
  };
}

}  // namespace nfr::nfctl
