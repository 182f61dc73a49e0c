// SPDX-License-Identifier: GPL-2.0-only
#include "core/target.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace nfr::core {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kPathMax = 107;  // sockaddr_un::sun_path less its zero, on Linux
constexpr std::size_t kHostMax = 253;  // RFC 1035 2.3.4, as text

Error invalid(std::string_view text, std::string_view why) {
  return {Code::kInvalid, fmt::format("target '{}': {}; expected PORT, ADDRESS:PORT, NAME:PORT, a range of ports in "
                                      "place of the port, or unix:/PATH",
                                      escape(text, 120), why)};
}

bool letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// RFC 1123 2.1, in lower case, plus the underscore that people use in LANs. All digits and dots would be a mistyped
// address.
bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > kHostMax || !letter_or_digit(name[0])) return false;
  const bool letters = std::any_of(name.begin(), name.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  const bool allowed = std::all_of(name.begin(), name.end(),
                                   [](char c) { return letter_or_digit(c) || c == '-' || c == '_' || c == '.'; });
  return letters && allowed && name.find("..") == std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

Result<Target> parse_unix(std::string_view text) {
  Target target;
  target.kind = Target::Kind::kUnix;
  target.name = text.substr(kUnixPrefix.size());
  if (!target.name.starts_with('/')) return invalid(text, "the socket's path must be absolute");
  if (target.name.size() > kPathMax) return invalid(text, fmt::format("a path has at most {} bytes", kPathMax));
  if (escape(target.name, 4 * kPathMax + 1) != target.name) {
    return invalid(text, "the path has characters that cannot be shown");
  }
  // Compared as text with the allow list: two spellings of one path must not exist.
  if ((target.name + "/").find("/../") != std::string::npos || target.name.find("//") != std::string::npos ||
      (target.name + "/").find("/./") != std::string::npos) {
    return invalid(text, "a path without '.', '..' and '//' is needed");
  }
  return target;
}

Result<Target> with_place(std::string_view text, std::string_view place, const PortRange& ports) {
  Target target;
  target.endpoint.port = ports.first;
  target.port_count = ports.count;
  std::string name = lower(place);
  const bool bracketed = place.starts_with('[') && place.ends_with(']') && place.size() > 2;
  if (bracketed) name = place.substr(1, place.size() - 2);
  const auto address = net::IpAddress::parse(name);
  if (bracketed && (name.find(':') == std::string::npos || !address)) {
    return invalid(text, "in brackets stands an IPv6 address");
  }
  if (address) {
    if (address->is_wildcard() || address->is_multicast()) return invalid(text, "no machine has this address");
    target.endpoint.address = *address;
    return target;
  }
  if (!is_host_name(name)) return invalid(text, "this is no address and no name");
  target.kind = Target::Kind::kHost;
  target.name = name;
  return target;
}

}  // namespace

Result<PortRange> PortRange::parse(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto low = net::parse_port(text.substr(0, dash));
  if (!low) return low.error();
  const auto high = dash == std::string_view::npos ? low : net::parse_port(text.substr(dash + 1));
  if (!high) return high.error();
  if (*low > *high) {
    return Error(Code::kInvalid, fmt::format("the range {} is empty; write the lower port first", escape(text, 32)));
  }
  return PortRange{*low, static_cast<std::uint16_t>(high->value - low->value + 1)};
}

std::string PortRange::text() const {
  return count == 1 ? fmt::format("{}", first.value) : fmt::format("{}-{}", first.value, first.value + count - 1);
}

Result<Target> Target::parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return parse_unix(text);
  const std::size_t colon = text.rfind(':');
  const bool bracket_last = text.ends_with(']');
  const std::string_view ports_text = colon == std::string_view::npos || bracket_last ? text : text.substr(colon + 1);
  const auto ports = PortRange::parse(ports_text);
  if (!ports) return invalid(text, ports.error().message());
  std::string_view place = colon == std::string_view::npos ? "127.0.0.1" : text.substr(0, colon);
  if (lower(place) == "localhost") place = "127.0.0.1";
  if (place.find(':') != std::string_view::npos && !place.starts_with('[')) {
    return invalid(text, "an IPv6 address stands in brackets");
  }
  return with_place(text, place, *ports);
}

Target Target::nth(std::uint16_t index) const {
  NFR_ASSERT(index < port_count);
  Target one = *this;
  one.port_count = 1;
  one.endpoint.port.value = static_cast<std::uint16_t>(endpoint.port.value + index);
  return one;
}

std::string Target::text() const {
  if (kind == Kind::kUnix) return std::string(kUnixPrefix) + name;
  const std::string ports = PortRange{endpoint.port, port_count}.text();
  if (kind == Kind::kHost) return name + ":" + ports;
  const std::string address = endpoint.address.text();
  return endpoint.address.is_v4() ? address + ":" + ports : "[" + address + "]:" + ports;
}

}  // namespace nfr::core
