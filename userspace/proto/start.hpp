// SPDX-License-Identifier: GPL-2.0-only
// START and its answers READY / REFUSED: fixed-size, authenticated messages at the head of a channel; what follows
// READY are the visitor's bytes. Layouts in nfr/wire/wire.h. The MAC covers the channel's name, so that a message
// cannot be carried over to another channel. Pure functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "core/nouns.hpp"
#include "core/seams.hpp"
#include "net/address.hpp"
#include "proto/preface.hpp"
#include "proto/refuse.hpp"

namespace nfr::proto {

/// Relay -> agent: this channel now carries that visitor.
struct Start {
  core::MappingId mapping;
  net::Endpoint visitor;
  net::Endpoint public_endpoint;
  core::FlowId flow;
  std::uint16_t flags = 0;  ///< none defined in version 1
  bool operator==(const Start&) const = default;
};

/// Agent -> relay: READY, or REFUSED with a reason.
struct Answer {
  core::FlowId flow;
  std::optional<RefuseReason> refused;  ///< nothing: READY
  std::uint32_t dial_us = 0;            ///< time to connect to the target, capped at 2^32-1
  bool operator==(const Answer&) const = default;
};

using StartBytes = std::array<std::byte, NFR_START_BYTES>;
using AnswerBytes = std::array<std::byte, NFR_ANSWER_BYTES>;

/// `key` is SessionKeys::to_agent.
StartBytes encode_start(const core::Crypto& crypto, const core::Key& key, const ChannelName& channel,
                        const Start& start);
/// The MAC first (kDenied), then every field (kProtocol).
Result<Start> decode_start(const core::Crypto& crypto, const core::Key& key, const ChannelName& channel,
                           std::span<const std::byte> bytes);

/// `key` is SessionKeys::to_relay.
AnswerBytes encode_answer(const core::Crypto& crypto, const core::Key& key, const ChannelName& channel,
                          const Answer& answer);
/// The MAC first (kDenied), then every field (kProtocol). The flow is the caller's to compare.
Result<Answer> decode_answer(const core::Crypto& crypto, const core::Key& key, const ChannelName& channel,
                             std::span<const std::byte> bytes);

}  // namespace nfr::proto
