// SPDX-License-Identifier: GPL-2.0-only
// Arguments of one command as values. The only part of nfctl that sees cxxopts. Knows how options are spelt, not
// what they mean. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace nfr::nfctl {

struct Option {
  std::string name;   ///< without dashes
  std::string value;  ///< what stands after it, for the help; empty: a flag
  std::string text;   ///< one line for the help
};

struct Arguments {
  std::vector<std::string> operands;
  std::map<std::string, std::string> options;  ///< name -> value; "" for a flag that is there

  bool has(const std::string& name) const { return options.contains(name); }
  std::optional<std::string> value(const std::string& name) const;
};

/// Options that every command takes: --socket, --json, --help.
const std::vector<Option>& global_options();

/// kInvalid with what is wrong: an unknown option, a missing value, an option given twice.
Result<Arguments> parse_arguments(const std::vector<std::string>& words, const std::vector<Option>& options);

/// "500ms", "30s", "10m", "2h", "1d", "0" and "never" -> milliseconds, 0 meaning never.
Result<std::uint64_t> parse_duration_ms(const std::string& text);

}  // namespace nfr::nfctl
