// SPDX-License-Identifier: GPL-2.0-only
// Settings: one foreign file being read. What was taken is remembered, so that at the end the rest can be told.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/nouns.hpp"
#include "migrate/import.hpp"
#include "migrate/tree.hpp"

namespace nfr::migrate {

/// Why a setting has no counterpart: by its name, or by the name of a table it is in. The most exact one counts.
using Reasons = std::map<std::string, std::string>;

class Settings {
 public:
  Settings(std::string file, const Node& root, std::vector<Leftover>& leftovers)
      : file_(std::move(file)), root_(root), leftovers_(leftovers) {}

  const Node& root() const { return root_; }
  /// The text under a dotted name below `table`, taken; nothing when it is absent or no text.
  std::optional<std::string> take(const Node& table, std::string_view dotted);
  /// The first of several spellings.
  std::optional<std::string> take_any(const Node& table, const std::vector<std::string_view>& spellings);
  void take_all(const Node& node) { taken_.insert(&node); }  ///< with everything inside
  void leave(const Node& node, std::string setting, std::string why);

  /// Tells every value below `table` that was not taken. `prefix`: how the table is called.
  void leave_rest(const Node& table, const std::string& prefix, const Reasons& reasons);

 private:
  void leave_inside(const Node& node, const std::string& path, const std::string& prefix, const Reasons& reasons);
  std::string file_;
  const Node& root_;
  std::vector<Leftover>& leftovers_;
  std::set<const Node*> taken_;
};

/// A mapping from texts of a foreign file; kInvalid that says what is wrong.
Result<config::DeclaredMapping> make_mapping(const std::string& public_ports, const std::string& agent,
                                             const std::string& target);
/// `text` as a name that agents may have, or `otherwise`.
std::string agent_name_from(const std::string& text, const std::string& otherwise);

// The formats. Each adds to `out`.
void import_frpc(Settings& settings, const std::string& agent, Imported& out);
void import_frps(Settings& settings, const std::string& agent, Imported& out);
void import_rathole(std::vector<Settings>& files, const std::string& agent, Imported& out);
void import_port_proxy(Settings& settings, Imported& out);

}  // namespace nfr::migrate
