// SPDX-License-Identifier: GPL-2.0-only
// nfagent's command line and what it resolves to together with environment and agent.toml. Used once, in main.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/agent_config.hpp"
#include "config/directories.hpp"

namespace nfr::agent {

enum class Verb { kJoin, kRun, kAllow };

struct Options {
  Verb verb = Verb::kRun;
  std::string join_text;           ///< kJoin: the line itself
  std::vector<std::string> rules;  ///< kAllow: to add; none: list
  config::AgentConfig config;
  config::Directories directories;
};

struct ParsedCommandLine {
  std::optional<Options> options;
  std::string print;  ///< help or version
};

Result<ParsedCommandLine> parse_command_line(int argc, char** argv);

}  // namespace nfr::agent
