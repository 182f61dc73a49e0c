// SPDX-License-Identifier: GPL-2.0-only
// PoolPlan: how many channels should stand ready for the visitors of one public port: enough for those who come while
// a replacement is on its way. Pure; its owner (ChannelPool) tells it what happens and when.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"

namespace nfr::control {

class PoolPlan {
 public:
  /// `idle_after`: without a visitor for so long nothing stands ready.
  explicit PoolPlan(Millis idle_after) : idle_after_(idle_after) {}

  void on_visitor(Instant now);
  /// A channel came so long after it was asked for.
  void on_refill(Micros took);

  /// One after the first visitor; more as they come faster, fewer again within some ten seconds; 0 when idle.
  std::size_t wanted(Instant now) const;
  Instant last_visit() const { return last_visit_; }

 private:
  double peak_at(Instant now) const;

  const Millis idle_after_;
  bool visited_ = false;
  Instant last_visit_{};
  Instant slot_{};             // begin of the span in which visitors are counted
  std::uint64_t in_slot_ = 0;  // visitors since then
  double peak_ = 0;            // visitors a second, at peak_time_; it halves every few seconds
  Instant peak_time_{};
  double refill_seconds_ = 0;  // smoothed
};

}  // namespace nfr::control
