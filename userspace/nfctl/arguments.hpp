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
  std::string value;  ///< what stands after it, for the help; empty: a flag; in brackets: a whole number, or nothing
  std::string text;   ///< one line for the help
  bool many = false;  ///< may be given again; each value may be a list with commas

  bool optional_value() const { return value.starts_with("["); }
};

/// A file that an operand names.
struct InputFile {
  std::string name;
  std::string text;
};

struct Arguments {
  std::vector<std::string> operands;
  std::map<std::string, std::string> options;  ///< name -> value; "" for a flag that is there
  std::vector<InputFile> files;                ///< filled for commands that read files

  bool has(const std::string& name) const { return options.contains(name); }
  std::optional<std::string> value(const std::string& name) const;
  /// The items of an option that may be given again, or of a list with commas.
  std::vector<std::string> items(const std::string& name) const;
};

/// Options that every command takes: --socket, --json, --help.
const std::vector<Option>& global_options();

/// kInvalid with what is wrong: an unknown option, a missing value, an option given twice.
Result<Arguments> parse_arguments(const std::vector<std::string>& words, const std::vector<Option>& options);

/// A whole number up to `max`; kInvalid that names the option.
Result<std::uint64_t> number_option(const Arguments& arguments, const std::string& name, std::uint64_t max);

/// Words at commas; empty ones are dropped.
std::vector<std::string> split_list(const std::string& text);

/// "500ms", "30s", "10m", "2h", "1d", "0" and "never" -> milliseconds, 0 meaning never.
Result<std::uint64_t> parse_duration_ms(const std::string& text);

}  // namespace nfr::nfctl
