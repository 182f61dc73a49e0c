// SPDX-License-Identifier: GPL-2.0-only
// Codec of the preface. Called by the agent's openings and by the relay's tunnel acceptor, on any thread. Does not
// judge whether a number was issued or used before: that is policy.
#include "proto/preface.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "base/text.hpp"
#include "proto/big_endian.hpp"

namespace nfr::proto {
namespace {

constexpr std::string_view kMagic = "NFP1";
constexpr std::string_view kLabel = "nf preface";
constexpr std::size_t kMacAt = NFR_PREFACE_BYTES - NFR_MAC_BYTES;

Mac preface_mac(const core::Crypto& crypto, const core::Key& key, std::span<const std::byte> bytes) {
  std::string input(kLabel);
  input += as_text(bytes.first(kMacAt));
  const core::Digest digest = crypto.hmac_sha256(key, as_bytes(input));
  Mac mac;
  std::copy_n(digest.begin(), mac.size(), mac.begin());
  return mac;
}

/// Exactly 16 lower-case hex digits.
std::optional<std::uint64_t> parse_hex64(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return std::nullopt;
    value = (value << 4) | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

}  // namespace

std::string psk_identity(core::SessionId session, std::uint64_t number) {
  return fmt::format("{:016x}-{:016x}", session.value, number);
}

Result<ChannelName> parse_psk_identity(std::string_view text) {
  if (text.size() == 33 && text[16] == '-') {
    const auto session = parse_hex64(text.substr(0, 16));
    const auto number = parse_hex64(text.substr(17));
    if (session && number) return ChannelName{core::SessionId{*session}, NFR_PREFACE_OPEN, *number};
  }
  return Error(Code::kProtocol, fmt::format("channel identity \"{}\" is not SESSION-NUMBER in hex", escape(text)));
}

PrefaceBytes encode_preface(const core::Crypto& crypto, const core::Key& key, const Preface& preface) {
  PrefaceBytes bytes{};
  std::ranges::copy(as_bytes(kMagic), bytes.begin());
  put<std::uint8_t>(bytes, 4, NFR_WIRE_VERSION);
  put<std::uint8_t>(bytes, 5, preface.kind);
  put<std::uint64_t>(bytes, 8, preface.session.value);
  put<std::uint64_t>(bytes, 16, preface.number);
  std::ranges::copy(preface_mac(crypto, key, bytes), bytes.begin() + kMacAt);
  return bytes;
}

Result<Preface> parse_preface(std::span<const std::byte> bytes) {
  if (bytes.size() != NFR_PREFACE_BYTES) {
    return Error(Code::kProtocol, fmt::format("preface of {} bytes, expected {}", bytes.size(), NFR_PREFACE_BYTES));
  }
  if (as_text(bytes.first(kMagic.size())) != kMagic) return Error(Code::kProtocol, "preface without magic NFP1");
  const auto version = get<std::uint8_t>(bytes, 4);
  if (version != NFR_WIRE_VERSION) {
    return Error(Code::kProtocol, fmt::format("preface of version {}, this side speaks {}", version, NFR_WIRE_VERSION));
  }
  const auto kind = get<std::uint8_t>(bytes, 5);
  if (kind != NFR_PREFACE_OPEN && kind != NFR_PREFACE_POOL) {
    return Error(Code::kProtocol, fmt::format("preface of unknown kind {}", kind));
  }
  if (get<std::uint16_t>(bytes, 6) != 0) return Error(Code::kProtocol, "reserved bytes of the preface are not zero");
  return Preface{core::SessionId{get<std::uint64_t>(bytes, 8)}, kind, get<std::uint64_t>(bytes, 16)};
}

Status verify_preface(const core::Crypto& crypto, const core::Key& key, std::span<const std::byte> bytes) {
  if (bytes.size() != NFR_PREFACE_BYTES) return Error(Code::kProtocol, "preface of wrong size");
  if (!crypto.equal(preface_mac(crypto, key, bytes), bytes.subspan(kMacAt))) {
    return Error(Code::kDenied, "preface with a wrong MAC");
  }
  return {};
}

}  // namespace nfr::proto
