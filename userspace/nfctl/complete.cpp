// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/complete.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {
namespace {

struct Candidate {
  std::string word;
  std::string text;
};
using Candidates = std::vector<Candidate>;

constexpr const char* kFile = ":file";

/// What was typed before the last word: a command, its operands, and options taken off.
struct Typed {
  std::vector<std::string> words;     ///< without options
  std::optional<std::string> socket;  ///< of --socket
  const Option* awaiting = nullptr;   ///< the option whose value is being typed
};

const Option* find_option(const std::string& word, const Command* command) {
  static const std::vector<Option> kNone;
  for (const auto* options : {&global_options(), command != nullptr ? &command->options : &kNone}) {
    for (const Option& option : *options) {
      if (word == "--" + option.name) return &option;
    }
  }
  return nullptr;
}

Typed take_apart(const std::vector<std::string>& before) {
  Typed typed;
  for (const std::string& word : before) {
    if (typed.awaiting != nullptr) {
      if (typed.awaiting->name == "socket") typed.socket = word;
      typed.awaiting = nullptr;
    } else if (!word.starts_with("-")) {
      typed.words.push_back(word);
    } else {
      const Option* option = find_option(word, find_command(typed.words).command);
      if (option != nullptr && !option->value.empty() && !option->optional_value()) typed.awaiting = option;
    }
  }
  return typed;
}

Candidates option_values(const Option& option) {
  if (option.name == "socket") return {{kFile, ""}};
  Candidates out;
  if (option.value.find('|') == std::string::npos) return out;
  std::istringstream values(option.value);
  for (std::string value; std::getline(values, value, '|');) out.push_back({value, ""});
  return out;
}

Candidates option_names(const Command* command) {
  Candidates out;
  const auto add = [&](const std::vector<Option>& options) {
    for (const Option& option : options) out.push_back({"--" + option.name, option.text});
  };
  if (command != nullptr) add(command->options);
  add(global_options());
  return out;
}

/// First words, or the verbs after one.
Candidates command_words(const std::vector<std::string>& typed) {
  Candidates out;
  std::set<std::string> seen;
  for (const Command& command : all_commands()) {
    const std::size_t space = command.name.find(' ');
    const std::string first = command.name.substr(0, space);
    if (typed.empty() && seen.insert(first).second) {
      out.push_back({first, space == std::string::npos ? command.summary : first + " " + "..."});
    } else if (typed.size() == 1 && typed[0] == first && space != std::string::npos) {
      out.push_back({command.name.substr(space + 1), command.summary});
    }
  }
  if (typed.empty())
    out.insert(out.end(), {{"agents", "list the agents and their state"}, {"help", "explain a command"}});
  return out;
}

/// The word of the usage line at `place`: "PUBLIC"; of "[NETWORK...]" nothing.
std::string operand_at(const Command& command, std::size_t place) {
  std::istringstream operands(command.operands);
  std::string operand;
  for (std::size_t i = 0; i <= place; ++i) {
    if (!(operands >> operand)) return "";
  }
  return operand;
}

json ask(const char* cmd, const Typed& typed, const Environment& environment) {
  const auto answer = environment.call(socket_path(typed.socket, environment), {cmd, json::object()});
  return answer && !answer->error ? answer->result : json();
}

Candidates agents(const Typed& typed, const Environment& environment, const char* suffix) {
  Candidates out;
  const json result = ask("agent.list", typed, environment);
  for (const json& agent : list(result, "agents")) out.push_back({cell(agent, "name") + suffix, cell(agent, "state")});
  return out;
}

Candidates ports(const Typed& typed, const Environment& environment) {
  Candidates out;
  const json result = ask("maps", typed, environment);
  for (const json& mapping : list(result, "mappings")) {
    std::string name = cell(mapping, "public");
    if (name.ends_with("/tcp")) name.resize(name.size() - 4);
    out.push_back({name, cell(mapping, "agent") + " " + cell(mapping, "target")});
  }
  return out;
}

Candidates operands(const Command& command, std::size_t place, const Typed& typed, const Environment& environment) {
  const std::string operand = operand_at(command, place);
  if (operand == "FILE" || operand == "[FILE]") return {{kFile, ""}};
  if (operand == "PUBLIC") {
    return command.name == "map" ? Candidates{{"auto", "a port of the relay's choice"}} : ports(typed, environment);
  }
  if (operand == "AGENT:TARGET") return agents(typed, environment, ":");
  const bool names_agent = operand == "OLD" || (operand == "NAME" && command.name != "agent add");
  return names_agent ? agents(typed, environment, "") : Candidates();
}

Candidates candidates(const Typed& typed, const std::string& last, const Environment& environment) {
  if (typed.awaiting != nullptr) return option_values(*typed.awaiting);
  const Found found = find_command(typed.words);
  if (last.starts_with("-")) return option_names(found.command);
  if (!typed.words.empty() && typed.words[0] == "help")
    return command_words({typed.words.begin() + 1, typed.words.end()});
  if (found.command == nullptr) return command_words(typed.words);
  return operands(*found.command, typed.words.size() - found.words, typed, environment);
}

}  // namespace

std::string complete(const std::vector<std::string>& words, const Environment& environment) {
  std::vector<std::string> before = words;
  if (!before.empty() && before[0] == "--") before.erase(before.begin());
  std::string last;
  if (!before.empty()) {
    last = before.back();
    before.pop_back();
  }
  std::string out;
  for (const Candidate& candidate : candidates(take_apart(before), last, environment)) {
    if (candidate.word == kFile) return std::string(kFile) + "\n";
    if (candidate.word.starts_with(last)) out += candidate.word + "\t" + candidate.text + "\n";
  }
  return out;
}

}  // namespace nfr::nfctl
