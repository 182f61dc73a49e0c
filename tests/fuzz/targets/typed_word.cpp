// SPDX-License-Identifier: GPL-2.0-only
// Single values from command lines, config files and /proc: durations, ranges and lists of ports, legs, PROXY versions,
// hosts, users, directories. What was accepted is the same after writing and reading.
#include <vector>

#include "base/duration.hpp"
#include "config/value_rules.hpp"
#include "core/nouns.hpp"
#include "fuzz/target.hpp"
#include "holder/reserved_ports.hpp"

namespace {

using namespace nfr;

template <class T>
void refused_in_words(const Result<T>& result) {
  if (!result) NFR_HOLDS(fuzz::printable(result.error().message()));
}

void duration(std::string_view input) {
  const auto parsed = parse_duration(input);
  refused_in_words(parsed);
  if (!parsed) return;
  NFR_HOLDS(parsed->count() >= 0);
  const auto again = parse_duration(typed_duration(*parsed));
  NFR_HOLDS(again && *again == *parsed);
}

void ports(std::string_view input) {
  const auto range = core::PortRange::parse(input);
  refused_in_words(range);
  if (range) {
    NFR_HOLDS(range->count >= 1 && range->first.value + range->count - 1 <= 65535);
    const auto again = core::PortRange::parse(range->text());
    NFR_HOLDS(again && *again == *range);
  }
  const auto list = holder::parse_port_list(input);
  refused_in_words(list);
  if (!list) return;
  const auto again = holder::parse_port_list(holder::port_list_text(*list));
  NFR_HOLDS(again && *again == *list);
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  duration(input);
  ports(input);
  const auto leg = core::parse_leg(input);
  refused_in_words(leg);
  if (leg) NFR_HOLDS(core::leg_name(*leg) == input);
  const auto header = core::parse_proxy_header(input);
  refused_in_words(header);
  if (header) NFR_HOLDS(core::proxy_header_name(*header) == input);
  refused_in_words(config::parse_listen(input));
  for (const auto& text : {config::parse_public_host(input), config::parse_user(input)}) {
    refused_in_words(text);
    if (text) NFR_HOLDS(printable(*text));
  }
  const auto directory = config::parse_directory(input);
  refused_in_words(directory);
  if (directory) NFR_HOLDS(*directory == input && input.starts_with('/'));  // a path may have any bytes
}
