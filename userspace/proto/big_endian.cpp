// SPDX-License-Identifier: GPL-2.0-only
// Decoding of the fixed-size address: one spelling for each address, anything else is refused, so that an address
// that was accepted encodes to the same bytes again. Used by start.cpp on any thread.
#include "proto/big_endian.hpp"

#include <fmt/format.h>

namespace nfr::proto {

Result<net::Endpoint> get_address(std::span<const std::byte> in, std::size_t offset) {
  const auto family = get<std::uint8_t>(in, offset);
  if (family != 4 && family != 6) {
    return Error(Code::kProtocol, fmt::format("address family {} is neither 4 nor 6", family));
  }
  if (get<std::uint8_t>(in, offset + 1) != 0) return Error(Code::kProtocol, "reserved byte of an address is not zero");
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = get<std::uint8_t>(in, offset + 4 + i);
  net::Endpoint endpoint;
  endpoint.port.value = get<std::uint16_t>(in, offset + 2);
  endpoint.address = family == 4 ? net::IpAddress::v4(get<std::uint32_t>(in, offset + 4)) : net::IpAddress::v6(bytes);
  if (endpoint.address.is_v4() != (family == 4) || endpoint.address.bytes() != bytes) {
    return Error(Code::kProtocol, "an IPv4 address with stray bytes, or spelled as IPv6");
  }
  return endpoint;
}

}  // namespace nfr::proto
