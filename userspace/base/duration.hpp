// SPDX-License-Identifier: GPL-2.0-only
// Durations as people type them in options and files: "500ms", "30s", "10m", "2h", "1d", "never". Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace nfr {

/// "0" and "never" are zero.
Result<Millis> parse_duration(std::string_view text);

/// In the largest unit that divides it, so that parse_duration() gives the same again; zero is "never".
std::string typed_duration(Millis duration);

}  // namespace nfr
