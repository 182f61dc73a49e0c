// SPDX-License-Identifier: GPL-2.0-only
#include "net/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/text.hpp"

namespace nfr::net {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

Result<unsigned> parse_number(std::string_view text, unsigned max) {
  unsigned value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value > max) {
    return Error(Code::kInvalid, fmt::format("'{}' is not a number from 0 to {}", escape(text), max));
  }
  return value;
}

}  // namespace

Result<Port> parse_port(std::string_view text) {
  const auto number = parse_number(text, 65535);
  if (!number || *number == 0) {
    return Error(Code::kInvalid, fmt::format("'{}' is not a port from 1 to 65535", escape(text)));
  }
  return Port{static_cast<std::uint16_t>(*number)};
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress address;
  for (std::size_t i = 0; i < 4; ++i) address.bytes_[i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress address;
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin())) {
    std::copy(bytes.begin() + 12, bytes.end(), address.bytes_.begin());
    return address;
  }
  address.v4_ = false;
  address.bytes_ = bytes;
  return address;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  in_addr four{};
  in6_addr six{};
  // inet_pton would stop at a zero byte and not see what stands behind it.
  const bool whole = text.find('\0') == std::string_view::npos;
  if (whole && ::inet_pton(AF_INET, copy.c_str(), &four) == 1) return v4(ntohl(four.s_addr));
  if (whole && ::inet_pton(AF_INET6, copy.c_str(), &six) == 1) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &six, bytes.size());
    return v6(bytes);
  }
  return Error(Code::kInvalid, fmt::format("'{}' is not an IP address", escape(text)));
}

bool IpAddress::is_wildcard() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const {
  if (v4_) return bytes_[0] == 127;
  return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_link_local() const {
  if (v4_) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xFE && (bytes_[1] & 0xC0) == 0x80;
}

bool IpAddress::is_private() const {
  if (!v4_) return (bytes_[0] & 0xFE) == 0xFC;
  return bytes_[0] == 10 || (bytes_[0] == 172 && (bytes_[1] & 0xF0) == 16) || (bytes_[0] == 192 && bytes_[1] == 168) ||
         (bytes_[0] == 100 && (bytes_[1] & 0xC0) == 64);
}

bool IpAddress::is_multicast() const { return v4_ ? (bytes_[0] & 0xF0) == 0xE0 : bytes_[0] == 0xFF; }

std::string IpAddress::text() const {
  char buffer[INET6_ADDRSTRLEN];
  ::inet_ntop(v4_ ? AF_INET : AF_INET6, bytes_.data(), buffer, sizeof buffer);
  return buffer;
}

namespace {

/// The prefix length behind the slash. Of an IPv4-mapped network it counts the 96 bits before the IPv4 address too.
Result<unsigned> parse_prefix(std::string_view text, bool mapped, unsigned width) {
  const auto prefix = parse_number(text, mapped ? 128 : width);
  if (!prefix || !mapped) return prefix;
  if (*prefix < 96) return Error(Code::kInvalid, "less than 96 bits reach beyond the IPv4 addresses; write it as IPv4");
  return *prefix - 96;
}

}  // namespace

Result<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return Error(Code::kInvalid, fmt::format("'{}' is not a network such as 192.168.1.0/24", escape(text)));
  Network network;
  network.base_ = *address;
  const unsigned width = address->is_v4() ? 32 : 128;
  network.prefix_bits_ = static_cast<std::uint8_t>(width);
  if (slash != std::string_view::npos) {
    const bool mapped = address->is_v4() && text.find(':') < slash;
    const auto prefix = parse_prefix(text.substr(slash + 1), mapped, width);
    if (!prefix) return prefix.error().context(fmt::format("prefix length of '{}'", escape(text)));
    network.prefix_bits_ = static_cast<std::uint8_t>(*prefix);
  }
  for (unsigned bit = network.prefix_bits_; bit < width; ++bit) {
    if ((address->bytes()[bit / 8] >> (7 - bit % 8)) & 1) {
      return Error(Code::kInvalid, fmt::format("'{}' has bits set beyond its prefix length", escape(text)));
    }
  }
  return network;
}

bool Network::contains(const IpAddress& address) const {
  if (address.is_v4() != base_.is_v4()) return false;
  const std::size_t whole = prefix_bits_ / 8;
  if (!std::equal(base_.bytes().begin(), base_.bytes().begin() + static_cast<std::ptrdiff_t>(whole),
                  address.bytes().begin())) {
    return false;
  }
  const unsigned rest = prefix_bits_ % 8;
  if (rest == 0) return true;
  return ((base_.bytes()[whole] ^ address.bytes()[whole]) >> (8 - rest)) == 0;
}

bool Network::contains(const Network& other) const {
  return other.prefix_bits_ >= prefix_bits_ && contains(other.base_);
}

std::string Network::text() const { return fmt::format("{}/{}", base_.text(), prefix_bits_); }

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return Error(Code::kInvalid, fmt::format("'{}' is not ADDRESS:PORT", escape(text)));
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  if (!address) return address.error();
  if (!bracketed && host.find(':') != std::string_view::npos) {
    return Error(Code::kInvalid, fmt::format("IPv6 needs brackets: [{}]:{}", host, escape(text.substr(colon + 1))));
  }
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return port.error();
  return Endpoint{*address, *port};
}

std::string Endpoint::text() const {
  if (address.is_v4()) return fmt::format("{}:{}", address.text(), port.value);
  return fmt::format("[{}]:{}", address.text(), port.value);
}

Endpoint Endpoint::from_sockaddr(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 six{};
    std::memcpy(&six, &storage, sizeof six);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
    return {IpAddress::v6(bytes), Port{ntohs(six.sin6_port)}};
  }
  if (storage.ss_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &storage, sizeof four);
    return {IpAddress::v4(ntohl(four.sin_addr.s_addr)), Port{ntohs(four.sin_port)}};
  }
  return {};
}

socklen_t Endpoint::to_sockaddr(sockaddr_storage& out) const {
  out = {};
  if (address.is_v4()) {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port.value);
    std::memcpy(&four.sin_addr, address.bytes().data(), 4);
    std::memcpy(&out, &four, sizeof four);
    return sizeof four;
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port.value);
  std::memcpy(&six.sin6_addr, address.bytes().data(), 16);
  std::memcpy(&out, &six, sizeof six);
  return sizeof six;
}

}  // namespace nfr::net
