// SPDX-License-Identifier: GPL-2.0-only
// Seam for randomness. Production draws from getrandom(2); the simulator from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nfr {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::byte> out) = 0;

  std::uint64_t u64() {
    std::uint64_t value = 0;
    fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  /// Uniform enough for jitter and ports: 0 <= result < bound; bound must not be 0.
  std::uint64_t below(std::uint64_t bound) { return u64() % bound; }
};

/// getrandom(2); thread-safe; cannot fail once the pool is initialised (asserted).
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::byte> out) override;
};

}  // namespace nfr
