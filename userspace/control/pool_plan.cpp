// SPDX-License-Identifier: GPL-2.0-only
#include "control/pool_plan.hpp"

#include <algorithm>
#include <cmath>

namespace nfr::control {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds kSlot{0.1};
// Visitors of a burst come closer together than their number in a slot tells: as if a refill took at least this long.
constexpr double kRefillSecondsMin = 0.05;
constexpr double kRefillSecondsMax = 2.0;
constexpr double kHalfLifeSeconds = 8.0;
constexpr double kNewRefillShare = 0.2;
constexpr double kWantedMax = 1024;

}  // namespace

void PoolPlan::on_visitor(Instant now) {
  visited_ = true;
  last_visit_ = now;
  if (now - slot_ >= kSlot) {
    slot_ = now;
    in_slot_ = 0;
  }
  ++in_slot_;
  peak_ = std::max(peak_at(now), static_cast<double>(in_slot_) / kSlot.count());
  peak_time_ = now;
}

void PoolPlan::on_refill(Micros took) {
  const double seconds = std::clamp(Seconds(took).count(), 0.0, kRefillSecondsMax);
  refill_seconds_ += refill_seconds_ == 0 ? seconds : kNewRefillShare * (seconds - refill_seconds_);
}

double PoolPlan::peak_at(Instant now) const {
  return peak_ * std::exp2(-Seconds(now - peak_time_).count() / kHalfLifeSeconds);
}

std::size_t PoolPlan::wanted(Instant now) const {
  if (!visited_ || now - last_visit_ >= idle_after_) return 0;
  const double meanwhile = peak_at(now) * std::max(refill_seconds_, kRefillSecondsMin);
  return 1 + static_cast<std::size_t>(std::min(meanwhile, kWantedMax));
}

}  // namespace nfr::control
