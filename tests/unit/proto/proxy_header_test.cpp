// SPDX-License-Identifier: GPL-2.0-only
// The PROXY protocol byte by byte, as haproxy's doc/proxy-protocol.txt sections 2.1 and 2.2 lay it out.
#include "proto/proxy_header.hpp"

#include <gtest/gtest.h>

namespace nfr::proto {
namespace {

using core::ProxyHeader;
using namespace std::string_literals;

net::Endpoint at(const char* text) { return *net::Endpoint::parse(text); }

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

TEST(ProxyHeaderText, Version1) {
  const auto text = [](const char* visitor, const char* local) {
    return encode_proxy_header(ProxyHeader::kV1, at(visitor), at(local));
  };
  EXPECT_EQ(text("198.51.100.7:51544", "203.0.113.5:8888"), "PROXY TCP4 198.51.100.7 203.0.113.5 51544 8888\r\n");
  EXPECT_EQ(text("[2001:db8::7]:1", "[2001:db8::5]:65535"), "PROXY TCP6 2001:db8::7 2001:db8::5 1 65535\r\n");
  EXPECT_EQ(text("198.51.100.7:1", "[2001:db8::5]:2"), "PROXY TCP6 ::ffff:198.51.100.7 2001:db8::5 1 2\r\n");
  EXPECT_EQ(text("[2001:db8::7]:1", "203.0.113.5:2"), "PROXY TCP6 2001:db8::7 ::ffff:203.0.113.5 1 2\r\n");
}

// Section 2.1: a receiver needs no more than 107 bytes.
TEST(ProxyHeaderText, Version1IsNeverLongerThanItMay) {
  const auto longest = at("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
  EXPECT_LE(encode_proxy_header(ProxyHeader::kV1, longest, longest).size(), 107U);
}

TEST(ProxyHeaderText, Version2OverIpv4) {
  EXPECT_EQ(encode_proxy_header(ProxyHeader::kV2, at("198.51.100.7:51544"), at("203.0.113.5:8888")),
            kSignature + "\x21\x11\0\x0C"s + "\xC6\x33\x64\x07" + "\xCB\0\x71\x05"s + "\xC9\x58" + "\x22\xB8");
}

TEST(ProxyHeaderText, Version2OverIpv6) {
  const std::string zeros(11, '\0');
  EXPECT_EQ(encode_proxy_header(ProxyHeader::kV2, at("[2001:db8::7]:256"), at("[2001:db8::5]:1")),
            kSignature + "\x21\x21\0\x24"s + "\x20\x01\x0d\xb8" + zeros + "\x07" + "\x20\x01\x0d\xb8" + zeros + "\x05" +
                "\x01\0\0\x01"s);
}

TEST(ProxyHeaderText, Version2WithBothFamilies) {
  const std::string zeros(10, '\0');
  EXPECT_EQ(encode_proxy_header(ProxyHeader::kV2, at("198.51.100.7:1"), at("[2001:db8::5]:2")),
            kSignature + "\x21\x21\0\x24"s + zeros + "\xff\xff\xC6\x33\x64\x07" + "\x20\x01\x0d\xb8" + zeros +
                "\0\x05"s + "\0\x01\0\x02"s);
}

TEST(ProxyHeaderText, ChecksNameNobody) {
  EXPECT_EQ(encode_proxy_local(ProxyHeader::kV2), kSignature + "\x20\0\0\0"s);
  EXPECT_EQ(encode_proxy_local(ProxyHeader::kV1), "PROXY UNKNOWN\r\n");
}

TEST(ProxyHeaderText, NoneIsNoByte) {
  EXPECT_EQ(encode_proxy_header(ProxyHeader::kNone, at("198.51.100.7:1"), at("203.0.113.5:2")), "");
  EXPECT_EQ(encode_proxy_local(ProxyHeader::kNone), "");
}

}  // namespace
}  // namespace nfr::proto
