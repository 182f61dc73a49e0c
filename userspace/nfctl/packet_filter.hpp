// SPDX-License-Identifier: GPL-2.0-only
// What a packet filter does with a new TCP connection from a stranger to some ports of this machine, as far as its
// rules tell. nft.cpp and iptables.cpp make chains out of what the tools print; the ruling is the same for both. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/target.hpp"

namespace nfr::nfctl {

/// Of one condition, or of a whole rule.
enum class Match { kNo, kMaybe, kYes };
Match both(Match a, Match b);
Match inverted(Match match);
/// How far `rule` covers `asked`: all of it, some, nothing.
Match cover(const core::PortRange& rule, const core::PortRange& asked);
/// The most that one of several covers.
Match either(Match a, Match b);

struct FilterRule {
  enum class Verdict { kNone, kAccept, kDrop, kReturn, kJump, kGoto, kEither };
  Match match = Match::kYes;
  bool by_source = false;  ///< it names sources: a stranger is not one that it drops
  Verdict verdict = Verdict::kNone;
  std::string chain;  ///< of kJump and kGoto
};

struct FilterChain {
  bool input = false;   ///< sees packets for this machine
  bool drops = false;   ///< its policy
  std::string address;  ///< "inet filter input", for the command that opens a port
  std::vector<FilterRule> rules;
};

/// By name; names of different tables differ.
using FilterChains = std::map<std::string, FilterChain>;

enum class Ruling { kAccepts, kDrops, kUnknown };
Ruling rule_on(const FilterChains& chains, const FilterChain& base);

/// The question: new TCP connections to these ports, over this family.
struct Knock {
  core::PortRange ports;
  bool v6 = false;
};

/// Of `nft -j list ruleset`. kInvalid when it is not that.
Result<FilterChains> nft_chains(std::string_view output, const Knock& knock);
/// Of `iptables-save` or `ip6tables-save`: the chains of the table filter.
FilterChains iptables_chains(std::string_view output, const Knock& knock);

}  // namespace nfr::nfctl
