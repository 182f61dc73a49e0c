// SPDX-License-Identifier: GPL-2.0-only
// TomlReader: one parsed TOML file, read key by key; the keys asked for are the keys that exist. The only place that
// meets toml++ and its exceptions; included by the .cpp files of this room only. Every problem found names file, line,
// key, value and what was expected.
#pragma once

#include <toml++/toml.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace nfr::config {

class TomlReader {
 public:
  /// `file` is the name used in errors.
  static Result<TomlReader> parse(std::string_view text, std::string file);

  // Keys are "name" or "table.name". An absent key leaves `out` as it is.
  template <std::unsigned_integral T>
  void integer(const std::string& key, std::int64_t min, std::int64_t max, T& out) {
    if (const auto value = number(key, min, max, "")) out = static_cast<T>(*value);
  }
  void millis(const std::string& key, std::int64_t min_ms, std::int64_t max_ms, Millis& out) {
    if (const auto value = number(key, min_ms, max_ms, " (milliseconds)")) out = Millis(*value);
  }

  enum class Items { kStrings, kStringsOrIntegers };
  /// `take` gets the string; its error is reported at the value's line.
  using Take = std::function<Status(std::string_view)>;
  void text(const std::string& key, const Take& take, Items items = Items::kStrings);
  /// The same for what must not be shown: no message holds the value.
  void secret_text(const std::string& key, const Take& take);
  /// One item or an array of them, each given to `take` as text. Returns how many items the file has, nothing when the
  /// key is absent.
  std::optional<std::size_t> list(const std::string& key, Items items, const Take& take);

  /// An array of tables, [[key]], each read by `read` through a reader of its own. Nothing when the key is absent.
  void tables(const std::string& key, const std::function<void(TomlReader&)>& read);

  /// A problem with the whole table unless the key is there; `what` says what belongs there.
  bool require(const std::string& key, std::string_view what);

  /// A problem with a key that is known to be there, for rules between several keys.
  void problem(const std::string& key, std::string what);

  /// Ok, or the first problem in the file: unknown keys (with the nearest name) and what the calls above found.
  Status finish();

 private:
  struct Problem {
    std::uint32_t line;
    std::string what;
  };
  TomlReader(std::shared_ptr<const toml::table> root, std::string file)
      : root_(std::move(root)), file_(std::move(file)) {}
  void read_table(const toml::node& node, const std::string& key, const std::function<void(TomlReader&)>& read);

  const toml::node* find(const std::string& key);  ///< and remembers the key as known
  std::optional<std::int64_t> number(const std::string& key, std::int64_t min, std::int64_t max, std::string_view unit);
  void take_item(const std::string& key, const toml::node& node, Items items, const Take& take);
  void add(const toml::node& node, std::string what);
  void find_unknown(const toml::table& table, const std::string& prefix);
  std::string advice(const std::string& unknown) const;

  std::shared_ptr<const toml::table> root_;  ///< or a part of it; copies would lose their lines
  std::string file_;
  std::vector<std::string> known_;
  std::vector<Problem> problems_;
};

}  // namespace nfr::config
