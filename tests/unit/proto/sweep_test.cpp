// SPDX-License-Identifier: GPL-2.0-only
// Every byte of every valid message changed to every other value: what carries a MAC or a checksum is never accepted,
// text is refused or encodes again, and an error is a line that can be printed. Truncations are in the tests beside it.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "base/text.hpp"
#include "harness/scale.hpp"
#include "harness/sim/basics.hpp"
#include "proto/join_line.hpp"
#include "proto/message.hpp"
#include "proto/start.hpp"

namespace nfr::proto {
namespace {

const sim::SimCrypto crypto;
const core::Key key{std::byte{1}, std::byte{2}};
const ChannelName channel{core::SessionId{0x1122334455667788}, NFR_PREFACE_POOL, 42};

/// Each byte becomes each other value; with NFR_SCALE below 1, as many of them as that leaves, the nearest among them.
void for_each_change(const std::string& good, const std::function<void(const std::string&)>& check) {
  const int stride = 256 / static_cast<int>(test::scaled(256, 4));
  std::string bytes = good;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int step = 1; step < 256; step += stride) {
      bytes[at] = static_cast<char>(static_cast<unsigned char>(good[at]) + step);
      check(bytes);
    }
    bytes[at] = good[at];
  }
}

std::string text_of(std::span<const std::byte> bytes) { return std::string(as_text(bytes)); }

TEST(Sweep, NoChangedPrefaceIsGenuine) {
  for_each_change(text_of(encode_preface(crypto, key, channel)), [](const std::string& bytes) {
    const bool accepted = parse_preface(as_bytes(bytes)).ok() && verify_preface(crypto, key, as_bytes(bytes)).ok();
    ASSERT_FALSE(accepted) << hex(as_bytes(bytes));
  });
}

TEST(Sweep, NoChangedStartIsGenuine) {
  for (const char* visitor : {"[2001:db8::7]:40000", "198.51.100.9:1"}) {
    const Start start{core::MappingId{17}, *net::Endpoint::parse(visitor), *net::Endpoint::parse("203.0.113.5:8888"),
                      core::FlowId{99}, 0};
    for_each_change(text_of(encode_start(crypto, key, channel, start)), [](const std::string& bytes) {
      const auto decoded = decode_start(crypto, key, channel, as_bytes(bytes));
      ASSERT_FALSE(decoded) << hex(as_bytes(bytes));
      ASSERT_EQ(decoded.error().code(), Code::kDenied) << "the MAC is judged before any field";
    });
  }
}

TEST(Sweep, NoChangedAnswerIsGenuine) {
  for (const auto& refused : {std::optional<RefuseReason>(), std::optional(RefuseReason::timeout)}) {
    for_each_change(text_of(encode_answer(crypto, key, channel, {core::FlowId{5}, refused, 7})),
                    [](const std::string& bytes) {
                      const auto decoded = decode_answer(crypto, key, channel, as_bytes(bytes));
                      ASSERT_FALSE(decoded) << hex(as_bytes(bytes));
                      ASSERT_EQ(decoded.error().code(), Code::kDenied);
                    });
  }
}

TEST(Sweep, NoChangedJoinLineIsAccepted) {
  JoinLine line;
  line.addresses = {"203.0.113.5:7707", "relay.example.org:7707"};
  line.name = "client1";
  line.token.fill(std::byte{7});
  const std::string good = encode_join_line(line);
  for_each_change(good, [](const std::string& text) {
    const auto decoded = decode_join_line(text);
    ASSERT_FALSE(decoded) << escape(text);
    for (const char c : decoded.error().message()) ASSERT_TRUE(c < 0 || (c >= 0x20 && c != 0x7F)) << escape(text);
  });
}

TEST(Sweep, AChangedSessionMessageIsRefusedOrAnotherOne) {
  std::array<core::Pin, 2> pins{};
  pins[1].fill(std::byte{9});
  const auto target = *core::Target::parse("192.168.1.123:3306");
  Hello hello{{1, 1}, {0xFEDCBA9876543210}, "nfagent 0.1.0", core::Leg::kTls, {}};
  hello.enroll = Hello::Enroll{"client1", std::string("\0\xFFtoken", 7)};
  const std::vector<Message> messages = {hello,
                                         Welcome{1, "client1", {42}, 5000, pins},
                                         Bye{ByeCode::kBadToken, "used"},
                                         Ping{UINT64_MAX},
                                         Open{1, {3}, target, core::Leg::kTls},
                                         ProbeResult{6, 0, 400}};
  for (const Message& message : messages) {
    for_each_change(encode(message), [](const std::string& text) {
      const auto decoded = decode(text);
      if (!decoded) {
        ASSERT_EQ(decoded.error().code(), Code::kProtocol);
        return;
      }
      const auto again = decode(encode(*decoded));
      ASSERT_TRUE(again) << escape(text);
      ASSERT_EQ(again->index(), decoded->index());
    });
  }
}

}  // namespace
}  // namespace nfr::proto
