// SPDX-License-Identifier: GPL-2.0-only
// Session messages: round trip of each kind, and what a hostile or newer peer may send.
#include "proto/message.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace nfr::proto {
namespace {

std::vector<Message> one_of_each() {
  const auto target = core::Target::parse("192.168.1.123:3306");
  Hello hello{{1, 1}, {0xFEDCBA9876543210}, "nfagent 0.1.0", core::Leg::kTls, {}};
  hello.keeps_channels = true;
  hello.enroll = Hello::Enroll{"client1", std::string("\0\xFFtoken", 7)};
  std::array<core::Pin, 2> pins{};
  pins[1].fill(std::byte{9});
  return {hello,
          Welcome{1, "client1", {42}, 5000, pins},
          Bye{ByeCode::kBadToken, "used"},
          Ping{UINT64_MAX},
          Pong{7},
          Notice{"two machines"},
          Pins{pins},
          Open{0x8000000000000001, {3}, *target, core::Leg::kTls},
          Open{0x8000000000000002, {3}, *target, core::Leg::kTls, core::ProxyHeader::kV2, Millis{75'000}},
          OpenFailed{5, 4},
          Probe{6, *target},
          ProbeResult{6, 0, 400}};
}

TEST(Message, EachKindRoundTrips) {
  for (const Message& message : one_of_each()) {
    const std::string text = encode(message);
    const auto back = decode(text);
    ASSERT_TRUE(back) << text << ": " << back.error().message();
    EXPECT_EQ(back->index(), message.index());
    EXPECT_EQ(encode(*back), text);
  }
}

TEST(Message, EveryTruncationIsAnErrorAndEveryFlipIsHandled) {
  for (const Message& message : one_of_each()) {
    const std::string text = encode(message);
    for (std::size_t i = 0; i < text.size(); ++i) {
      EXPECT_FALSE(decode(text.substr(0, i))) << text.substr(0, i);
      for (const int bit : {0, 3, 7}) {
        std::string changed = text;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        // Either refused or another valid message; never a crash, and it encodes again.
        const auto parsed = decode(changed);
        EXPECT_TRUE(!parsed || !encode(*parsed).empty());
      }
    }
  }
}

TEST(Message, UnknownFieldsAreSkippedCriticalOnesRefused) {
  EXPECT_TRUE(decode(R"({"type":"ping","number":1,"colour":"red"})"));
  const auto critical = decode(R"({"type":"ping","number":1,"must!":1})");
  ASSERT_FALSE(critical);
  EXPECT_NE(critical.error().message().find("must!"), std::string::npos);
}

TEST(Message, AnOpenOfTheFirstPeersMeansAVisitorThatIsThere) {
  const std::string start = R"({"type":"open","number":"0000000000000001","mapping":"0000000000000001",)"
                            R"("target":"127.0.0.1:1","leg":"tls")";
  EXPECT_EQ(std::get<Open>(*decode(start + "}")).wait, Millis{0});
  EXPECT_EQ(std::get<Open>(*decode(start + R"(,"wait_ms":5000})")).wait, Millis{5000});
  for (const char* wait : {"3600001", "-1", "true", "\"5\""}) {
    const auto parsed = decode(start + ",\"wait_ms\":" + wait + "}");
    ASSERT_FALSE(parsed) << wait;
    EXPECT_NE(parsed.error().message().find("wait_ms"), std::string::npos);
  }
  EXPECT_FALSE(decode(R"({"type":"hello","version":1,"instance":"0000000000000001","software":"x","leg_min":"plain",)"
                      R"("keeps_channels":1})"));
}

TEST(Message, FaultsNameTheField) {
  for (const char* text : {R"({"type":"open","number":"01","mapping":"0000000000000001","target":"1","leg":"tls"})",
                           R"({"type":"ping","number":-1})", R"({"type":"ping"})", R"({"type":"ping","number":"x"})"}) {
    const auto parsed = decode(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message().find("number"), std::string::npos) << parsed.error().message();
  }
}

TEST(Message, HostileTextNeverReachesTheErrorRaw) {
  const auto parsed = decode("{\"type\":\"\\u001b[2Jx\"}");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message().find('\x1b'), std::string::npos);
  EXPECT_FALSE(decode("[]"));
  EXPECT_FALSE(decode(""));
  EXPECT_FALSE(decode(std::string(60000, '[')));
}

TEST(Message, AnUnknownByeCodeIsStillABye) {
  const auto parsed = decode(R"({"type":"bye","code":"from_the_future","text":"x"})");
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(std::holds_alternative<Bye>(*parsed));
}

}  // namespace
}  // namespace nfr::proto
