// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/help.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "nfctl/commands.hpp"

namespace nfr::nfctl {
namespace {

std::string left_side(const Command& command) {
  return command.operands.empty() ? command.name : command.name + " " + command.operands;
}

std::string command_lines(const std::vector<const Command*>& commands) {
  std::size_t width = 0;
  for (const Command* command : commands) width = std::max(width, left_side(*command).size());
  std::string out;
  for (const Command* command : commands)
    out += fmt::format("  {:<{}}  {}\n", left_side(*command), width, command->summary);
  return out;
}

std::string option_lines(const std::vector<Option>& options) {
  const auto spelt = [](const Option& option) {
    return option.value.empty() ? "--" + option.name : fmt::format("--{} {}", option.name, option.value);
  };
  std::size_t width = 0;
  for (const Option& option : options) width = std::max(width, spelt(option).size());
  std::string out;
  for (const Option& option : options) out += fmt::format("  {:<{}}  {}\n", spelt(option), width, option.text);
  return out;
}

}  // namespace

std::string general_help() {
  std::vector<const Command*> commands;
  for (const Command& command : all_commands()) commands.push_back(&command);
  return "usage: nfctl [--socket PATH] [--json] COMMAND [ARGUMENTS]\n\n" + command_lines(commands) +
         "\nEvery command:\n" + option_lines(global_options()) + "\nMore about one: nfctl help COMMAND\n";
}

std::string group_help(const std::string& group) {
  return fmt::format("usage: nfctl {} VERB [ARGUMENTS]\n\n{}", group, command_lines(group_members(group)));
}

std::string command_help(const Command& command) {
  std::string out = usage_line(command) + command.summary + "\n";
  if (!command.details.empty()) out += "\n" + command.details;
  std::vector<Option> options = command.options;
  options.insert(options.end(), global_options().begin(), global_options().end());
  return out + "\n" + option_lines(options);
}

}  // namespace nfr::nfctl
