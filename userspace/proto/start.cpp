// SPDX-License-Identifier: GPL-2.0-only
// Codecs of START, READY and REFUSED. Called by the openings of both daemons on their loop threads. Reads nothing
// from a socket and decides nothing about targets.
#include "proto/start.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/text.hpp"
#include "proto/big_endian.hpp"

namespace nfr::proto {
namespace {

constexpr std::string_view kStartLabel = "nf start";
constexpr std::string_view kAnswerLabel = "nf answer";
constexpr std::size_t kStartMacAt = NFR_START_BYTES - NFR_MAC_BYTES;
constexpr std::size_t kAnswerMacAt = NFR_ANSWER_BYTES - NFR_MAC_BYTES;
constexpr std::size_t kVisitorAt = 20;
constexpr std::size_t kPublicAt = kVisitorAt + kAddressBytes;
constexpr std::size_t kFlowAt = kPublicAt + kAddressBytes;
static_assert(kFlowAt + 8 == kStartMacAt);

/// Over label, channel name and all fields before the MAC.
Mac message_mac(const core::Crypto& crypto, const core::Key& key, std::string_view label, const ChannelName& channel,
                std::span<const std::byte> fields) {
  std::array<std::byte, 17> name{};
  put<std::uint64_t>(name, 0, channel.session.value);
  put<std::uint8_t>(name, 8, channel.kind);
  put<std::uint64_t>(name, 9, channel.number);
  std::string input(label);
  input += as_text(name);
  input += as_text(fields);
  const core::Digest digest = crypto.hmac_sha256(key, as_bytes(input));
  Mac mac;
  std::copy_n(digest.begin(), mac.size(), mac.begin());
  return mac;
}

Status check_head(std::span<const std::byte> bytes, std::string_view what) {
  const auto version = get<std::uint8_t>(bytes, 1);
  if (version != NFR_WIRE_VERSION) {
    return Error(Code::kProtocol, fmt::format("{} of version {}, expected {}", what, version, NFR_WIRE_VERSION));
  }
  return {};
}

}  // namespace

StartBytes encode_start(const core::Crypto& crypto, const core::Key& key, const ChannelName& channel,
                        const Start& start) {
  StartBytes bytes{};
  put<std::uint8_t>(bytes, 0, NFR_KIND_START);
  put<std::uint8_t>(bytes, 1, NFR_WIRE_VERSION);
  put<std::uint16_t>(bytes, 2, start.flags);
  put<std::uint64_t>(bytes, 8, start.mapping.value);
  put_address(bytes, kVisitorAt, start.visitor);
  put_address(bytes, kPublicAt, start.public_endpoint);
  put<std::uint64_t>(bytes, kFlowAt, start.flow.value);
  std::ranges::copy(message_mac(crypto, key, kStartLabel, channel, std::span(bytes).first(kStartMacAt)),
                    bytes.begin() + kStartMacAt);
  return bytes;
}

Result<Start> decode_start(const core::Crypto& crypto, const core::Key& key, const ChannelName& channel,
                           std::span<const std::byte> bytes) {
  if (bytes.size() != NFR_START_BYTES) {
    return Error(Code::kProtocol, fmt::format("START of {} bytes, expected {}", bytes.size(), NFR_START_BYTES));
  }
  const Mac mac = message_mac(crypto, key, kStartLabel, channel, bytes.first(kStartMacAt));
  if (!crypto.equal(mac, bytes.subspan(kStartMacAt))) return Error(Code::kDenied, "START with a wrong MAC");
  if (auto head = check_head(bytes, "START"); !head) return head.error();
  if (get<std::uint8_t>(bytes, 0) != NFR_KIND_START) return Error(Code::kProtocol, "not a START message");
  if (get<std::uint32_t>(bytes, 4) != 0 || get<std::uint32_t>(bytes, 16) != 0) {
    return Error(Code::kProtocol, "reserved bytes of START are not zero");
  }
  auto visitor = get_address(bytes, kVisitorAt);
  if (!visitor) return visitor.error().context("visitor of START");
  auto public_endpoint = get_address(bytes, kPublicAt);
  if (!public_endpoint) return public_endpoint.error().context("public endpoint of START");
  return Start{core::MappingId{get<std::uint64_t>(bytes, 8)}, *visitor, *public_endpoint,
               core::FlowId{get<std::uint64_t>(bytes, kFlowAt)}, get<std::uint16_t>(bytes, 2)};
}

AnswerBytes encode_answer(const core::Crypto& crypto, const core::Key& key, const ChannelName& channel,
                          const Answer& answer) {
  AnswerBytes bytes{};
  put<std::uint8_t>(bytes, 0, answer.refused ? NFR_KIND_REFUSED : NFR_KIND_READY);
  put<std::uint8_t>(bytes, 1, NFR_WIRE_VERSION);
  put<std::uint16_t>(bytes, 2, answer.refused ? static_cast<std::uint16_t>(*answer.refused) : std::uint16_t{0});
  put<std::uint32_t>(bytes, 4, answer.dial_us);
  put<std::uint64_t>(bytes, 8, answer.flow.value);
  std::ranges::copy(message_mac(crypto, key, kAnswerLabel, channel, std::span(bytes).first(kAnswerMacAt)),
                    bytes.begin() + kAnswerMacAt);
  return bytes;
}

Result<Answer> decode_answer(const core::Crypto& crypto, const core::Key& key, const ChannelName& channel,
                             std::span<const std::byte> bytes) {
  if (bytes.size() != NFR_ANSWER_BYTES) {
    return Error(Code::kProtocol, fmt::format("answer of {} bytes, expected {}", bytes.size(), NFR_ANSWER_BYTES));
  }
  const Mac mac = message_mac(crypto, key, kAnswerLabel, channel, bytes.first(kAnswerMacAt));
  if (!crypto.equal(mac, bytes.subspan(kAnswerMacAt))) return Error(Code::kDenied, "answer with a wrong MAC");
  if (auto head = check_head(bytes, "answer"); !head) return head.error();
  const auto kind = get<std::uint8_t>(bytes, 0);
  const auto reason = get<std::uint16_t>(bytes, 2);
  Answer answer{core::FlowId{get<std::uint64_t>(bytes, 8)}, std::nullopt, get<std::uint32_t>(bytes, 4)};
  if (kind == NFR_KIND_READY && reason == 0) return answer;
  if (kind != NFR_KIND_REFUSED) {
    return Error(Code::kProtocol, fmt::format("answer of kind {} with reason {}", kind, reason));
  }
  answer.refused = refuse_from_wire(reason);
  if (!answer.refused) return Error(Code::kProtocol, fmt::format("REFUSED with unknown reason {}", reason));
  return answer;
}

}  // namespace nfr::proto
