// SPDX-License-Identifier: GPL-2.0-only
#include "io/epoll_buffers.hpp"

#include <fmt/format.h>

#include "base/assert.hpp"

namespace nfr::io {

BufferPool::BufferPool(std::uint16_t count, std::uint32_t bytes) : count_(count), bytes_each_(bytes) {
  free_.reserve(count);
  for (unsigned index = count; index > 0; --index) free_.push_back(static_cast<std::uint16_t>(index - 1));
}

Result<std::unique_ptr<BufferPool>> BufferPool::create(std::uint16_t count, std::uint32_t bytes) {
  if (Status valid = check_buffers(count, bytes); !valid) return valid.error();
  std::unique_ptr<BufferPool> pool(new BufferPool(count, bytes));
  if (const int error = pool->pages_.map(std::size_t{count} * bytes)) {
    return Error::system(fmt::format("mapping {} receive buffers of {} bytes", count, bytes), error);
  }
  return pool;
}

std::uint16_t BufferPool::take() {
  NFR_ASSERT(!free_.empty());
  const std::uint16_t index = free_.back();
  free_.pop_back();
  return index;
}

}  // namespace nfr::io
