// SPDX-License-Identifier: GPL-2.0-only
// Whose turn it is to have a channel asked for. Until its preface is read a channel is a stranger on the tunnel port,
// of whom there is room for so many; and a tls handshake costs a millisecond. So those asked for are bounded, and the
// flows beyond wait in line. Pure; part of FlowBook.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "core/nouns.hpp"

namespace nfr::control {

class OpenPace {
 public:
  /// Asked for at once.
  struct Limits {
    std::size_t all = SIZE_MAX;
    std::size_t tls = 64;
  };

  /// True: the flow's channel may be asked for now; end() follows. False: it is in line for next().
  bool begin(core::FlowId flow, core::Leg leg, const Limits& limits) {
    if (asked_.contains(flow)) return true;  // asked for again, of another session
    if (!room(leg, limits)) {
      waiting(leg).push_back(flow);
      return false;
    }
    asked_[flow] = leg;
    if (leg == core::Leg::kTls) ++tls_;
    return true;
  }

  /// Its channel came, or will not come; of one that was not asked for: no effect.
  void end(core::FlowId flow) {
    const auto found = asked_.find(flow);
    if (found == asked_.end()) return;
    if (found->second == core::Leg::kTls) --tls_;
    asked_.erase(found);
  }

  /// The flow that has waited longest for a leg there is room for; it may be gone meanwhile.
  std::optional<core::FlowId> next(const Limits& limits) {
    for (const core::Leg leg : {core::Leg::kPlain, core::Leg::kTls}) {
      std::deque<core::FlowId>& line = waiting(leg);
      if (line.empty() || !room(leg, limits)) continue;
      const core::FlowId flow = line.front();
      line.pop_front();
      return flow;
    }
    return std::nullopt;
  }

  std::size_t asked_count() const { return asked_.size(); }

 private:
  bool room(core::Leg leg, const Limits& limits) const {
    return asked_.size() < limits.all && (leg != core::Leg::kTls || tls_ < limits.tls);
  }
  std::deque<core::FlowId>& waiting(core::Leg leg) { return waiting_[leg == core::Leg::kTls ? 1 : 0]; }

  std::map<core::FlowId, core::Leg> asked_;
  std::size_t tls_ = 0;
  std::array<std::deque<core::FlowId>, 2> waiting_;
};

}  // namespace nfr::control
