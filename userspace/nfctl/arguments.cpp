// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/arguments.hpp"

#include <fmt/format.h>

#include <cxxopts.hpp>
#include <sstream>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace nfr::nfctl {
namespace {

Error invalid(std::string message) { return Error(Code::kInvalid, std::move(message)); }

void declare(cxxopts::Options& parser, const std::vector<Option>& options) {
  for (const Option& option : options) {
    const std::string name = option.name == "help" ? "h,help" : option.name;
    if (option.value.empty()) {
      parser.add_options()(name, option.text);
    } else if (option.optional_value()) {
      parser.add_options()(name, option.text, cxxopts::value<std::string>()->implicit_value(""));
    } else {
      parser.add_options()(name, option.text, cxxopts::value<std::string>());
    }
  }
}

const Option& named(const std::string& name, const std::vector<Option>& options) {
  for (const auto* some : {&global_options(), &options}) {
    for (const Option& option : *some) {
      if (option.name == name) return option;
    }
  }
  static const Option kNone;
  return kNone;
}

// cxxopts takes an optional value only behind "=".
std::vector<std::string> join_optional_values(const std::vector<std::string>& words,
                                              const std::vector<Option>& options) {
  std::vector<std::string> out;
  for (const std::string& word : words) {
    const bool digits = !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
    const bool after_option = !out.empty() && out.back().starts_with("--");
    if (digits && after_option && named(out.back().substr(2), options).optional_value()) {
      out.back() += "=" + word;
    } else {
      out.push_back(word);
    }
  }
  return out;
}

Result<Arguments> collect(const cxxopts::ParseResult& parsed, const std::vector<Option>& options) {
  Arguments arguments;
  arguments.operands = parsed.unmatched();
  for (const auto& item : parsed.arguments()) {
    const Option& option = named(item.key(), options);
    if (option.value.empty()) {
      if (item.as<bool>()) arguments.options[item.key()] = "";
      continue;
    }
    const auto [found, is_new] = arguments.options.emplace(item.key(), item.value());
    if (is_new) continue;
    if (!option.many) return invalid(fmt::format("--{} is given twice", item.key()));
    found->second += "," + item.value();
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

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::istringstream words(text);
  for (std::string item; std::getline(words, item, ',');) {
    if (!item.empty()) items.push_back(item);
  }
  return items;
}

std::vector<std::string> Arguments::items(const std::string& name) const {
  return split_list(value(name).value_or(""));
}

Result<std::uint64_t> number_option(const Arguments& arguments, const std::string& name, std::uint64_t max) {
  const std::string text = arguments.value(name).value_or("");
  const bool digits = !text.empty() && text.size() <= 10 && text.find_first_not_of("0123456789") == std::string::npos;
  if (digits && std::stoull(text) <= max) return std::stoull(text);
  return invalid(fmt::format("--{} '{}': expected a whole number from 0 to {}", name, escape(text, 40), max));
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
  const std::vector<std::string> joined = join_optional_values(words, options);
  for (const std::string& word : joined) argv.push_back(word.c_str());
  // cxxopts throws over what it does not like; this is its boundary.
  try {
    cxxopts::Options parser("nfctl");
    declare(parser, global_options());
    declare(parser, options);
    return collect(parser.parse(static_cast<int>(argv.size()), argv.data()), options);
  } catch (const std::exception& thrown) {
    return invalid(plain_words(thrown.what()));
  }
}

Result<std::uint64_t> parse_duration_ms(const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration) return duration.error();
  return static_cast<std::uint64_t>(duration->count());
}

}  // namespace nfr::nfctl
