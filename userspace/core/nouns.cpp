// SPDX-License-Identifier: GPL-2.0-only
#include "core/nouns.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::core {

Result<std::string> parse_agent_name(std::string_view text) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool good = !text.empty() && text.size() <= 32 && alphanumeric(text[0]);
  for (const char c : text) good = good && (alphanumeric(c) || c == '-' || c == '_' || c == '.');
  if (good) return std::string(text);
  return Error(Code::kInvalid,
               fmt::format("'{}' is not an agent name: 1 to 32 of a-z 0-9 - _ . beginning with a letter "
                           "or digit, such as client1",
                           escape(text, 64)));
}

Result<Target> Target::parse(std::string_view text) {
  constexpr std::string_view kLocalhost = "localhost:";
  const bool named = text.starts_with(kLocalhost);
  if (named || text.find(':') == std::string_view::npos) {
    const auto port = net::parse_port(named ? text.substr(kLocalhost.size()) : text);
    if (!port) return port.error().context("target");
    return Target{{net::IpAddress::v4(0x7F000001), *port}};
  }
  const auto endpoint = net::Endpoint::parse(text);
  if (!endpoint) return endpoint.error().context("target (PORT or ADDRESS:PORT)");
  if (endpoint->address.is_wildcard() || endpoint->address.is_multicast()) {
    return Error(Code::kInvalid, fmt::format("target '{}': no machine has this address", escape(text)));
  }
  return Target{*endpoint};
}

Result<net::Endpoint> parse_public(std::string_view text) {
  if (text.ends_with("/tcp")) text.remove_suffix(4);
  if (text.find(':') == std::string_view::npos) {
    const auto port = net::parse_port(text);
    if (!port) return port.error().context("public endpoint");
    return net::Endpoint{net::IpAddress{}, *port};
  }
  const auto endpoint = net::Endpoint::parse(text);
  if (!endpoint) return endpoint.error().context("public endpoint (PORT or ADDRESS:PORT)");
  return *endpoint;
}

std::string public_text(const net::Endpoint& endpoint) {
  if (endpoint.address.is_wildcard()) return fmt::format("{}/tcp", endpoint.port.value);
  return endpoint.text() + "/tcp";
}

std::string_view leg_name(Leg leg) { return leg == Leg::kPlain ? "plain" : "tls"; }

Result<Leg> parse_leg(std::string_view text) {
  if (text == "plain") return Leg::kPlain;
  if (text == "tls") return Leg::kTls;
  return Error(Code::kInvalid, fmt::format("leg '{}': expected plain or tls", escape(text, 32)));
}

std::string_view flow_end_name(FlowEnd end) {
  switch (end) {
    case FlowEnd::kFinished: return "finished";
    case FlowEnd::kVisitorReset: return "reset by visitor";
    case FlowEnd::kAgentReset: return "reset by agent";
    case FlowEnd::kIdle: return "idle timeout";
    case FlowEnd::kCut: return "cut";
    case FlowEnd::kShutdown: return "relay stopped";
  }
  return "unknown";
}

}  // namespace nfr::core
