// SPDX-License-Identifier: GPL-2.0-only
#include "core/public_ports.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::core {
namespace {

constexpr std::string_view kAuto = "auto";

Error invalid(std::string_view text, std::string_view why) {
  return {Code::kInvalid, fmt::format("public endpoint '{}': {}; expected PORT, LOW-HIGH, ADDRESS:PORT or auto, such "
                                      "as 8888, 5000-5100 or 203.0.113.5:8888",
                                      escape(text, 80), why)};
}

}  // namespace

Result<PublicPorts> PublicPorts::parse(std::string_view text) {
  std::string_view rest = text;
  if (rest.ends_with("/tcp")) rest.remove_suffix(4);
  if (rest.ends_with("/udp")) return invalid(text, "UDP is not supported yet");
  PublicPorts out;
  if (rest == kAuto) return out;
  const std::size_t colon = rest.rfind(':');
  const auto ports = PortRange::parse(colon == std::string_view::npos ? rest : rest.substr(colon + 1));
  if (!ports) return invalid(text, ports.error().message());
  out.first.port = ports->first;
  out.count = ports->count;
  if (colon == std::string_view::npos) return out;
  std::string_view place = rest.substr(0, colon);
  const bool bracketed = place.starts_with('[') && place.ends_with(']') && place.size() > 2;
  if (bracketed) place = place.substr(1, place.size() - 2);
  const auto address = net::IpAddress::parse(place);
  if (!address) return invalid(text, address.error().message());
  if (bracketed != (place.find(':') != std::string_view::npos))
    return invalid(text, "an IPv6 address stands in brackets");
  if (address->is_multicast()) return invalid(text, "no visitor can connect to a multicast address");
  // [::] and 0.0.0.0 both listen on every address of both families: one spelling inside.
  if (!address->is_wildcard()) out.first.address = *address;
  return out;
}

std::string PublicPorts::text() const {
  if (automatic()) return std::string(kAuto);
  const std::string range = ports().text() + "/tcp";
  if (first.address.is_wildcard()) return range;
  const std::string address = first.address.text();
  return first.address.is_v4() ? address + ":" + range : "[" + address + "]:" + range;
}

net::Endpoint PublicPorts::nth(std::uint16_t index) const {
  NFR_ASSERT(index < count);
  return {first.address, net::Port{static_cast<std::uint16_t>(first.port.value + index)}};
}

bool PublicPorts::overlaps(const PublicPorts& other) const {
  const bool one_place =
      first.address == other.first.address || first.address.is_wildcard() || other.first.address.is_wildcard();
  const int end = first.port.value + count;
  const int other_end = other.first.port.value + other.count;
  return one_place && first.port.value < other_end && other.first.port.value < end;
}

}  // namespace nfr::core
