// SPDX-License-Identifier: GPL-2.0-only
// Pipes for splice(2), pooled for one thread and lent: a flow needs one only while bytes are in it. What cannot be lent
// is copied instead. On the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.hpp"

namespace nfr::io {

struct Pipe {
  Fd out;                ///< read here
  Fd in;                 ///< write here; both non-blocking
  std::size_t held = 0;  ///< bytes in it: whoever moves them keeps it right

  /// Takes what is in it.
  std::vector<std::byte> drain();
};

class PipePool {
 public:
  /// Wanted of each; the kernel may give less to a user who has many.
  static constexpr std::size_t kBytes = 256 * 1024;
  static constexpr std::size_t kCountMax = 16;
  /// For a thread of a process that may have so many descriptors.
  static constexpr std::size_t count_for(std::size_t descriptor_limit) {
    const std::size_t share = descriptor_limit / 64;
    return share < 4 ? 4 : share > kCountMax ? kCountMax : share;
  }

  explicit PipePool(std::size_t count_max) : count_max_(count_max) {}

  /// An empty one; null when all are lent, or none worth having can be made.
  std::unique_ptr<Pipe> lend();
  /// One that is not empty is closed. Null: no effect.
  void give_back(std::unique_ptr<Pipe> pipe);
  std::size_t lent_count() const { return lent_; }
  std::uint64_t lends() const { return lends_; }  ///< how many were lent since creation

 private:
  const std::size_t count_max_;
  std::size_t lent_ = 0;
  std::uint64_t lends_ = 0;
  std::vector<std::unique_ptr<Pipe>> free_;
};

}  // namespace nfr::io
