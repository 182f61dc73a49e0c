// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/arguments.hpp"

#include <fmt/format.h>

#include <cxxopts.hpp>
#include <set>

#include "base/text.hpp"

namespace nfr::nfctl {
namespace {

Error invalid(std::string message) { return Error(Code::kInvalid, std::move(message)); }

void declare(cxxopts::Options& parser, const std::vector<Option>& options) {
  for (const Option& option : options) {
    const std::string name = option.name == "help" ? "h,help" : option.name;
    if (option.value.empty()) {
      parser.add_options()(name, option.text);
    } else {
      parser.add_options()(name, option.text, cxxopts::value<std::string>());
    }
  }
}

std::set<std::string> flags_of(const std::vector<Option>& options) {
  std::set<std::string> flags;
  for (const auto* some : {&global_options(), &options}) {
    for (const Option& option : *some) {
      if (option.value.empty()) flags.insert(option.name);
    }
  }
  return flags;
}

Result<Arguments> collect(const cxxopts::ParseResult& parsed, const std::set<std::string>& flags) {
  Arguments arguments;
  arguments.operands = parsed.unmatched();
  for (const auto& item : parsed.arguments()) {
    if (flags.contains(item.key())) {
      if (item.as<bool>()) arguments.options[item.key()] = "";
    } else if (!arguments.options.emplace(item.key(), item.value()).second) {
      return invalid(fmt::format("--{} is given twice", item.key()));
    }
  }
  return arguments;
}

// cxxopts begins with a capital and puts names between typographic quotes, which not every terminal can show.
std::string plain_words(std::string text) {
  for (const std::string_view quote : {"\xe2\x80\x98", "\xe2\x80\x99"}) {
    for (auto at = text.find(quote); at != std::string::npos; at = text.find(quote))
      text.replace(at, quote.size(), "'");
  }
  if (text.starts_with("Option")) text[0] = 'o';
  return escape(text);
}

}  // namespace

std::optional<std::string> Arguments::value(const std::string& name) const {
  const auto found = options.find(name);
  if (found == options.end()) return std::nullopt;
  return found->second;
}

const std::vector<Option>& global_options() {
  static const std::vector<Option> kOptions = {
      {"socket", "PATH", "control socket of the relay (environment: NETFERRY_SOCKET, NETFERRY_RUN)"},
      {"json", "", "print the relay's answer as JSON"},
      {"help", "", "this text"},
  };
  return kOptions;
}

Result<Arguments> parse_arguments(const std::vector<std::string>& words, const std::vector<Option>& options) {
  std::vector<const char*> argv = {"nfctl"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  // cxxopts throws over what it does not like; this is its boundary.
  try {
    cxxopts::Options parser("nfctl");
    declare(parser, global_options());
    declare(parser, options);
    return collect(parser.parse(static_cast<int>(argv.size()), argv.data()), flags_of(options));
  } catch (const std::exception& thrown) {
    return invalid(plain_words(thrown.what()));
  }
}

Result<std::uint64_t> parse_duration_ms(const std::string& text) {
  if (text == "0" || text == "never") return std::uint64_t{0};
  constexpr std::size_t kDigitsMax = 9;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::map<std::string, std::uint64_t> units = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  const auto unit = units.find(text.substr(digits));
  if (digits == 0 || digits > kDigitsMax || unit == units.end()) {
    return invalid(
        fmt::format("'{}' is not a duration: a number and ms, s, m, h or d, such as 10m; or never", escape(text, 40)));
  }
  return std::stoull(text.substr(0, digits)) * unit->second;
}

}  // namespace nfr::nfctl
