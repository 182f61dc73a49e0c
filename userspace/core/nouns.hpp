// SPDX-License-Identifier: GPL-2.0-only
// The nouns of Netferry as values: agents, mappings, sessions, flows. No behaviour beyond parsing and naming.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "base/result.hpp"
#include "core/public_ports.hpp"
#include "core/target.hpp"
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

/// How bytes travel between relay and agent.
enum class Leg : std::uint8_t { kPlain, kTls };
std::string_view leg_name(Leg leg);
Result<Leg> parse_leg(std::string_view text);

/// The header that tells a target who the visitor is (PROXY protocol), sent by the agent before the visitor's bytes.
enum class ProxyHeader : std::uint8_t { kNone, kV1, kV2 };
std::string_view proxy_header_name(ProxyHeader header);  ///< "none", "v1", "v2"
Result<ProxyHeader> parse_proxy_header(std::string_view text);

/// Which visitors a mapping takes. A source is an IPv4 address or an IPv6 /64.
struct Admission {
  std::vector<net::Network> allow;         ///< empty: everybody
  std::vector<net::Network> deny;          ///< wins over allow
  std::uint32_t flows_max = 0;             ///< at once; 0: no limit of its own
  std::uint32_t flows_per_source_max = 0;  ///< at once; 0: no limit
  std::uint32_t rate_per_source = 0;       ///< new flows a second, and as many in a burst; 0: no limit
  /// Who may come is decided by the relay: the service behind relies on it.
  bool selects() const { return !allow.empty() || !deny.empty(); }
  bool operator==(const Admission&) const = default;
};

/// Who made a mapping, and so who may take it back.
enum class Origin : std::uint8_t {
  kOperator,  ///< nfctl
  kAgent,     ///< the agent's own wish (`nfagent expose`, agent.toml), within its rights
};

struct Mapping {
  MappingId id;
  PublicPorts public_ports;  ///< never automatic: the port has been chosen
  AgentId agent;
  Target target;           ///< as many ports as public_ports, or a unix socket
  std::optional<Leg> leg;  ///< what was asked for; nothing: chosen by rule
  Millis idle_timeout{0};  ///< 0: never
  ProxyHeader proxy = ProxyHeader::kNone;
  Admission admission;
  Origin origin = Origin::kOperator;
  bool automatic = false;           ///< the relay chose the port
  std::optional<WallTime> expires;  ///< it ends by itself then
  WallTime created;
  bool operator==(const Mapping&) const = default;
};

/// A port the relay once chose: it belongs to the agent and target, also while no mapping uses it.
struct PortMemory {
  AgentId agent;
  std::string target;  ///< Target::text()
  net::Port port;
  bool operator==(const PortMemory&) const = default;
};

/// What an agent may ask for by itself. Mappings of the operator are not bound by it.
struct Rights {
  std::vector<PortRange> ports;     ///< public ports it may name
  bool automatic = true;            ///< it may ask for a port of the relay's choice
  std::uint32_t mappings_max = 16;  ///< of its own making
  std::uint32_t flows_max = 0;      ///< at once, over all its mappings; 0: no limit of its own
  bool operator==(const Rights&) const = default;
};

/// One agent the relay knows. Only hashes and public keys: a stolen database impersonates nobody.
struct AgentRecord {
  AgentId id;
  std::string name;
  std::optional<Pin> key;            ///< bound at enrolment
  std::optional<Digest> token_hash;  ///< SHA-256 of an unused join token
  WallTime token_expires;            ///< meaningful with token_hash
  bool revoked = false;
  Rights rights;
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
