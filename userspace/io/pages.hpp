// SPDX-License-Identifier: GPL-2.0-only
// Pages: anonymous memory of a buffer pool, and what pools of either back end accept as their size.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.hpp"

namespace nfr::io {

/// Anonymous pages, unmapped on destruction. Untouched pages cost nothing.
class Pages {
 public:
  Pages() = default;
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  /// 0 or errno.
  int map(std::size_t bytes);
  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

constexpr unsigned kBufferCountMax = 32768;  ///< io_uring's own limit, kept by every back end

/// count: a power of two up to kBufferCountMax; bytes of each: at least 1. kInvalid names the wrong one.
Status check_buffers(std::uint16_t count, std::uint32_t bytes);

}  // namespace nfr::io
