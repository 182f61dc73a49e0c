// SPDX-License-Identifier: GPL-2.0-only
// Whose turn it is to have a channel asked for. Until its preface is read a channel is a stranger on the tunnel port,
// of whom there is room for so many; and a tls handshake costs a millisecond. So those asked for are bounded, and the
// flows beyond wait in line, a line for each agent and leg. One agent has half of the room at most: an agent that has
// died, or means harm, leaves what it was asked for unanswered for seconds. Pure; part of FlowBook.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "core/nouns.hpp"

namespace nfr::control {

class OpenPace {
 public:
  /// Asked for at once, at least 1 each.
  struct Limits {
    std::size_t all = SIZE_MAX;
    std::size_t tls = 64;
  };
  struct Line {
    core::AgentId agent;
    core::Leg leg = core::Leg::kPlain;
    auto operator<=>(const Line&) const = default;
  };

  /// True: the flow's channel may be asked for now; end() follows. False: it waits for next().
  bool begin(core::FlowId flow, const Line& line, const Limits& limits);
  /// Its channel came, or will not come; of one that was not asked for: no effect.
  void end(core::FlowId flow);
  /// The flow that has waited longest in the line whose turn it is. It counts as asked for, so that begin() lets it
  /// pass; it may be gone meanwhile: end() then.
  std::optional<core::FlowId> next(const Limits& limits);

  std::size_t asked_count() const { return asked_.size(); }
  bool somebody_waits() const { return !waiting_.empty(); }

 private:
  bool room(const Line& line, const Limits& limits) const;
  void take(core::FlowId flow, const Line& line);
  std::optional<core::FlowId> first_of(std::deque<core::FlowId>& line);

  std::map<core::FlowId, Line> asked_;
  std::map<Line, std::size_t> asked_of_;
  std::size_t tls_ = 0;
  std::map<Line, std::deque<core::FlowId>> waiting_;  ///< none empty
  Line last_;                                         ///< whose turn it was
};

}  // namespace nfr::control
