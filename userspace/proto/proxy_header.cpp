// SPDX-License-Identifier: GPL-2.0-only
#include "proto/proxy_header.hpp"

#include <fmt/format.h>

#include <string_view>

namespace nfr::proto {
namespace {

constexpr std::string_view kSignature("\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A", 12);
constexpr char kVersionProxy = 0x21;
constexpr char kVersionLocal = 0x20;
constexpr char kUnspecified = 0x00;
constexpr char kTcp4 = 0x11;
constexpr char kTcp6 = 0x21;

void append_u16(std::string& out, std::size_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

void append_address(std::string& out, const net::IpAddress& address, bool as_v6) {
  const auto& bytes = address.bytes();
  if (as_v6 && address.is_v4()) out += std::string(10, '\0') + "\xff\xff";
  out.append(reinterpret_cast<const char*>(bytes.data()), address.is_v4() ? 4 : 16);
}

std::string text_address(const net::IpAddress& address, bool as_v6) {
  return as_v6 && address.is_v4() ? "::ffff:" + address.text() : address.text();
}

std::string encode_v1(const net::Endpoint& visitor, const net::Endpoint& local, bool as_v6) {
  return fmt::format("PROXY {} {} {} {} {}\r\n", as_v6 ? "TCP6" : "TCP4", text_address(visitor.address, as_v6),
                     text_address(local.address, as_v6), visitor.port.value, local.port.value);
}

std::string encode_v2(const net::Endpoint& visitor, const net::Endpoint& local, bool as_v6) {
  std::string out(kSignature);
  out += kVersionProxy;
  out += as_v6 ? kTcp6 : kTcp4;
  append_u16(out, as_v6 ? 36 : 12);
  append_address(out, visitor.address, as_v6);
  append_address(out, local.address, as_v6);
  append_u16(out, visitor.port.value);
  append_u16(out, local.port.value);
  return out;
}

}  // namespace

std::string encode_proxy_header(core::ProxyHeader version, const net::Endpoint& visitor, const net::Endpoint& local) {
  // One family for both: a connection that differs was translated on its way to us.
  const bool as_v6 = !visitor.address.is_v4() || !local.address.is_v4();
  switch (version) {
    case core::ProxyHeader::kNone: return {};
    case core::ProxyHeader::kV1: return encode_v1(visitor, local, as_v6);
    case core::ProxyHeader::kV2: return encode_v2(visitor, local, as_v6);
  }
  return {};
}

std::string encode_proxy_local(core::ProxyHeader version) {
  if (version == core::ProxyHeader::kNone) return {};
  if (version == core::ProxyHeader::kV1) return "PROXY UNKNOWN\r\n";
  std::string out(kSignature);
  out += kVersionLocal;
  out += kUnspecified;
  append_u16(out, 0);
  return out;
}

}  // namespace nfr::proto
