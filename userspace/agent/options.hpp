// SPDX-License-Identifier: GPL-2.0-only
// nfagent's command line and what it resolves to together with environment and agent.toml. Used once, in main.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/agent_config.hpp"
#include "config/directories.hpp"
#include "config/proxy_server.hpp"

namespace nfr::agent {

enum class Verb { kJoin, kRun, kAllow, kExpose, kStatus };

/// As typed, checked.
struct ExposeOptions {
  std::string target;
  std::string shown_target;  ///< "127.0.0.1:3000" for "3000"
  std::string public_ports = "auto";
  std::string leg;           ///< empty: the relay's choice
  std::string proxy_header;  ///< empty: none
};

struct Options {
  Verb verb = Verb::kRun;
  std::string join_text;           ///< kJoin: the line itself
  std::vector<std::string> rules;  ///< kAllow: to add; none: list
  ExposeOptions expose;
  bool json = false;  ///< kStatus
  config::AgentConfig config;
  std::optional<config::ProxyServer> proxy;  ///< kJoin, kRun: towards the relay
  std::string no_proxy;                      ///< what it is not used for
  config::Directories directories;
  bool socket_named = false;  ///< the agent's socket follows from a flag, variable or key
};

struct ParsedCommandLine {
  std::optional<Options> options;
  std::string print;  ///< help or version
};

Result<ParsedCommandLine> parse_command_line(int argc, char** argv);

}  // namespace nfr::agent
