// SPDX-License-Identifier: GPL-2.0-only
// Seams for time: timers use the monotonic clock only; the wall clock is for what people read and what is stored.
#pragma once

#include <chrono>

namespace nfr {

using Millis = std::chrono::milliseconds;
using Micros = std::chrono::microseconds;
/// A point on the monotonic clock.
using Instant = std::chrono::steady_clock::time_point;
/// A point on the wall clock.
using WallTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual WallTime wall() const = 0;
};

/// CLOCK_MONOTONIC and CLOCK_REALTIME; thread-safe.
class SystemClock final : public Clock {
 public:
  Instant now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
};

}  // namespace nfr
