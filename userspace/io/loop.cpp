// SPDX-License-Identifier: GPL-2.0-only
// What every back end of the loop shares: leases, the operation's last check, timers on the ordered map.
// On the loop's own thread. Does not wait or dispatch: that is each back end.
#include "io/loop.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace nfr::io {

namespace {
// Far beyond any uptime, and far from overflowing the clock's nanoseconds.
constexpr Millis kLongestDelay = std::chrono::hours(24 * 365 * 10);
}  // namespace

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  release();
  loop_ = std::exchange(other.loop_, nullptr);
  index_ = other.index_;
  bytes_ = std::exchange(other.bytes_, {});
  return *this;
}

void Lease::release() {
  bytes_ = {};
  if (Loop* loop = std::exchange(loop_, nullptr)) loop->give_back(index_);
}

// An owner that dies first would leave the kernel writing into freed memory.
Operation::~Operation() { NFR_ASSERT(!in_flight()); }

void Loop::fire_timers(Instant now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Timer& timer = *timers_.begin()->second;
    timers_.erase(timers_.begin());
    timer.place_.reset();
    const auto handler = timer.handler;  // a copy: the call may destroy the timer
    if (handler) handler();
  }
}

void Loop::forget_timers() {
  for (const auto& [when, timer] : timers_) timer->place_.reset();
  timers_.clear();
}

std::chrono::nanoseconds Loop::time_to_timer(std::chrono::nanoseconds limit) const {
  if (!timers_.empty()) limit = std::min(limit, timers_.begin()->first - std::chrono::steady_clock::now());
  return std::max(limit, std::chrono::nanoseconds(0));
}

void Timer::arm(Millis after) {
  disarm();
  // Never due in the round that arms it: a handler that re-arms with 0 must not keep the loop from its descriptors.
  const auto delay =
      std::max<std::chrono::nanoseconds>(std::clamp(after, Millis(0), kLongestDelay), std::chrono::nanoseconds(1));
  place_ = loop_.timers_.emplace(loop_.now() + delay, this);
}

void Timer::disarm() {
  if (!place_) return;
  loop_.timers_.erase(*place_);
  place_.reset();
}

}  // namespace nfr::io
