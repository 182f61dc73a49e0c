// SPDX-License-Identifier: GPL-2.0-only
#include "migrate/tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "base/text.hpp"

namespace nfr::migrate {
namespace {

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

Node& section(Node& root, const std::string& name, unsigned line) {
  for (auto& [key, node] : root.members) {
    if (key == name) return node;
  }
  root.members.push_back({name, Node{Node::Kind::kTable, line, {}, {}, {}}});
  return root.members.back().value;
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& item) { return item.name == name; });
  return found == members.end() ? nullptr : &found->value;
}

Result<Node> read_ini(std::string_view text, const std::string& file) {
  Node root;
  std::string current;
  std::istringstream lines{std::string(text)};
  unsigned number = 0;
  for (std::string raw; std::getline(lines, raw);) {
    ++number;
    const std::string line = trimmed(raw);
    if (line.empty() || line[0] == ';' || line[0] == '#') continue;
    if (line[0] == '[' && line.back() == ']') {
      current = trimmed(line.substr(1, line.size() - 2));
      section(root, current, number);
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos || equals == 0 || current.empty()) {
      return Error(Code::kInvalid,
                   fmt::format("{}, line {}: '{}': expected [section] or key = value", file, number, escape(line, 80)));
    }
    section(root, current, number)
        .members.push_back({trimmed(line.substr(0, equals)),
                            Node{Node::Kind::kText, number, trimmed(line.substr(equals + 1)), {}, {}}});
  }
  return root;
}

}  // namespace nfr::migrate
