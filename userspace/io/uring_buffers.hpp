// SPDX-License-Identifier: GPL-2.0-only
// ProvidedBuffers: the pool the kernel takes receive buffers from when bytes arrive, and who holds which.
// Called by UringLoop on the loop's thread; registered once at creation. Does not know about leases or operations.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "io/pages.hpp"

namespace nfr::io {

class ProvidedBuffers {
 public:
  static constexpr std::uint16_t kGroup = 0;

  /// As check_buffers().
  static Result<std::unique_ptr<ProvidedBuffers>> create(io_uring* ring, std::uint16_t count, std::uint32_t bytes);

  /// The kernel filled `index`: it is out until give_back(). used: 1 to bytes_each().
  std::span<const std::byte> lend(std::uint16_t index, std::size_t used);
  void give_back(std::uint16_t index);
  /// The kernel took `index` but put nothing in: straight back.
  void recycle(std::uint16_t index);

  std::uint32_t bytes_each() const { return bytes_each_; }
  unsigned lent() const { return lent_; }
  /// Buffers not lent out; some may be in completions not taken yet.
  unsigned free() const { return static_cast<unsigned>(out_.size()) - lent_; }

 private:
  ProvidedBuffers(std::uint16_t count, std::uint32_t bytes) : bytes_each_(bytes), out_(count, false) {}
  void offer(std::uint16_t index);
  std::byte* at(std::uint16_t index) const { return memory_.data() + std::size_t{index} * bytes_each_; }
  io_uring_buf_ring* ring() const { return reinterpret_cast<io_uring_buf_ring*>(ring_.data()); }

  std::uint32_t bytes_each_;
  std::vector<bool> out_;
  unsigned lent_ = 0;
  Pages memory_;
  Pages ring_;
};

}  // namespace nfr::io
