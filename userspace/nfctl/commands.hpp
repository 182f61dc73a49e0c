// SPDX-License-Identifier: GPL-2.0-only
// Every command of nfctl, found by what was typed, and the nearest name for a typing error. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nfctl/command.hpp"

namespace nfr::nfctl {

/// One file a noun; each returns its commands in the order of the help.
std::vector<Command> agent_commands();
std::vector<Command> map_commands();
std::vector<Command> visitors_commands();
std::vector<Command> apply_commands();
std::vector<Command> flows_commands();
std::vector<Command> events_commands();
std::vector<Command> status_commands();
std::vector<Command> key_commands();
std::vector<Command> import_commands();
std::vector<Command> version_commands();

const std::vector<Command>& all_commands();

/// The command that `words` begin with ("agent add client1" -> agent add, 2 words).
struct Found {
  const Command* command = nullptr;  ///< null: none
  std::size_t words = 0;
};
Found find_command(const std::vector<std::string>& words);

bool is_group(const std::string& word);  ///< "agent": verbs follow
std::vector<const Command*> group_members(const std::string& group);

/// The valid name closest to what was typed; nothing when none is close.
std::optional<std::string> nearest_command(const std::string& typed);

}  // namespace nfr::nfctl
