// SPDX-License-Identifier: GPL-2.0-only
// The nouns of Netferry as values: agents, mappings, sessions, flows. No behaviour beyond parsing and naming.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "base/result.hpp"
#include "net/address.hpp"

namespace nfr::core {

using AgentId = Id<struct AgentTag>;        ///< row in the store; never reused
using MappingId = Id<struct MappingTag>;    ///< row in the store; never reused
using SessionId = Id<struct SessionTag>;    ///< random, one per login
using FlowId = Id<struct FlowTag>;          ///< counts up from relay start
using LinkId = Id<struct LinkTag>;          ///< one accepted TLS connection on the relay
using InstanceId = Id<struct InstanceTag>;  ///< random per agent process start

using Digest = std::array<std::byte, 32>;  ///< SHA-256
using Key = std::array<std::byte, 32>;     ///< symmetric key
using Pin = Digest;                        ///< SHA-256 of a SubjectPublicKeyInfo

/// 1..32 characters of a-z 0-9 - _ . beginning with a letter or digit.
Result<std::string> parse_agent_name(std::string_view text);

/// What an agent dials: an IP address (127.0.0.1 where only a port is given) and a port.
struct Target {
  net::Endpoint endpoint;
  /// "3306", "192.168.1.123:3306", "[::1]:3306", "localhost:3306".
  static Result<Target> parse(std::string_view text);
  std::string text() const { return endpoint.text(); }
  auto operator<=>(const Target&) const = default;
};

/// A public endpoint; the wildcard address means every address of the relay, both families.
/// "8888", "1.2.3.4:8888", "[2001:db8::1]:8888".
Result<net::Endpoint> parse_public(std::string_view text);
std::string public_text(const net::Endpoint& endpoint);  ///< "8888/tcp" or "1.2.3.4:8888/tcp"

/// How bytes travel between relay and agent.
enum class Leg : std::uint8_t { kPlain, kTls };
std::string_view leg_name(Leg leg);
Result<Leg> parse_leg(std::string_view text);

struct Mapping {
  MappingId id;
  net::Endpoint public_endpoint;
  AgentId agent;
  Target target;
  std::optional<Leg> leg;  ///< what the operator asked for; nothing: chosen by rule
  Millis idle_timeout{0};  ///< 0: never
  WallTime created;
};

/// One agent the relay knows. Only hashes and public keys: a stolen database impersonates nobody.
struct AgentRecord {
  AgentId id;
  std::string name;
  std::optional<Pin> key;            ///< bound at enrolment
  std::optional<Digest> token_hash;  ///< SHA-256 of an unused join token
  WallTime token_expires;            ///< meaningful with token_hash
  bool revoked = false;
  WallTime created;
};

/// Why a flow ended; shown by `nfctl flows --recent`.
enum class FlowEnd : std::uint8_t {
  kFinished,      ///< both directions ended by FIN
  kVisitorReset,  ///< RST or error from the visitor
  kAgentReset,    ///< RST or error from the channel
  kIdle,          ///< idle timeout of the mapping
  kCut,           ///< unmap --now, revoke or kill
  kShutdown,      ///< the process stops
};
std::string_view flow_end_name(FlowEnd end);

}  // namespace nfr::core
