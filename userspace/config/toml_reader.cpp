// SPDX-License-Identifier: GPL-2.0-only
#include "config/toml_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "base/text.hpp"

namespace nfr::config {
namespace {

/// The value as an error shows it.
std::string shown(const toml::node& node) {
  if (const auto* text = node.as_string()) return fmt::format("'{}'", escape(text->get(), 80));
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (node.is_array()) return "an array";
  if (node.is_table()) return "a table";
  return "a date or time";
}

/// Insertions, deletions, replacements and swaps of neighbours that make `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

std::string_view leaf_of(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

}  // namespace

Result<TomlReader> TomlReader::parse(std::string_view text, std::string file) {
  try {
    return TomlReader(std::make_shared<const toml::table>(toml::parse(text, std::string_view(file))), file);
  } catch (const toml::parse_error& error) {
    return Error(Code::kInvalid,
                 fmt::format("{}, line {}: {}", file, error.source().begin.line, escape(error.description())));
  }
}

const toml::node* TomlReader::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) return root_->get(key);
  const toml::node* outer = root_->get(std::string_view(key).substr(0, dot));
  if (outer == nullptr || !outer->is_table()) return nullptr;  // any other type is reported by find_unknown
  return outer->as_table()->get(std::string_view(key).substr(dot + 1));
}

void TomlReader::add(const toml::node& node, std::string what) {
  problems_.push_back({node.source().begin.line, std::move(what)});
}

void TomlReader::problem(const std::string& key, std::string what) {
  const toml::node* node = find(key);
  NFR_ASSERT(node != nullptr);
  add(*node, fmt::format("{}: {}", key, what));
}

std::optional<std::int64_t> TomlReader::number(const std::string& key, std::int64_t min, std::int64_t max,
                                               std::string_view unit) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value != nullptr && value->get() >= min && value->get() <= max) return value->get();
  add(*node, fmt::format("{} = {}: expected a whole number from {} to {}{}", key, shown(*node), min, max, unit));
  return std::nullopt;
}

void TomlReader::text(const std::string& key, const Take& take, Items items) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const bool integers = items == Items::kStringsOrIntegers;
  if (!node->is_string() && !(integers && node->is_integer())) {
    add(*node, fmt::format("{} = {}: expected a string in quotes{}", key, shown(*node), integers ? " or a port" : ""));
    return;
  }
  take_item(key, *node, items, take);
}

void TomlReader::secret_text(const std::string& key, const Take& take) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* text = node->as_string();
  if (text == nullptr) return add(*node, fmt::format("{}: expected a string in quotes", key));
  if (const auto status = take(text->get()); !status) add(*node, fmt::format("{}: {}", key, status.error().message()));
}

std::optional<std::size_t> TomlReader::list(const std::string& key, Items items, const Take& take) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* array = node->as_array();
  if (array == nullptr) {
    take_item(key, *node, items, take);
    return 1;
  }
  for (const auto& item : *array) take_item(key, item, items, take);
  return array->size();
}

void TomlReader::tables(const std::string& key, const std::function<void(TomlReader&)>& read) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* array = node->as_array();
  if (array == nullptr) return add(*node, fmt::format("{} = {}: expected tables, [[{}]]", key, shown(*node), key));
  for (const auto& item : *array) read_table(item, key, read);
}

void TomlReader::read_table(const toml::node& node, const std::string& key,
                            const std::function<void(TomlReader&)>& read) {
  const auto* table = node.as_table();
  if (table == nullptr) return add(node, fmt::format("{} = {}: expected a table, [[{}]]", key, shown(node), key));
  TomlReader inner(std::shared_ptr<const toml::table>(root_, table), file_);
  read(inner);
  inner.find_unknown(*inner.root_, "");
  problems_.insert(problems_.end(), inner.problems_.begin(), inner.problems_.end());
}

bool TomlReader::require(const std::string& key, std::string_view what) {
  if (find(key) != nullptr) return true;
  add(*root_, fmt::format("'{}' is missing: {}", key, what));
  return false;
}

void TomlReader::take_item(const std::string& key, const toml::node& node, Items items, const Take& take) {
  const bool integers = items == Items::kStringsOrIntegers;
  std::string text;
  if (const auto* string = node.as_string()) {
    text = string->get();
  } else if (const auto* number = node.as_integer(); number != nullptr && integers) {
    text = std::to_string(number->get());
  } else {
    add(node, fmt::format("{} = {}: expected a string in quotes{} or an array of them", key, shown(node),
                          integers ? ", a port number" : ""));
    return;
  }
  if (const auto status = take(text); !status) {
    add(node, fmt::format("{} = {}: {}", key, shown(node), status.error().message()));
  }
}

void TomlReader::find_unknown(const toml::table& table, const std::string& prefix) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    // A quoted key may hold a dot: "limits.x" is not the x of [limits].
    const bool dotted = key.str().find('.') != std::string_view::npos;
    if (!dotted && std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const auto within = [&name](const std::string& known) { return known.starts_with(name + "."); };
    const bool is_table_name = !dotted && std::any_of(known_.begin(), known_.end(), within);
    if (is_table_name && node.is_table()) {
      find_unknown(*node.as_table(), name + ".");
    } else if (is_table_name) {
      add(node, fmt::format("{} = {}: expected a table, [{}]", name, shown(node), name));
    } else {
      problems_.push_back(
          {key.source().begin.line, fmt::format("unknown key '{}'; {}", escape(name, 80), advice(name))});
    }
  }
}

std::string TomlReader::advice(const std::string& unknown) const {
  const std::string* nearest = nullptr;
  // A third of the name may be wrong; more than that is another word.
  std::size_t nearest_distance = std::max<std::size_t>(1, leaf_of(unknown).size() / 3) + 1;
  for (const auto& known : known_) {
    const std::size_t distance =
        std::min(edit_distance(unknown, known), edit_distance(leaf_of(unknown), leaf_of(known)));
    if (distance >= nearest_distance) continue;
    nearest = &known;
    nearest_distance = distance;
  }
  if (nearest != nullptr) return fmt::format("did you mean '{}'?", *nearest);
  return fmt::format("the keys are {}", fmt::join(known_, ", "));
}

Status TomlReader::finish() {
  find_unknown(*root_, "");
  if (problems_.empty()) return {};
  const auto first = std::min_element(problems_.begin(), problems_.end(),
                                      [](const Problem& a, const Problem& b) { return a.line < b.line; });
  const std::string more = problems_.size() == 1 ? "" : fmt::format(" ({} more below it)", problems_.size() - 1);
  return Error(Code::kInvalid, fmt::format("{}, line {}: {}{}", file_, first->line, first->what, more));
}

}  // namespace nfr::config
