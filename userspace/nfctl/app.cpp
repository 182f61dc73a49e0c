// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/app.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "nfctl/commands.hpp"
#include "nfctl/complete.hpp"
#include "nfctl/field.hpp"
#include "nfctl/firewall_look.hpp"
#include "nfctl/help.hpp"
#include "nfctl/watch.hpp"
#include "nfr/admin/admin.h"

namespace nfr::nfctl {
namespace {

Outcome usage_error(const std::string& message, const std::string& hint) {
  return {"", "error: " + message + "\n" + hint, NFR_EXIT_USAGE};
}

Outcome unknown_command(const std::vector<std::string>& words) {
  const bool with_verb = is_group(words[0]) && words.size() > 1;
  const std::string typed = with_verb ? words[0] + " " + words[1] : words[0];
  const auto nearest = nearest_command(typed);
  const std::string guess = nearest ? fmt::format("; did you mean '{}'?", *nearest) : "";
  const std::string hint =
      with_verb ? fmt::format("nfctl help {} lists its verbs\n", words[0]) : "nfctl help lists the commands\n";
  return usage_error(fmt::format("unknown command '{}'{}", escape(typed, 60), guess), hint);
}

Outcome help(const std::vector<std::string>& words) {
  if (words.empty()) return {general_help(), "", NFR_EXIT_OK};
  if (const Found found = find_command(words); found.command != nullptr) {
    return {command_help(*found.command), "", NFR_EXIT_OK};
  }
  if (words.size() == 1 && is_group(words[0])) return {group_help(words[0]), "", NFR_EXIT_OK};
  return unknown_command(words);
}

bool is_help_option(const std::string& word) { return word == "--help" || word == "-h"; }

// Global options may stand before the command.
struct Split {
  std::vector<std::string> leading;
  std::vector<std::string> words;
};

Split split(const std::vector<std::string>& words) {
  std::size_t at = 0;
  while (at < words.size() && words[at].starts_with("-")) at += words[at] == "--socket" ? 2 : 1;
  const auto middle = words.begin() + static_cast<std::ptrdiff_t>(std::min(at, words.size()));
  return {{words.begin(), middle}, {middle, words.end()}};
}

Outcome answer_json(const admin::Answer& answer) {
  const auto print = [](const json& value) { return value.dump(2, ' ', true, json::error_handler_t::replace) + "\n"; };
  if (!answer.error) return {print(answer.result), "", NFR_EXIT_OK};
  return {print({{"error", {{"code", answer.code}, {"message", answer.error->message()}}}}), "", NFR_EXIT_OK};
}

Outcome show_answer(const Command& command, const admin::Answer& answer, bool as_json, const View& view) {
  Outcome outcome = as_json ? answer_json(answer) : Outcome{};
  if (answer.error) {
    outcome.err = "error: " + sentence(answer.error->message()) + "\n";
    outcome.exit_code = answer.error->code() == Code::kDenied ? NFR_EXIT_NOT_PERMITTED : NFR_EXIT_FAILED;
  } else if (!as_json) {
    Text text = command.render(answer.result, view);
    outcome.out = std::move(text.out);
    outcome.err = std::move(text.err);
  }
  return outcome;
}

Outcome show_no_relay(const Command& command, const Error& error, bool as_json) {
  if (command.without_relay != nullptr && !as_json) {
    Text text = command.without_relay(error);
    return {std::move(text.out), std::move(text.err), NFR_EXIT_OK};
  }
  const int code = error.code() == Code::kDenied ? NFR_EXIT_NOT_PERMITTED : NFR_EXIT_UNREACHABLE;
  return {"", "error: " + sentence(error.message()) + "\n", code};
}

Outcome run_local(const Command& command, const Arguments& arguments) {
  Result<Text> text = command.local(arguments);
  if (!text) return {"", "error: " + sentence(text.error().message()) + "\n", NFR_EXIT_FAILED};
  return {std::move(text->out), std::move(text->err), NFR_EXIT_OK};
}

/// The files that the operands name; an Outcome when there are too few, too many, or one cannot be read.
std::optional<Outcome> read_files(const Command& command, Arguments& arguments, const Environment& environment) {
  const auto& operands = arguments.operands;
  if (operands.empty()) return usage_error("the name of a file is missing", usage_line(command));
  if (operands.size() > command.files_max) {
    const std::string surplus = escape(operands[command.files_max], 60);
    return usage_error(fmt::format("'{}' is one argument too many", surplus), usage_line(command));
  }
  for (const std::string& path : operands) {
    auto text = environment.read(path);
    if (!text) return Outcome{"", "error: " + sentence(text.error().message()) + "\n", NFR_EXIT_FAILED};
    arguments.files.push_back({path == "-" ? "standard input" : escape(path), std::move(*text)});
  }
  return std::nullopt;
}

/// One question to the relay, or two, and what they give.
Outcome ask(const Command& command, const Call& call, const Arguments& arguments, const Environment& environment) {
  const std::string socket = socket_path(arguments.value("socket"), environment);
  const bool as_json = arguments.has("json");
  Result<admin::Answer> answer = environment.call(socket, call);
  if (!answer) return show_no_relay(command, answer.error(), as_json);
  if (command.second && !answer->error) {
    const Result<admin::Answer> second = environment.call(socket, command.second->call);
    if (!second) return show_no_relay(command, second.error(), as_json);
    command.second->join(answer->result, second->result);
  }
  Outcome outcome = show_answer(command, *answer, as_json, environment.view);
  if (command.looks_at_firewall && !answer->error) {
    outcome.err += firewall_lines(answer->result, command.name == "check", environment);
  }
  return outcome;
}

Outcome run_command(const Command& command, const std::vector<std::string>& words, const Environment& environment) {
  auto arguments = parse_arguments(words, command.options);
  if (!arguments) return usage_error(arguments.error().message(), usage_line(command));
  if (arguments->has("help")) return {command_help(command), "", NFR_EXIT_OK};
  if (command.files_max > 0) {
    if (auto failed = read_files(command, *arguments, environment)) return *failed;
  }
  if (command.local != nullptr) return run_local(command, *arguments);
  const Result<Call> call = command.build(*arguments);
  if (!call && command.files_max > 0) {  // what is wrong is in the file
    return {"", "error: " + sentence(call.error().message()) + "\n", NFR_EXIT_FAILED};
  }
  if (!call) return usage_error(call.error().message(), usage_line(command));
  const auto once = [&](const Environment& now) { return ask(command, *call, *arguments, now); };
  if (!arguments->has("watch")) return once(environment);
  const auto seconds = watch_seconds(*arguments);
  if (!seconds) return usage_error(seconds.error().message(), usage_line(command));
  return watch(command.name, *seconds, once, environment);
}

// Only options: --help, --version, or a command forgotten.
Outcome no_command(std::vector<std::string> options, const Environment& environment) {
  const auto arguments = parse_arguments(options, {{"version", "", ""}});
  if (!arguments) return usage_error(arguments.error().message(), "nfctl help lists the options\n");
  if (arguments->has("help")) return {general_help(), "", NFR_EXIT_OK};
  if (!arguments->has("version")) return {"", general_help(), NFR_EXIT_USAGE};
  std::erase(options, "--version");
  return run_command(*find_command({"version"}).command, options, environment);
}

}  // namespace

std::string socket_path(const std::optional<std::string>& option, const Environment& environment) {
  const auto variable = [&](const char* name) {
    auto value = environment.variable(name);
    if (value && value->empty()) value.reset();
    return value;
  };
  if (option) return *option;
  if (const auto socket = variable("NETFERRY_SOCKET")) return *socket;
  if (const auto run_directory = variable("NETFERRY_RUN")) return *run_directory + "/" NFR_ADMIN_SOCKET_NAME;
  if (const auto session = variable("XDG_RUNTIME_DIR"); session && !environment.root) {
    std::string own = *session + "/netferry/" NFR_ADMIN_SOCKET_NAME;
    if (environment.exists(own)) return own;
  }
  return NFR_ADMIN_SOCKET_PATH;
}

Outcome run(const std::vector<std::string>& words, const Environment& environment) {
  if (!words.empty() && words[0] == "complete") return {complete({words.begin() + 1, words.end()}, environment), "", 0};
  const Split line = split(words);
  if (line.words.empty()) return no_command(line.leading, environment);
  if (line.words[0] == "help") return help({line.words.begin() + 1, line.words.end()});
  const Found found = find_command(line.words);
  if (found.command == nullptr) {
    const bool group = is_group(line.words[0]);
    if (group && line.words.size() > 1 && is_help_option(line.words[1])) return help({line.words[0]});
    if (group && line.words.size() == 1)
      return usage_error(line.words[0] + ": a verb is missing", group_help(line.words[0]));
    return unknown_command(line.words);
  }
  std::vector<std::string> rest = line.leading;
  rest.insert(rest.end(), line.words.begin() + static_cast<std::ptrdiff_t>(found.words), line.words.end());
  return run_command(*found.command, rest, environment);
}

}  // namespace nfr::nfctl
