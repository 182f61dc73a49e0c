// SPDX-License-Identifier: GPL-2.0-only
// PublicPorts: the public side of a mapping as people write it: one port or a range, on one address or on all. A value
// without behaviour beyond parsing and naming.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "core/target.hpp"
#include "net/address.hpp"

namespace nfr::core {

struct PublicPorts {
  /// The wildcard address means every address of the relay, both families. Port 0: to be chosen by the relay.
  net::Endpoint first;
  std::uint16_t count = 1;

  /// "8888", "203.0.113.5:8888", "[2001:db8::1]:8888", "[::]:8888" (as "8888"), "5000-5100", "auto"; "/tcp" may
  /// follow.
  static Result<PublicPorts> parse(std::string_view text);
  std::string text() const;  ///< "8888/tcp", "203.0.113.5:5000-5100/tcp", "auto"; parse() reads it back

  bool automatic() const { return first.port.value == 0; }
  PortRange ports() const { return {first.port, count}; }
  net::Endpoint nth(std::uint16_t index) const;
  /// Some address and port belong to both.
  bool overlaps(const PublicPorts& other) const;
  auto operator<=>(const PublicPorts&) const = default;
};

}  // namespace nfr::core
