// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nfr::nfctl {

std::string rules_text(const json& mapping) {
  std::vector<std::string> parts;
  for (const char* key : {"allow", "deny"}) {
    if (const std::size_t networks = list(mapping, key).size(); networks > 0)
      parts.push_back(fmt::format("{} {}", key, networks));
  }
  if (const auto most = count(mapping, "max_flows"); most > 0) parts.push_back(counted(most, "flow"));
  if (const auto most = count(mapping, "max_per_source"); most > 0) parts.push_back(fmt::format("{} a source", most));
  if (const auto rate = count(mapping, "rate"); rate > 0) parts.push_back(fmt::format("{}/s", rate));
  if (const std::string proxy = cell(mapping, "proxy"); proxy != "-" && proxy != "none") {
    parts.push_back("proxy " + proxy);
  }
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

Status read_limits(const Arguments& arguments, json& args) {
  const std::map<std::string, std::pair<const char*, std::uint64_t>> limits = {
      {"max-flows", {"max_flows", UINT32_MAX}},
      {"max-per-source", {"max_per_source", UINT32_MAX}},
      {"rate", {"rate", 1'000'000}}};
  for (const auto& [option, limit] : limits) {
    if (!arguments.has(option)) continue;
    const auto number = number_option(arguments, option, limit.second);
    if (!number) return number.error();
    args[limit.first] = *number;
  }
  return {};
}

}  // namespace nfr::nfctl
