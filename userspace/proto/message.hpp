// SPDX-License-Identifier: GPL-2.0-only
// Messages of a session, between agent and relay, as values; their JSON text is inside encode and decode only.
// Low rate and readable by design. Unknown fields are skipped, except that a field whose name ends in '!' is
// critical: a peer that does not know it refuses the message. Pure codec. Described in docs/wire-protocol.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "core/nouns.hpp"
#include "proto/version.hpp"

namespace nfr::proto {

/// Agent's first message.
struct Hello {
  struct Enroll {
    std::string name;
    std::string token;  ///< raw bytes
  };
  VersionRange versions;      ///< what the agent speaks
  core::InstanceId instance;  ///< random per process start
  std::string software;       ///< for people: "nfagent 0.1.0"
  core::Leg leg_min = core::Leg::kPlain;
  std::optional<Enroll> enroll;  ///< only while its key is unknown to the relay
  bool keeps_channels = false;   ///< knows Open::wait: a channel may be asked for before its visitor is there
};

/// Relay's answer to a good hello.
struct Welcome {
  std::uint32_t version = 0;  ///< what this session speaks
  std::string name;
  core::SessionId session;
  std::uint32_t heartbeat_ms = 0;
  std::array<core::Pin, 2> pins{};
};

/// Why a side ends the session; sent before it closes.
enum class ByeCode { kVersion, kUnknownKey, kBadToken, kRevoked, kSuperseded, kDuplicate, kProtocol, kBusy, kStopping };
std::string_view bye_code_name(ByeCode code);
struct Bye {
  ByeCode code = ByeCode::kProtocol;
  std::string text;  ///< for people: what happened and what to do
};

struct Ping {
  std::uint64_t number = 0;
};
struct Pong {
  std::uint64_t number = 0;
};
/// Something people at the agent should read, such as "another machine uses this identity".
struct Notice {
  std::string text;
};
/// New pins of the relay, to be stored before the next login.
struct Pins {
  std::array<core::Pin, 2> pins{};
};

/// Relay asks for a channel: connect to the tunnel port with a preface of kind OPEN and this number.
struct Open {
  std::uint64_t number = 0;
  core::MappingId mapping;
  core::Target target;  ///< one port
  core::Leg leg = core::Leg::kPlain;
  core::ProxyHeader proxy = core::ProxyHeader::kNone;  ///< what the agent sends to the target first
  Millis wait{0};  ///< the channel is to stand ready for a visitor so long; 0: the visitor is there
  bool operator==(const Open&) const = default;
};
/// Agent cannot or will not open it; reason is one of NFR_REFUSE_REASONS.
struct OpenFailed {
  std::uint64_t number = 0;
  std::uint16_t reason = 0;
};
/// Relay asks whether a target answers.
struct Probe {
  std::uint64_t number = 0;
  core::Target target;                                 ///< one port
  core::ProxyHeader proxy = core::ProxyHeader::kNone;  ///< sent with the command LOCAL (v2) or UNKNOWN (v1)
};
struct ProbeResult {
  std::uint64_t number = 0;
  std::uint16_t reason = 0;  ///< 0: the target accepted a connection
  std::uint32_t dial_us = 0;
};

/// One mapping an agent wishes for.
struct Wish {
  core::PublicPorts ports;  ///< may be automatic
  core::Target target;
  std::optional<core::Leg> leg;
  core::ProxyHeader proxy = core::ProxyHeader::kNone;
  bool operator==(const Wish&) const = default;
};
/// All the agent wishes for at present: what it declared before and is not in the list ends.
struct Declare {
  std::uint64_t serial = 0;
  std::vector<Wish> wishes;  ///< at most NFR_WISHES_MAX
};
/// What became of each wish, in order.
struct Declared {
  struct Outcome {
    std::string address;  ///< "203.0.113.5:31207" as visitors dial it; empty on an error
    std::string error;    ///< for people
  };
  std::uint64_t serial = 0;
  std::vector<Outcome> outcomes;
};

using Message = std::variant<Hello, Welcome, Bye, Ping, Pong, Notice, Pins, Open, OpenFailed, Probe, ProbeResult,
                             Declare, Declared>;

std::string encode(const Message& message);
/// kProtocol with the field at fault; text is a peer's, the error is safe to log.
Result<Message> decode(std::string_view text);

}  // namespace nfr::proto
