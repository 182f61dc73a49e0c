// SPDX-License-Identifier: GPL-2.0-only
// Preface, START, READY and REFUSED: round trips, every truncation, every flipped bit, and messages carried over
// to another channel, session, direction or key.
#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

#include "harness/sim/basics.hpp"
#include "proto/big_endian.hpp"
#include "proto/preface.hpp"
#include "proto/refuse.hpp"
#include "proto/start.hpp"

namespace nfr::proto {
namespace {

const sim::SimCrypto crypto;
const core::Key key{std::byte{1}, std::byte{2}};
const core::Key other_key{std::byte{1}, std::byte{3}};
const ChannelName channel{core::SessionId{0x1122334455667788}, NFR_PREFACE_POOL, 42};

Start sample_start() {
  return {core::MappingId{17}, *net::Endpoint::parse("[2001:db8::7]:40000"), *net::Endpoint::parse("203.0.113.5:8888"),
          core::FlowId{99}, 0};
}

TEST(Preface, RoundTripAndLayout) {
  const PrefaceBytes bytes = encode_preface(crypto, key, channel);
  EXPECT_EQ(static_cast<char>(bytes[0]), NFR_FIRST_BYTE_PREFACE);
  EXPECT_EQ(get<std::uint64_t>(bytes, 8), channel.session.value);
  EXPECT_EQ(get<std::uint64_t>(bytes, 16), 42U);
  auto parsed = parse_preface(bytes);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, channel);
  EXPECT_TRUE(verify_preface(crypto, key, bytes).ok());
  EXPECT_EQ(verify_preface(crypto, other_key, bytes).error().code(), Code::kDenied);
}

TEST(Preface, EveryFlippedBitAndEveryTruncationIsRefused) {
  const PrefaceBytes good = encode_preface(crypto, key, channel);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    PrefaceBytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_FALSE(parse_preface(bad).ok() && verify_preface(crypto, key, bad).ok()) << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_preface(std::span(good).first(size)).ok()) << size;
    EXPECT_FALSE(verify_preface(crypto, key, std::span(good).first(size)).ok()) << size;
  }
}

TEST(Preface, ErrorsNameWhatIsWrong) {
  const auto error_with = [](std::size_t at, std::uint8_t value) {
    PrefaceBytes bytes = encode_preface(crypto, key, channel);
    bytes[at] = std::byte{value};
    return parse_preface(bytes).error().message();
  };
  EXPECT_NE(error_with(0, 'X').find("magic"), std::string::npos);
  EXPECT_NE(error_with(4, 9).find("version 9"), std::string::npos);
  EXPECT_NE(error_with(5, 3).find("kind 3"), std::string::npos);
  EXPECT_NE(error_with(7, 1).find("reserved"), std::string::npos);
}

TEST(PskIdentity, RoundTripAndNothingElse) {
  const std::string text = psk_identity(channel.session, channel.number);
  EXPECT_EQ(text, "1122334455667788-000000000000002a");
  auto parsed = parse_psk_identity(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->session, channel.session);
  EXPECT_EQ(parsed->number, 42U);
  for (const char* bad : {"", "-", "1122334455667788-2a", "1122334455667788-000000000000002A",
                          "1122334455667788_000000000000002a", "1122334455667788-000000000000002a "}) {
    EXPECT_FALSE(parse_psk_identity(bad).ok()) << bad;
  }
}

TEST(StartMessage, RoundTripBothFamilies) {
  for (const char* visitor : {"[2001:db8::7]:40000", "198.51.100.9:1"}) {
    Start start = sample_start();
    start.visitor = *net::Endpoint::parse(visitor);
    auto decoded = decode_start(crypto, key, channel, encode_start(crypto, key, channel, start));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message();
    EXPECT_EQ(*decoded, start);
  }
}

TEST(StartMessage, EveryFlippedBitAndEveryTruncationIsRefused) {
  const StartBytes good = encode_start(crypto, key, channel, sample_start());
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    StartBytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_FALSE(decode_start(crypto, key, channel, bad).ok()) << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_start(crypto, key, channel, std::span(good).first(size)).ok()) << size;
  }
}

TEST(StartMessage, DoesNotFitAnotherChannelKeyOrDirection) {
  const StartBytes good = encode_start(crypto, key, channel, sample_start());
  ChannelName other = channel;
  other.number = 43;
  EXPECT_EQ(decode_start(crypto, key, other, good).error().code(), Code::kDenied);
  other = channel;
  other.kind = NFR_PREFACE_OPEN;
  EXPECT_FALSE(decode_start(crypto, key, other, good).ok());
  other = channel;
  other.session.value += 1;
  EXPECT_FALSE(decode_start(crypto, key, other, good).ok());
  EXPECT_FALSE(decode_start(crypto, other_key, channel, good).ok());
  EXPECT_FALSE(decode_answer(crypto, key, channel, std::span(good).first(NFR_ANSWER_BYTES)).ok());
}

TEST(AnswerMessage, RoundTripsOfEveryReason) {
  const Answer ready{core::FlowId{5}, std::nullopt, 1234};
  auto decoded = decode_answer(crypto, key, channel, encode_answer(crypto, key, channel, ready));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, ready);
  int count = 0;
  for (std::uint16_t number = 0; number < 100; ++number) {
    const auto reason = refuse_from_wire(number);
    if (!reason) continue;
    ++count;
    EXPECT_NE(refuse_name(*reason), "unknown");
    EXPECT_NE(refuse_text(*reason), "unknown reason");
    const Answer refused{core::FlowId{5}, reason, 0};
    auto again = decode_answer(crypto, key, channel, encode_answer(crypto, key, channel, refused));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, refused);
  }
  EXPECT_EQ(count, 11);
}

TEST(AnswerMessage, EveryFlippedBitAndEveryTruncationIsRefused) {
  const AnswerBytes good = encode_answer(crypto, key, channel, {core::FlowId{5}, RefuseReason::timeout, 7});
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    AnswerBytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_FALSE(decode_answer(crypto, key, channel, bad).ok()) << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_answer(crypto, key, channel, std::span(good).first(size)).ok()) << size;
  }
}

TEST(AnswerMessage, AReasonOfTheFutureIsRefusedEvenWithAGoodMac) {
  const AnswerBytes bytes = encode_answer(crypto, key, channel, {core::FlowId{5}, static_cast<RefuseReason>(77), 0});
  const auto decoded = decode_answer(crypto, key, channel, bytes);
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.error().message().find("77"), std::string::npos);
}

TEST(RefuseReason, FromErrno) {
  EXPECT_EQ(refuse_from_errno(ECONNREFUSED), RefuseReason::connection_refused);
  EXPECT_EQ(refuse_from_errno(ETIMEDOUT), RefuseReason::timeout);
  EXPECT_EQ(refuse_from_errno(EHOSTUNREACH), RefuseReason::unreachable);
  EXPECT_EQ(refuse_from_errno(EMFILE), RefuseReason::exhausted);
  EXPECT_EQ(refuse_from_errno(EPERM), RefuseReason::target_error);
}

TEST(Address, OneSpellingOnly) {
  std::array<std::byte, kAddressBytes> bytes{};
  put_address(bytes, 0, *net::Endpoint::parse("10.0.0.1:80"));
  EXPECT_TRUE(get_address(bytes, 0).ok());
  bytes[12] = std::byte{1};  // behind the four bytes of IPv4
  EXPECT_FALSE(get_address(bytes, 0).ok());
  std::array<std::byte, kAddressBytes> mapped{};
  mapped[0] = std::byte{6};
  mapped[14] = mapped[15] = std::byte{0xff};
  EXPECT_FALSE(get_address(mapped, 0).ok());
  mapped[0] = std::byte{5};
  EXPECT_FALSE(get_address(mapped, 0).ok());
}

}  // namespace
}  // namespace nfr::proto
