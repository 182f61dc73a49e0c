// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/packet_filter.hpp"

#include <algorithm>

namespace nfr::nfctl {
namespace {

constexpr int kDepthMax = 16;  // as in the kernel (NFT_JUMP_STACK_SIZE)
// Chains that jump to one another several times multiply: beyond this the answer is unknown.
constexpr int kRulesMax = 1'000'000;

enum class Fate { kGoesOn, kAccepted, kDropped };

struct Walk {
  const FilterChains& chains;
  bool maybe_accepted = false;
  bool maybe_dropped = false;
  int rules_left = kRulesMax;

  Fate over(const FilterChain& chain, bool surely, int depth);
  Fate into(const std::string& name, bool surely, int depth);
  Fate give_up();
};

Fate Walk::give_up() {
  maybe_accepted = maybe_dropped = true;
  return Fate::kGoesOn;
}

Fate Walk::into(const std::string& name, bool surely, int depth) {
  const auto found = chains.find(name);
  if (found != chains.end() && depth < kDepthMax) return over(found->second, surely, depth + 1);
  return give_up();
}

Fate Walk::over(const FilterChain& chain, bool surely, int depth) {
  using Verdict = FilterRule::Verdict;
  for (const FilterRule& rule : chain.rules) {
    if (--rules_left < 0) return give_up();
    if (rule.match == Match::kNo) continue;
    const bool sure = surely && rule.match == Match::kYes;
    switch (rule.verdict) {
      case Verdict::kNone: break;
      case Verdict::kEither: maybe_accepted = maybe_dropped = true; break;
      case Verdict::kAccept:
        if (sure) return Fate::kAccepted;
        maybe_accepted = true;
        break;
      case Verdict::kDrop:
        if (sure) return Fate::kDropped;
        maybe_dropped = maybe_dropped || !rule.by_source;
        break;
      case Verdict::kReturn:
        if (rule.match == Match::kYes) return Fate::kGoesOn;
        surely = false;
        break;
      case Verdict::kJump:
      case Verdict::kGoto:
        const Fate fate = into(rule.chain, sure, depth);
        if (fate != Fate::kGoesOn) return fate;
        if (rule.verdict == Verdict::kGoto && rule.match == Match::kYes) return Fate::kGoesOn;
        break;
    }
  }
  return Fate::kGoesOn;
}

}  // namespace

Match both(Match a, Match b) { return std::min(a, b); }
Match either(Match a, Match b) { return std::max(a, b); }

Match inverted(Match match) {
  return match == Match::kYes ? Match::kNo : match == Match::kNo ? Match::kYes : Match::kMaybe;
}

Match cover(const core::PortRange& rule, const core::PortRange& asked) {
  const int rule_end = rule.first.value + rule.count;
  const int asked_end = asked.first.value + asked.count;
  if (asked.first.value >= rule_end || rule.first.value >= asked_end) return Match::kNo;
  return asked.first >= rule.first && asked_end <= rule_end ? Match::kYes : Match::kMaybe;
}

Ruling rule_on(const FilterChains& chains, const FilterChain& base) {
  Walk walk{chains};
  const Fate fate = walk.over(base, true, 0);
  const bool dropped = fate == Fate::kDropped || (fate == Fate::kGoesOn && base.drops);
  if (dropped) return walk.maybe_accepted ? Ruling::kUnknown : Ruling::kDrops;
  return walk.maybe_dropped ? Ruling::kUnknown : Ruling::kAccepts;
}

}  // namespace nfr::nfctl
