// SPDX-License-Identifier: GPL-2.0-only
// Lines of the admin API: what is a request, what is none, and that no bytes make either side fall over.
#include "admin/message.hpp"

#include <gtest/gtest.h>

#include "admin/line_buffer.hpp"
#include "harness/scale.hpp"
#include "nfr/admin/admin.h"

namespace nfr::admin {
namespace {

using nlohmann::json;

constexpr const char* kGood = R"({"v":1,"id":7,"cmd":"map","args":{"public":"8888"}})";

TEST(Message, ReadsARequest) {
  const ParsedRequest parsed = parse_request(kGood);
  ASSERT_TRUE(parsed.request) << parsed.request.error().message();
  EXPECT_EQ(parsed.id, 7U);
  EXPECT_EQ(parsed.request->cmd, "map");
  EXPECT_EQ(parsed.request->args, json({{"public", "8888"}}));
}

TEST(Message, ArgsMayBeMissingAndUnknownMembersAreSkipped) {
  const ParsedRequest parsed = parse_request(R"({"v":1,"id":0,"cmd":"maps","later":[1]})");
  ASSERT_TRUE(parsed.request);
  EXPECT_EQ(parsed.request->args, json::object());
}

TEST(Message, EveryTruncationIsRefused) {
  const std::string whole = kGood;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const ParsedRequest parsed = parse_request(whole.substr(0, length));
    ASSERT_FALSE(parsed.request) << length;
    EXPECT_EQ(parsed.request.error().code(), Code::kInvalid) << length;
  }
}

TEST(Message, EveryByteFlippedIsARequestOrAnError) {
  for (std::size_t at = 0; at < std::string(kGood).size(); ++at) {
    for (unsigned value = 0; value < 256; value += 257 / test::scaled(257, 7)) {  // 36 apart, it meets quotes and digits too
      std::string line = kGood;
      line[at] = static_cast<char>(value);
      const ParsedRequest parsed = parse_request(line);
      if (!parsed.request) {
        EXPECT_FALSE(parsed.request.error().message().empty());
        // The message goes back over the same socket.
        EXPECT_EQ(encode_answer(parsed.id, parsed.request.error()).back(), '\n');
      }
    }
  }
}

struct BadLine {
  const char* line;
  const char* reason;
  bool has_id;
};

TEST(Message, SaysWhatIsWrong) {
  const BadLine cases[] = {
      {R"([1,2])", "not a JSON object", false},
      {R"("text")", "not a JSON object", false},
      {"", "not JSON", false},
      {R"({"id":7,"cmd":"maps"})", "\"v\" is missing", true},
      {R"({"v":2,"id":7,"cmd":"maps"})", "version 2 of the admin API", true},
      {R"({"v":"1","id":7,"cmd":"maps"})", "version \"1\"", true},
      {R"({"v":1,"cmd":"maps"})", "\"id\" must be", false},
      {R"({"v":1,"id":-1,"cmd":"maps"})", "\"id\" must be", false},
      {R"({"v":1,"id":1.5,"cmd":"maps"})", "\"id\" must be", false},
      {R"({"v":1,"id":"7","cmd":"maps"})", "\"id\" must be", false},
      {R"({"v":1,"id":7})", "\"cmd\" must be", true},
      {R"({"v":1,"id":7,"cmd":["maps"]})", "\"cmd\" must be", true},
      {R"({"v":1,"id":7,"cmd":"maps","args":[]})", "\"args\" must be", true},
      {R"({"v":1,"id":7,"cmd":"maps","args":null})", "\"args\" must be", true},
      {"{\"v\":1,\"id\":7,\"cmd\":\"\xff\"}", "not JSON", false},
  };
  for (const BadLine& bad : cases) {
    const ParsedRequest parsed = parse_request(bad.line);
    ASSERT_FALSE(parsed.request) << bad.line;
    EXPECT_NE(parsed.request.error().message().find(bad.reason), std::string::npos)
        << bad.line << " -> " << parsed.request.error().message();
    EXPECT_EQ(parsed.id.has_value(), bad.has_id) << bad.line;
  }
}

TEST(Message, EscapesWhatItQuotes) {
  const ParsedRequest parsed = parse_request("\x1b[2J\n");
  ASSERT_FALSE(parsed.request);
  EXPECT_EQ(parsed.request.error().message().find('\x1b'), std::string::npos);
}

TEST(Message, DepthIsBounded) {
  const auto nested = [](int depth) {
    return R"({"v":1,"id":1,"cmd":"maps","args":{"a":)" + std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']') + "}}";
  };
  EXPECT_TRUE(parse_request(nested(NFR_ADMIN_DEPTH_MAX - 2)).request);
  const ParsedRequest deep = parse_request(nested(NFR_ADMIN_DEPTH_MAX - 1));
  ASSERT_FALSE(deep.request);
  EXPECT_NE(deep.request.error().message().find("nested deeper"), std::string::npos);
  EXPECT_FALSE(parse_request(std::string(60'000, '[')).request);
  // Brackets inside a string are text.
  EXPECT_TRUE(parse_request(R"({"v":1,"id":1,"cmd":"maps","args":{"a":"\"[[[[[[[[[[[[[[[[[[[["}})").request);
}

TEST(Message, AnswersGoThereAndBack) {
  const auto good = parse_answer(encode_answer(9, json{{"name", "client1"}}));
  ASSERT_TRUE(good);
  EXPECT_EQ(good->id, 9U);
  EXPECT_FALSE(good->error);
  EXPECT_EQ(good->result, json({{"name", "client1"}}));
  const auto bad = parse_answer(encode_answer(9, Error(Code::kExists, "port 8888 belongs to client1")));
  ASSERT_TRUE(bad);
  ASSERT_TRUE(bad->error);
  EXPECT_EQ(bad->code, "exists");
  EXPECT_EQ(bad->error->code(), Code::kExists);
  EXPECT_EQ(bad->error->message(), "port 8888 belongs to client1");
}

TEST(Message, AnswerOfNobodysRequestHasNullId) {
  EXPECT_EQ(json::parse(encode_answer(std::nullopt, Error(Code::kInvalid, "x")))["id"], nullptr);
}

TEST(Message, OneAnswerIsOneLineWhateverItHolds) {
  const std::string line = encode_answer(1, json{{"note", "a\nb\xff\x1b[0m\xc2\x9b"}});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  for (const char c : line.substr(0, line.size() - 1)) EXPECT_TRUE(c >= 0x20 && c < 0x7F);
}

TEST(Message, RefusesAnswersThatAreNone) {
  for (const char* line : {"", "{}", "[]", R"({"v":2,"id":1,"ok":true,"result":1})", R"({"v":1,"id":1,"ok":true})",
                           R"({"v":1,"id":1,"ok":false})", R"({"v":1,"id":1,"ok":false,"error":"x"})"}) {
    const auto answer = parse_answer(line);
    ASSERT_FALSE(answer) << line;
    EXPECT_EQ(answer.error().code(), Code::kProtocol) << line;
  }
}

TEST(Message, EveryCodeHasItsNameAndUnknownOnesAreSystem) {
  for (const Code code : {Code::kInvalid, Code::kNotFound, Code::kExists, Code::kDenied, Code::kUnavailable,
                          Code::kTimeout, Code::kExhausted, Code::kProtocol, Code::kSystem}) {
    EXPECT_EQ(code_from_name(code_name(code)), code);
  }
  EXPECT_EQ(code_from_name("invented later"), Code::kSystem);
}

TEST(LineBuffer, SplitsHoweverTheBytesArrive) {
  const std::string text = "one\n\ntwo words\nrest";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    LineBuffer buffer(100);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size(); at += step) {
      buffer.append(std::string_view(text).substr(at, step));
      while (auto line = buffer.next()) lines.push_back(*line);
    }
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "two words"})) << step;
    EXPECT_EQ(buffer.size(), 4U);
  }
}

TEST(LineBuffer, TheLimitIsExact) {
  LineBuffer exact(4);
  exact.append("abcd\n");
  EXPECT_EQ(exact.next(), "abcd");
  EXPECT_FALSE(exact.oversized());
  LineBuffer over(4);
  over.append("abcde");
  EXPECT_EQ(over.next(), std::nullopt);
  EXPECT_TRUE(over.oversized());
  LineBuffer whole(4);
  whole.append("ab\nabcde\nab\n");
  EXPECT_EQ(whole.next(), "ab");
  EXPECT_EQ(whole.next(), std::nullopt);
  EXPECT_TRUE(whole.oversized());
  EXPECT_EQ(whole.next(), std::nullopt) << "nothing after an oversized line is trusted";
}

}  // namespace
}  // namespace nfr::admin
