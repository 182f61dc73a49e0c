// SPDX-License-Identifier: GPL-2.0-only
// The registered ring of receive buffers (IORING_REGISTER_PBUF_RING, 5.19). Called by UringLoop on its thread.
// Does not wait for a buffer: the loop parks the receive.
#include "io/uring_buffers.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "base/assert.hpp"

namespace nfr::io {

Result<std::unique_ptr<ProvidedBuffers>> ProvidedBuffers::create(io_uring* ring, std::uint16_t count,
                                                                 std::uint32_t bytes) {
  if (Status valid = check_buffers(count, bytes); !valid) return valid.error();
  std::unique_ptr<ProvidedBuffers> buffers(new ProvidedBuffers(count, bytes));
  if (const int error = buffers->memory_.map(std::size_t{count} * bytes)) {
    return Error::system(fmt::format("mapping {} receive buffers of {} bytes", count, bytes), error);
  }
  if (const int error = buffers->ring_.map(count * sizeof(io_uring_buf))) {
    return Error::system("mapping the receive buffer ring", error);
  }
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffers->ring_.data());
  registration.ring_entries = count;
  registration.bgid = kGroup;
  if (const int rc = io_uring_register_buf_ring(ring, &registration, 0); rc < 0) {
    return Error::system("registering the receive buffer ring (needs Linux 5.19)", -rc);
  }
  io_uring_buf_ring_init(buffers->ring());
  for (unsigned index = 0; index < count; ++index) buffers->offer(static_cast<std::uint16_t>(index));
  return buffers;
}

std::span<const std::byte> ProvidedBuffers::lend(std::uint16_t index, std::size_t used) {
  NFR_ASSERT(index < out_.size() && !out_[index]);
  NFR_ASSERT(used > 0 && used <= bytes_each_);
  out_[index] = true;
  ++lent_;
  return {at(index), used};
}

void ProvidedBuffers::give_back(std::uint16_t index) {
  NFR_ASSERT(index < out_.size() && out_[index]);
  out_[index] = false;
  --lent_;
  offer(index);
}

void ProvidedBuffers::recycle(std::uint16_t index) {
  NFR_ASSERT(index < out_.size() && !out_[index]);
  offer(index);
}

void ProvidedBuffers::offer(std::uint16_t index) {
  io_uring_buf_ring_add(ring(), at(index), bytes_each_, index,
                        io_uring_buf_ring_mask(static_cast<unsigned>(out_.size())), 0);
  io_uring_buf_ring_advance(ring(), 1);
}

}  // namespace nfr::io
