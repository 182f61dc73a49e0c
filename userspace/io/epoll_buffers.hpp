// SPDX-License-Identifier: GPL-2.0-only
// BufferPool: the receive buffers of the epoll loop, by index. On the loop's thread. Untouched ones cost nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "io/pages.hpp"

namespace nfr::io {

class BufferPool {
 public:
  /// As LoopOptions; kInvalid names the wrong one.
  static Result<std::unique_ptr<BufferPool>> create(std::uint16_t count, std::uint32_t bytes);

  /// Buffers not lent out.
  unsigned free() const { return static_cast<unsigned>(free_.size()); }
  /// The last one given back: its pages are warm. Not when free() is 0.
  std::uint16_t take();
  void give_back(std::uint16_t index) { free_.push_back(index); }
  std::span<std::byte> at(std::uint16_t index) const {
    return {pages_.data() + std::size_t{index} * bytes_each_, bytes_each_};
  }
  bool all_back() const { return free_.size() == count_; }

 private:
  BufferPool(std::uint16_t count, std::uint32_t bytes);
  std::uint16_t count_;
  std::uint32_t bytes_each_;
  std::vector<std::uint16_t> free_;
  Pages pages_;
};

}  // namespace nfr::io
