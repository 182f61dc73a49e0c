// SPDX-License-Identifier: GPL-2.0-only
// Rules of the agent's allow list, one a line of the input. Whatever they say, the text for people is printable and
// addresses that answer with credentials stay closed unless a rule lies inside their range.
#include <algorithm>
#include <vector>

#include "core/allow_list.hpp"
#include "fuzz/target.hpp"

namespace {

using namespace nfr;

/// Whether some reading of the rule's place is a network inside 169.254.0.0/16.
bool names_link_local(std::string_view rule) {
  const auto guard = net::Network::parse("169.254.0.0/16");
  std::string_view bracketed = rule.substr(0, rule.find(']'));
  if (bracketed.starts_with('[')) bracketed.remove_prefix(1);
  const std::size_t slash = rule.find('/');
  for (const auto place : {rule, rule.substr(0, rule.rfind(':')), rule.substr(0, rule.find(':', slash)), bracketed}) {
    const auto network = net::Network::parse(place);
    if (network && guard->contains(*network)) return true;
  }
  return false;
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  std::vector<std::string> rules;
  for (std::size_t begin = 0; begin <= input.size() && rules.size() < 64;) {
    const std::size_t end = std::min(input.find('\n', begin), input.size());
    rules.emplace_back(input.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto list = core::AllowList::parse(rules);
  if (!list) return NFR_HOLDS(printable(list.error().message()));
  NFR_HOLDS(printable(list->text()));
  const std::vector<net::IpAddress> own = {net::IpAddress::v4(0xC0A80105)};
  const auto metadata = list->check(*net::Endpoint::parse("169.254.169.254:80"), own);
  NFR_HOLDS(!metadata || std::any_of(rules.begin(), rules.end(), names_link_local));
  const auto elsewhere = list->check(*net::Endpoint::parse("203.0.113.9:65535"), own);
  if (!elsewhere) NFR_HOLDS(elsewhere.error().code() == Code::kDenied && printable(elsewhere.error().message()));
}
