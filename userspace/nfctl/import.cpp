// SPDX-License-Identifier: GPL-2.0-only
// nfctl import: other tunnels' files as a file for apply. Asks no relay. Pure; called by app.cpp.
#include <fmt/format.h>

#include "base/text.hpp"
#include "migrate/import.hpp"
#include "nfctl/commands.hpp"

namespace nfr::nfctl {
namespace {

std::string leftover_line(const migrate::Leftover& left) {
  const std::string place = left.file.empty() ? "" : fmt::format("{}, line {}: ", left.file, left.line);
  return fmt::format("not carried over: {}{}: {}\n", place, left.setting, left.why);
}

Result<Text> run_import(const Arguments& arguments) {
  std::optional<migrate::Format> format;
  if (const auto name = arguments.value("format")) {
    const auto parsed = migrate::parse_format(*name);
    if (!parsed) return parsed.error();
    format = *parsed;
  }
  const auto agent = core::parse_agent_name(arguments.value("agent").value_or("client1"));
  if (!agent) return agent.error();
  std::vector<migrate::Source> sources;
  for (const InputFile& file : arguments.files) sources.push_back({file.name, file.text});
  const auto imported = migrate::import_files(sources, format, *agent);
  if (!imported) return imported.error();
  Text text;
  text.out = "# Made by nfctl import. On the relay:\n";
  for (const std::string& command : imported->commands) text.out += fmt::format("#   {}\n", command);
  if (!imported->mappings.empty()) {
    text.out += "# and, with this file: nfctl apply FILE\n\n" + config::write_mappings(imported->mappings);
  }
  for (const migrate::Leftover& left : imported->leftovers) text.err += leftover_line(left);
  return text;
}

}  // namespace

std::vector<Command> import_commands() {
  return {{.name = "import",
           .operands = "FILE [FILE]",
           .summary = "turn a file of frp, rathole or port-proxy into a file for apply",
           .details =
               "Prints the mappings, and as comments the lines that make their agents; asks and changes nothing.\n"
               "Every setting that cannot be carried over is named on standard error. rathole: give the client's\n"
               "and the server's file, in any order. - is standard input.\n",
           .options = {{"format", "frpc|frps|rathole|port-proxy", "what the files are (default: told by their keys)"},
                       {"agent", "NAME", "the agent's name where the file has none (default: client1)"}},
           .build = nullptr,
           .render = nullptr,
           .local = run_import,
           .files_max = 2}};
}

}  // namespace nfr::nfctl
