// SPDX-License-Identifier: GPL-2.0-only
#include "io/pages.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <bit>
#include <cerrno>

namespace nfr::io {

Pages::~Pages() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

int Pages::map(std::size_t bytes) {
  void* place = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return errno;
  data_ = static_cast<std::byte*>(place);
  bytes_ = bytes;
  return 0;
}

Status check_buffers(std::uint16_t count, std::uint32_t bytes) {
  if (!std::has_single_bit(count) || count > kBufferCountMax) {
    return Error(Code::kInvalid,
                 fmt::format("buffer_count {}: must be a power of two from 1 to {}", count, kBufferCountMax));
  }
  if (bytes == 0) return Error(Code::kInvalid, "buffer_bytes 0: must be at least 1");
  return {};
}

}  // namespace nfr::io
