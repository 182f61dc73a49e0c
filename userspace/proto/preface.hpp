// SPDX-License-Identifier: GPL-2.0-only
// The preface: the first 40 bytes of every channel, telling the relay which session it belongs to. Layout in
// nfr/wire/wire.h. The agent encodes; the relay parses, looks the session up, then checks the MAC. Pure, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "core/nouns.hpp"
#include "core/seams.hpp"
#include "nfr/wire/wire.h"

namespace nfr::proto {

/// Names one channel for ever: no two channels share all three. Part of every MAC on it.
struct ChannelName {
  core::SessionId session;
  std::uint8_t kind = NFR_PREFACE_OPEN;  ///< NFR_PREFACE_OPEN or NFR_PREFACE_POOL
  std::uint64_t number = 0;              ///< OPEN: issued by the relay; POOL: rising counter of the agent
  auto operator<=>(const ChannelName&) const = default;
};

/// The TLS PSK identity of a channel: session and number, "SESSION-NUMBER", 16 hex digits each.
std::string psk_identity(core::SessionId session, std::uint64_t number);
/// kProtocol when the text is anything else. `kind` of the result is not meaningful.
Result<ChannelName> parse_psk_identity(std::string_view text);

using Preface = ChannelName;
using PrefaceBytes = std::array<std::byte, NFR_PREFACE_BYTES>;
using Mac = std::array<std::byte, NFR_MAC_BYTES>;

/// `key` is SessionKeys::to_relay.
PrefaceBytes encode_preface(const core::Crypto& crypto, const core::Key& key, const Preface& preface);

/// Checks everything but the MAC: size, magic, version, kind, zero fields. kProtocol names what is wrong.
Result<Preface> parse_preface(std::span<const std::byte> bytes);

/// kDenied when the MAC is not the one under `key`. To be called on bytes that parse_preface() accepted.
Status verify_preface(const core::Crypto& crypto, const core::Key& key, std::span<const std::byte> bytes);

}  // namespace nfr::proto
