// SPDX-License-Identifier: GPL-2.0-only
// CONNECT: the request's exact bytes, and the answer's head cut at every place.
#include "proto/http_connect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::proto {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(std::string_view text) {
  const auto answer = parse_connect_answer(text);
  EXPECT_FALSE(answer) << text;
  return answer ? "" : answer.error().message();
}

TEST(HttpConnect, RequestIsExact) {
  EXPECT_EQ(encode_connect("relay.example:7707", "", "", "nfagent/1"),
            "CONNECT relay.example:7707 HTTP/1.1\r\nHost: relay.example:7707\r\nUser-Agent: nfagent/1\r\n\r\n");
}

// The pairs of RFC 7617 section 2 and of every padding.
TEST(HttpConnect, BasicCredentials) {
  const auto header = [](const char* user, const char* password) { return encode_connect("h:1", user, password, "x"); };
  EXPECT_THAT(header("Aladdin", "open sesame"),
              HasSubstr("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
  EXPECT_THAT(header("a", "b"), HasSubstr("Basic YTpi\r\n"));
  EXPECT_THAT(header("a", "bc"), HasSubstr("Basic YTpiYw==\r\n"));
  EXPECT_THAT(header("a", "bcd"), HasSubstr("Basic YTpiY2Q=\r\n"));
  EXPECT_THAT(header("test", "123\xC2\xA3"), HasSubstr("Basic dGVzdDoxMjPCow==\r\n"));
}

TEST(HttpConnect, EveryTruncationWaits) {
  const std::string whole = "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\nX: a: b\r\n\r\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto answer = parse_connect_answer(whole.substr(0, size));
    ASSERT_TRUE(answer) << size << ": " << answer.error().message();
    EXPECT_FALSE(*answer) << size;
  }
  const auto answer = parse_connect_answer(whole + "tunnel");
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->status, 200U);
  EXPECT_EQ((*answer)->reason, "Connection established");
  EXPECT_EQ((*answer)->bytes, whole.size());
  EXPECT_TRUE((*answer)->accepted());
}

TEST(HttpConnect, StatusAndReason) {
  const auto status = [](std::string_view text) { return (**parse_connect_answer(text)).status; };
  EXPECT_EQ(status("HTTP/1.0 407 Proxy Authentication Required\r\n\r\n"), 407U);
  EXPECT_EQ(status("HTTP/1.1 200\r\n\r\n"), 200U);
  EXPECT_EQ(status("HTTP/1.1 299 \n\n"), 299U);
  EXPECT_FALSE((**parse_connect_answer("HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n")).accepted());
  EXPECT_FALSE((**parse_connect_answer("HTTP/1.1 100 Continue\r\n\r\n")).accepted());
}

TEST(HttpConnect, WhatIsNoAnswerIsToldAtOnce) {
  EXPECT_THAT(refusal("S"), HasSubstr("is not HTTP"));
  EXPECT_THAT(refusal("HTTP/2.0 200 OK"), HasSubstr("is not HTTP"));
  EXPECT_THAT(refusal("HTTP/1.1 2x"), HasSubstr("is not HTTP"));
  EXPECT_THAT(refusal("HTTP/1.1 2000 OK"), HasSubstr("is not HTTP"));
  EXPECT_THAT(refusal("HTTP/1.1 099 OK\r\n\r\n"), HasSubstr("status 99"));
  EXPECT_THAT(refusal("HTTP/1.1 600 OK\r\n\r\n"), HasSubstr("status 600"));
  EXPECT_THAT(refusal("\x1b[2J"), Not(HasSubstr("\x1b")));
}

TEST(HttpConnect, TheHeadIsBounded) {
  const std::string line = "HTTP/1.1 200 OK\r\n";
  const std::string fits = line + "X: " + std::string(kConnectHeadMax - line.size() - 7, 'a') + "\r\n\r\n";
  ASSERT_EQ(fits.size(), kConnectHeadMax);
  EXPECT_TRUE(*parse_connect_answer(fits));
  EXPECT_THAT(refusal(line + "X: " + std::string(kConnectHeadMax, 'a')), HasSubstr("more than 8192 bytes"));
  // One byte before the bound nothing is decided yet.
  const auto short_of_it =
      parse_connect_answer((line + std::string(kConnectHeadMax, 'a')).substr(0, kConnectHeadMax - 1));
  EXPECT_TRUE(short_of_it && !*short_of_it);
}

}  // namespace
}  // namespace nfr::proto
