// SPDX-License-Identifier: GPL-2.0-only
// Target: what an agent dials for a visitor. Parsed by the relay from an operator's words and by the agent from the
// relay's; judged by the agent's allow list. A value without behaviour beyond parsing and naming.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/address.hpp"

namespace nfr::core {

struct Target {
  enum class Kind : std::uint8_t {
    kAddress,  ///< endpoint
    kHost,     ///< name, resolved by the agent, and endpoint.port
    kUnix,     ///< name: absolute path of a socket on the agent's machine
  };
  Kind kind = Kind::kAddress;
  net::Endpoint endpoint;
  std::string name;
  std::uint16_t port_count = 1;  ///< ports from endpoint.port on; 1 for kUnix

  /// "3306" (127.0.0.1), "192.168.1.5:3306", "[::1]:3306", "db.lan:3306", "unix:/run/app.sock"; ports may be a range:
  /// "5000-5100", "db.lan:5000-5100".
  static Result<Target> parse(std::string_view text);
  static Target of(const net::Endpoint& endpoint) { return Target{Kind::kAddress, endpoint, {}, 1}; }

  /// The target of one port of the range; `index` < port_count.
  Target nth(std::uint16_t index) const;
  std::string text() const;  ///< parse() reads it back
  auto operator<=>(const Target&) const = default;
};

/// A port or a range "5000-5100" as first port and count.
struct PortRange {
  net::Port first;
  std::uint16_t count = 1;
  static Result<PortRange> parse(std::string_view text);
  std::string text() const;
  bool contains(net::Port port) const { return port >= first && port.value - first.value < count; }
  auto operator<=>(const PortRange&) const = default;
};

}  // namespace nfr::core
