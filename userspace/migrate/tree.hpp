// SPDX-License-Identifier: GPL-2.0-only
// A foreign configuration file as a tree with line numbers, whatever it was written in. Pure; the readers are the only
// places that meet the parsing libraries and their exceptions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace nfr::migrate {

struct Node {
  enum class Kind { kText, kTable, kList };
  struct Member;
  Kind kind = Kind::kTable;
  unsigned line = 0;
  std::string text;             ///< of kText: numbers and truths as they are written in TOML
  std::vector<Member> members;  ///< of kTable, in the file's order where the format keeps it
  std::vector<Node> items;      ///< of kList

  const Node* find(std::string_view name) const;  ///< a member; null when there is none
};

struct Node::Member {
  std::string name;
  Node value;
};

/// `file` is the name used in errors; kInvalid names the line. Nesting and aliases are bounded.
Result<Node> read_toml(std::string_view text, const std::string& file);
Result<Node> read_yaml(std::string_view text, const std::string& file);
/// Sections become tables; ';' and '#' begin comments at the start of a line.
Result<Node> read_ini(std::string_view text, const std::string& file);

}  // namespace nfr::migrate
