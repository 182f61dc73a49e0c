// SPDX-License-Identifier: GPL-2.0-only
// read_toml(): toml++ and its exceptions end here.
#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/text.hpp"
#include "migrate/tree.hpp"

namespace nfr::migrate {
namespace {

std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  return "a date or time";
}

// As deep as toml++ lets a file nest.
Node convert(const toml::node& node) {
  Node out;
  out.line = node.source().begin.line;
  if (const auto* table = node.as_table()) {
    for (const auto& [key, value] : *table) {
      out.members.push_back({std::string(key.str()), convert(value)});
      if (out.members.back().value.line == 0) out.members.back().value.line = key.source().begin.line;
    }
  } else if (const auto* array = node.as_array()) {
    out.kind = Node::Kind::kList;
    for (const auto& item : *array) out.items.push_back(convert(item));
  } else {
    out.kind = Node::Kind::kText;
    out.text = text_of(node);
  }
  return out;
}

}  // namespace

Result<Node> read_toml(std::string_view text, const std::string& file) {
  try {
    return convert(toml::parse(text, std::string_view(file)));
  } catch (const toml::parse_error& error) {
    return Error(Code::kInvalid,
                 fmt::format("{}, line {}: {}", file, error.source().begin.line, escape(error.description())));
  }
}

}  // namespace nfr::migrate
