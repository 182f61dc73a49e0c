// SPDX-License-Identifier: GPL-2.0-only
// Arguments of one command, durations, and cells of a table with characters of more than one byte.
#include "nfctl/arguments.hpp"

#include <gtest/gtest.h>

#include "nfctl/table.hpp"

namespace nfr::nfctl {
namespace {

const std::vector<Option> kOptions = {{"leg", "plain|tls", ""}, {"now", "", ""}};

TEST(Arguments, OptionsAndOperandsInAnyOrder) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"8888", "--leg", "tls", "--now"}, {"--now", "--leg=tls", "8888"}, {"--leg", "tls", "8888", "--now"}}) {
    const auto parsed = parse_arguments(words, kOptions);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->operands, std::vector<std::string>{"8888"});
    EXPECT_EQ(parsed->value("leg"), "tls");
    EXPECT_TRUE(parsed->has("now"));
    EXPECT_FALSE(parsed->has("json"));
  }
}

TEST(Arguments, AFlagMayBeRepeatedAValueMayNot) {
  EXPECT_TRUE(parse_arguments({"--now", "--now"}, kOptions));
  EXPECT_EQ(parse_arguments({"--leg", "a", "--leg", "b"}, kOptions).error().message(), "--leg is given twice");
}

TEST(Arguments, FaultsAreInPlainWords) {
  const auto unknown = parse_arguments({"--frob"}, kOptions);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message(), "option 'frob' does not exist");
  EXPECT_EQ(unknown.error().code(), Code::kInvalid);
  const auto valueless = parse_arguments({"--leg"}, kOptions);
  ASSERT_FALSE(valueless);
  EXPECT_EQ(valueless.error().message(), "option 'leg' is missing an argument");
}

TEST(Arguments, Durations) {
  const std::pair<const char*, std::uint64_t> good[] = {
      {"500ms", 500},     {"30s", 30'000}, {"10m", 600'000}, {"2h", 7'200'000},
      {"1d", 86'400'000}, {"0", 0},        {"never", 0},     {"999999999d", 86'399'999'913'600'000}};
  for (const auto& [text, ms] : good) {
    const auto parsed = parse_duration_ms(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, ms) << text;
  }
  for (const char* bad :
       {"", "5", "m", "-5m", "5 m", "5.5m", "5min", "1m30s", "9999999999s", "99999999999999999999s"}) {
    const auto parsed = parse_duration_ms(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_NE(parsed.error().message().find("such as 10m; or never"), std::string::npos);
  }
}

TEST(Table, CountsCharactersNotBytes) {
  const std::string table = render_table({"NAME", "X"},
                                         {{Cell("gr\xc3\xbc\xc3\x9f"
                                                "e"),
                                           Cell("1")},
                                          {Cell("a"), Cell("2")}},
                                         {});
  EXPECT_EQ(table,
            "NAME   X\ngr\xc3\xbc\xc3\x9f"
            "e  1\na      2\n");
}

TEST(Table, NothingIsWrappedOrCutAndNoLineEndsInSpaces) {
  const std::string wide(500, 'w');
  const std::string table = render_table({"A", "B"}, {{Cell(wide), Cell("x")}, {Cell("y"), Cell("")}}, {});
  EXPECT_NE(table.find(wide + "  x\n"), std::string::npos);
  EXPECT_EQ(render_table({"A", "B"}, {}, {}), "A  B\n");
}

TEST(Table, ARowOfAnotherLengthIsABug) { EXPECT_DEATH(render_table({"A", "B"}, {{Cell("only one")}}, {}), "bug: "); }

}  // namespace
}  // namespace nfr::nfctl
