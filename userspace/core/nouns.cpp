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

std::string_view leg_name(Leg leg) { return leg == Leg::kPlain ? "plain" : "tls"; }

Result<Leg> parse_leg(std::string_view text) {
  if (text == "plain") return Leg::kPlain;
  if (text == "tls") return Leg::kTls;
  return Error(Code::kInvalid, fmt::format("leg '{}': expected plain or tls", escape(text, 32)));
}

std::string_view proxy_header_name(ProxyHeader header) {
  switch (header) {
    case ProxyHeader::kNone: return "none";
    case ProxyHeader::kV1: return "v1";
    case ProxyHeader::kV2: return "v2";
  }
  return "none";
}

Result<ProxyHeader> parse_proxy_header(std::string_view text) {
  for (const ProxyHeader header : {ProxyHeader::kNone, ProxyHeader::kV1, ProxyHeader::kV2}) {
    if (text == proxy_header_name(header)) return header;
  }
  return Error(Code::kInvalid, fmt::format("PROXY protocol '{}': expected v1, v2 or none", escape(text, 32)));
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
