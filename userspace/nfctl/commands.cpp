// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/commands.hpp"

#include <algorithm>

namespace nfr::nfctl {
namespace {

// Optimal string alignment: insert, delete, replace, swap of neighbours cost one each.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::size_t tolerance(std::size_t length) { return length <= 2 ? 1 : length <= 5 ? 2 : 3; }

std::vector<Command> make_all() {
  std::vector<Command> all;
  for (const auto& make : {agent_commands, map_commands, visitors_commands, apply_commands, import_commands,
                           flows_commands, events_commands, status_commands, key_commands, version_commands}) {
    for (Command& command : make()) all.push_back(std::move(command));
  }
  return all;
}

// "agents" reads like "maps" and "flows".
std::string unalias(const std::string& name) { return name == "agents" ? "agent list" : name; }

const Command* by_name(const std::string& typed) {
  const std::string name = unalias(typed);
  const auto& all = all_commands();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Command& c) { return c.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

const std::vector<Command>& all_commands() {
  static const std::vector<Command> kAll = make_all();
  return kAll;
}

Found find_command(const std::vector<std::string>& words) {
  if (words.size() >= 2) {
    if (const Command* command = by_name(words[0] + " " + words[1])) return {command, 2};
  }
  if (!words.empty()) {
    if (const Command* command = by_name(words[0])) return {command, 1};
  }
  return {};
}

std::vector<const Command*> group_members(const std::string& group) {
  std::vector<const Command*> members;
  for (const Command& command : all_commands()) {
    if (command.name.starts_with(group + " ")) members.push_back(&command);
  }
  return members;
}

bool is_group(const std::string& word) { return !group_members(word).empty(); }

std::optional<std::string> nearest_command(const std::string& typed) {
  constexpr std::size_t kTypedMax = 40;
  if (typed.empty() || typed.size() > kTypedMax) return std::nullopt;
  std::vector<std::string> names = {"agents", "help"};
  for (const Command& command : all_commands()) names.push_back(command.name);
  std::optional<std::string> best;
  std::size_t best_distance = tolerance(typed.size()) + 1;
  for (const std::string& name : names) {
    // "nfctl add" forgot the noun.
    if (name.ends_with(" " + typed)) return name;
    const std::size_t here = distance(typed, name);
    if (here < best_distance) {
      best_distance = here;
      best = name;
    }
  }
  return best;
}

}  // namespace nfr::nfctl
