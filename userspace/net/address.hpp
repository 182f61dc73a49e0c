// SPDX-License-Identifier: GPL-2.0-only
// IP addresses, ports and endpoints as values. Host byte order in Port, network order inside IpAddress.
// An IPv4-mapped IPv6 address is always stored as IPv4, so that one rule matches both spellings.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nfr::net {

/// A TCP or UDP port, 0..65535; 0 means "not set".
struct Port {
  std::uint16_t value = 0;
  auto operator<=>(const Port&) const = default;
};

Result<Port> parse_port(std::string_view text);  ///< decimal 1..65535, nothing else

class IpAddress {
 public:
  /// The IPv4 wildcard 0.0.0.0.
  IpAddress() = default;
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);  ///< mapped addresses become IPv4
  static Result<IpAddress> parse(std::string_view text);           ///< no brackets, no zone

  bool is_v4() const { return v4_; }
  /// 16 bytes; IPv4 uses the first four, the rest is zero.
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  bool is_wildcard() const;
  bool is_loopback() const;    ///< 127.0.0.0/8, ::1
  bool is_link_local() const;  ///< 169.254.0.0/16 (cloud metadata included), fe80::/10
  bool is_private() const;     ///< RFC 1918, 100.64.0.0/10 (RFC 6598), fc00::/7: not reached from elsewhere
  bool is_multicast() const;
  std::string text() const;
  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool v4_ = true;
};

/// An address with prefix length, as in "192.168.1.0/24"; host bits must be zero.
class Network {
 public:
  static Result<Network> parse(std::string_view text);  ///< a bare address means /32 or /128
  bool contains(const IpAddress& address) const;
  bool contains(const Network& other) const;  ///< every address of `other`
  std::string text() const;
  auto operator<=>(const Network&) const = default;

 private:
  IpAddress base_;
  std::uint8_t prefix_bits_ = 0;
};

/// Address and port.
struct Endpoint {
  IpAddress address;
  Port port;
  auto operator<=>(const Endpoint&) const = default;

  /// "1.2.3.4:80", "[::1]:80".
  static Result<Endpoint> parse(std::string_view text);
  std::string text() const;
  static Endpoint from_sockaddr(const sockaddr_storage& storage);
  /// Fills `out`, returns its length for bind/connect.
  socklen_t to_sockaddr(sockaddr_storage& out) const;
};

}  // namespace nfr::net
