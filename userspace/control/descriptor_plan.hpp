// SPDX-License-Identifier: GPL-2.0-only
// What the relay process does with its descriptors, planned ahead of the need. Pure arithmetic.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace nfr::control {

/// What there is, and what is spoken for.
struct DescriptorFacts {
  std::size_t limit = 0;      ///< RLIMIT_NOFILE
  std::size_t fixed = 0;      ///< rings, database, log, admin connections
  std::size_t listeners = 0;  ///< public ports and the tunnel port
  std::size_t sessions = 0;   ///< of agents, one each
  bool operator==(const DescriptorFacts&) const = default;
};

struct DescriptorPlan {
  std::size_t strangers_min = 0;  ///< connections on the tunnel port that have proven nothing: so many have a place
  std::size_t visitors_max = 0;   ///< two each: visitor and channel
  std::size_t pool_max = 0;       ///< channels that stand ready; out of the visitors' part, which comes first

  static constexpr std::size_t kStrangersMax = 6000;

  static constexpr DescriptorPlan make(const DescriptorFacts& facts) {
    DescriptorPlan plan;
    plan.strangers_min = std::clamp<std::size_t>(facts.limit / 8, 16, kStrangersMax);
    const std::size_t taken = facts.fixed + facts.listeners + facts.sessions + plan.strangers_min;
    const std::size_t left = facts.limit > taken ? facts.limit - taken : 0;
    plan.visitors_max = std::max<std::size_t>(left / 2, 4);  // below that nothing works anyway
    plan.pool_max = left / 8;
    return plan;
  }
  /// Strangers may use what visitors leave free at the moment.
  constexpr std::size_t strangers_max(std::size_t visitors, std::size_t ready_channels) const {
    const std::size_t used = 2 * visitors + ready_channels;
    const std::size_t free = visitors_max < SIZE_MAX / 2 && 2 * visitors_max > used ? 2 * visitors_max - used : 0;
    return std::min(strangers_min + free, kStrangersMax);
  }
};

}  // namespace nfr::control
