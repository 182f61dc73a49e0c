// SPDX-License-Identifier: GPL-2.0-only
// Whose turn it is to have a tls channel: a handshake costs the relay a millisecond, and it takes only so many at once,
// of anybody. Those asked for are bounded; the flows beyond wait in line. Pure; part of FlowBook.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <set>

#include "core/nouns.hpp"

namespace nfr::control {

class TlsPace {
 public:
  /// True: the flow's channel may be asked for now; end() follows. False: it is in line for next().
  bool begin(core::FlowId flow, std::size_t most) {
    if (asked_.contains(flow)) return true;  // asked for again, of another session
    if (asked_.size() < most) return asked_.insert(flow).second;
    waiting_.push_back(flow);
    return false;
  }
  /// Its channel came, or will not come; of one that was not asked for: no effect.
  void end(core::FlowId flow) { asked_.erase(flow); }
  /// The flow that has waited longest, if there is room; it may be gone meanwhile.
  std::optional<core::FlowId> next(std::size_t most) {
    if (waiting_.empty() || asked_.size() >= most) return std::nullopt;
    const core::FlowId flow = waiting_.front();
    waiting_.pop_front();
    return flow;
  }
  std::size_t asked_count() const { return asked_.size(); }

 private:
  std::set<core::FlowId> asked_;
  std::deque<core::FlowId> waiting_;
};

}  // namespace nfr::control
