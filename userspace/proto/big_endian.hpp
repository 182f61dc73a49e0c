// SPDX-License-Identifier: GPL-2.0-only
// Big-endian integers and addresses at fixed offsets of a fixed-size message. Used by the codecs of this room on
// any thread. Callers guarantee the bounds; nothing here reads or writes past the offsets named.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.hpp"
#include "net/address.hpp"

namespace nfr::proto {

template <std::unsigned_integral T>
void put(std::span<std::byte> out, std::size_t offset, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out[offset + i] = static_cast<std::byte>((value >> (8 * (sizeof(T) - 1 - i))) & 0xff);
  }
}

template <std::unsigned_integral T>
T get(std::span<const std::byte> in, std::size_t offset) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = (value << 8) | std::to_integer<std::uint64_t>(in[offset + i]);
  return static_cast<T>(value);
}

/// 20 bytes: family 4 or 6, zero, port, 16 bytes of address (IPv4 in the first four, the rest zero).
inline constexpr std::size_t kAddressBytes = 20;

inline void put_address(std::span<std::byte> out, std::size_t offset, const net::Endpoint& endpoint) {
  put<std::uint8_t>(out, offset, endpoint.address.is_v4() ? 4 : 6);
  put<std::uint8_t>(out, offset + 1, 0);
  put<std::uint16_t>(out, offset + 2, endpoint.port.value);
  const auto& bytes = endpoint.address.bytes();
  std::ranges::copy(std::as_bytes(std::span(bytes)), out.begin() + static_cast<std::ptrdiff_t>(offset) + 4);
}

/// kProtocol when the family or a zero field is wrong, or an IPv4 address is spelled as IPv6.
Result<net::Endpoint> get_address(std::span<const std::byte> in, std::size_t offset);

}  // namespace nfr::proto
