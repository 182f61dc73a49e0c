// SPDX-License-Identifier: GPL-2.0-only
// Join lines: round trip, and every way a paste can go wrong has its own message.
#include "proto/join_line.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"

namespace nfr::proto {
namespace {

JoinLine sample() {
  JoinLine line;
  line.addresses = {"203.0.113.5:7707", "[2001:db8::5]:7707", "relay.example.org:7707"};
  line.pins[0].fill(std::byte{0x3F});
  line.pins[1].fill(std::byte{0xA0});
  line.name = "client1";
  line.token.fill(std::byte{7});
  return line;
}

TEST(JoinLine, RoundTripsAndIgnoresWhiteSpaceAround) {
  const std::string text = encode_join_line(sample());
  EXPECT_TRUE(text.starts_with("nf1."));
  const auto back = decode_join_line(" \n" + text + "\r\n");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, sample());
}

TEST(JoinLine, EveryCutIsRefused) {
  const std::string text = encode_join_line(sample());
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(decode_join_line(std::string_view(text).substr(0, length))) << length;
  }
}

TEST(JoinLine, EveryChangedCharacterIsRefused) {
  const std::string text = encode_join_line(sample());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(decode_join_line(changed)) << i;
  }
}

TEST(JoinLine, ErrorsSayWhatToDo) {
  const auto other = decode_join_line("nf2.AAAA");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message().find("nf1"), std::string::npos);
  const auto junk = decode_join_line("\x1b[31mhello");
  ASSERT_FALSE(junk);
  EXPECT_EQ(junk.error().message().find('\x1b'), std::string::npos);
  EXPECT_FALSE(decode_join_line(std::string(5000, 'A')));
}

TEST(JoinLine, FieldsThatNoRelayWouldWriteAreRefused) {
  JoinLine line = sample();
  line.name = "client 1\n";
  EXPECT_FALSE(decode_join_line(encode_join_line(line)));
  line = sample();
  line.addresses = {"203.0.113.5"};
  EXPECT_FALSE(decode_join_line(encode_join_line(line)));
}

}  // namespace
}  // namespace nfr::proto
