// SPDX-License-Identifier: GPL-2.0-only
// How much of a test's counts this run wants.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace nfr::test {

/// A count by NFR_SCALE (a fraction where code is emulated; unset: 1), at least `least`. Above 1 nothing grows: unit
/// tests are as long as they are worth being, the long runs are those of tests/netns.
inline unsigned scaled(unsigned count, unsigned least) {
  const char* text = std::getenv("NFR_SCALE");
  const double asked = text == nullptr ? 1.0 : std::strtod(text, nullptr);
  const double scale = asked > 0 && asked < 1 ? asked : 1.0;
  return std::max(least, static_cast<unsigned>(std::lround(count * scale)));
}

}  // namespace nfr::test
