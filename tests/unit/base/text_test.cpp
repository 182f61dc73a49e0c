// SPDX-License-Identifier: GPL-2.0-only
// Text from strangers: what escape() lets through and what not, both codecs with every byte, and figures for people.
#include "base/text.hpp"

#include <gtest/gtest.h>

namespace nfr {
namespace {

using namespace std::chrono_literals;

TEST(Escape, PlainTextOfAnyScriptStays) {
  for (const char* text : {"client-1.home", "a \"quoted\" 'word'", "gr\xc3\xbc\xc3\x9f", "\xe6\x97\xa5\xe6\x9c\xac",
                           "\xf0\x9f\x98\x80", "dash \xe2\x80\x94 and \xe2\x80\x98quotes\xe2\x80\x99"}) {
    EXPECT_EQ(escape(text), text);
  }
}

TEST(Escape, WhateverATerminalObeysIsSpeltOut) {
  EXPECT_EQ(escape("a\nb\r\t"), "a\\x0ab\\x0d\\x09");
  EXPECT_EQ(escape("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(escape("\x7f"), "\\x7f");
  EXPECT_EQ(escape(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(escape("\xc2\x9b"
                   "31m"),
            "\\xc2\\x9b31m")
      << "C1 control sequence introducer";
  EXPECT_EQ(escape("\\x1b"), "\\x5cx1b") << "a backslash of the peer is not one of ours";
}

TEST(Escape, WhatReordersOrHidesIsSpeltOut) {
  const std::string_view hidden[] = {
      "\xe2\x80\x8b",      // zero width space
      "\xe2\x80\x8f",      // right-to-left mark
      "\xe2\x80\xa8",      // line separator
      "\xe2\x80\xae",      // right-to-left override
      "\xe2\x81\xa0",      // word joiner
      "\xe2\x81\xa6",      // left-to-right isolate
      "\xe2\x81\xa9",      // pop isolate
      "\xd8\x9c",          // Arabic letter mark
      "\xef\xbb\xbf",      // byte order mark
      "\xf3\xa0\x81\x81",  // tag letter
  };
  for (const std::string_view text : hidden) {
    const std::string escaped = escape(text);
    EXPECT_EQ(escaped.size(), text.size() * 4) << escaped;
    EXPECT_TRUE(escaped.starts_with("\\x")) << escaped;
  }
}

TEST(Escape, BytesThatAreNotUtf8AreSpeltOut) {
  EXPECT_EQ(escape("\xff"), "\\xff");
  EXPECT_EQ(escape("\xc0\xaf"), "\\xc0\\xaf") << "overlong slash";
  EXPECT_EQ(escape("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(escape("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(escape("\xe6\x97"), "\\xe6\\x97") << "cut in the middle";
  EXPECT_EQ(escape("\xe6\x97X"), "\\xe6\\x97X");
}

TEST(Escape, EverySingleByteGivesPrintableAscii) {
  for (int value = 0; value < 256; ++value) {
    const char byte = static_cast<char>(value);
    for (const char c : escape({&byte, 1})) EXPECT_TRUE(c >= 0x20 && c < 0x7F) << value;
  }
}

TEST(Escape, LongTextIsCutBetweenCharacters) {
  EXPECT_EQ(escape("abcdef", 3), "abc...");
  EXPECT_EQ(escape("abc", 3), "abc");
  EXPECT_EQ(escape("ab\xe6\x97\xa5", 4), "ab...") << "no half of a character";
  EXPECT_EQ(escape("ab\n", 5), "ab...") << "no half of an escape";
  EXPECT_EQ(escape(std::string(100'000, 'x')).size(), 203U);
}

TEST(Base64url, Rfc4648VectorsAndUrlAlphabet) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
  for (const auto& [raw, text] : vectors) {
    EXPECT_EQ(base64url(as_bytes(raw)), text);
    ASSERT_TRUE(base64url_decode(text)) << text;
    EXPECT_EQ(*base64url_decode(text), raw);
  }
}

TEST(Base64url, EveryByteRoundTripsAtEveryOffset) {
  std::string all;
  for (int value = 0; value < 256; ++value) all += static_cast<char>(value);
  for (std::size_t cut = 0; cut < 4; ++cut) {
    const std::string raw = all.substr(cut);
    EXPECT_EQ(*base64url_decode(base64url(as_bytes(raw))), raw);
  }
}

TEST(Base64url, OneSpellingOnly) {
  EXPECT_FALSE(base64url_decode("Zg==")) << "no padding";
  EXPECT_FALSE(base64url_decode("Z")) << "a lone sextet";
  EXPECT_FALSE(base64url_decode("Zh")) << "leftover bits";
  const auto plus = base64url_decode("ab+d");
  ASSERT_FALSE(plus);
  EXPECT_EQ(plus.error().code(), Code::kInvalid);
  EXPECT_EQ(plus.error().message(), "'+' is not a base64url character");
  EXPECT_EQ(base64url_decode("\x1b").error().message(), "'\\x1b' is not a base64url character");
}

TEST(Hex, RoundTripAndRefusals) {
  EXPECT_EQ(hex(as_bytes(std::string_view("\0\x7f\xff", 3))), "007fff");
  EXPECT_EQ(*hex_decode("007fff"), std::string("\0\x7f\xff", 3));
  EXPECT_EQ(hex_decode("abc").error().message(), "odd number of hex digits");
  EXPECT_EQ(hex_decode("0g").error().message(), "'0g' is not a hex byte");
  EXPECT_FALSE(hex_decode("FF")) << "one spelling only";
}

TEST(Fingerprint, FourBytesInTwoGroups) { EXPECT_EQ(fingerprint(as_bytes("\x3f\x9a\x77\xc1rest")), "3f9a 77c1"); }

TEST(HumanDuration, ThreeFiguresAtMost) {
  const std::pair<Micros, const char*> cases[] = {
      {400us, "0.4 ms"}, {9'940us, "9.9 ms"}, {21ms, "21 ms"}, {999'600us, "1 s"},  {12s, "12 s"},
      {119s, "119 s"},   {120s, "2 min"},     {4min, "4 min"}, {119min, "119 min"}, {2h, "2 h"},
      {47h, "47 h"},     {72h, "3 d"},        {0us, "0.0 ms"}};
  for (const auto& [duration, text] : cases) EXPECT_EQ(human_duration(duration), text);
}

TEST(HumanBytes, DecimalAndNeverAThousand) {
  const std::pair<std::uint64_t, const char*> cases[] = {
      {0, "0 B"},          {999, "999 B"},      {1000, "1.0 kB"},        {1100, "1.1 kB"},     {9'960, "10 kB"},
      {999'499, "999 kB"}, {999'500, "1.0 MB"}, {880'000'000, "880 MB"}, {UINT64_MAX, "18 EB"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(human_bytes(bytes), text);
}

TEST(UtcTime, DayDateAndTime) {
  EXPECT_EQ(utc_time(std::chrono::system_clock::from_time_t(1'700'712'600)), "Thu 23 Nov 04:10 UTC");
}

}  // namespace
}  // namespace nfr
