// SPDX-License-Identifier: GPL-2.0-only
// nfrelayd's command line, and what it resolves to together with environment and relay.toml. Used once, in main.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/directories.hpp"
#include "config/relay_config.hpp"

namespace nfr::relayd {

struct Options {
  config::RelayConfig config;
  config::ConfigFile config_file;
  config::Directories directories;
  std::string user;  ///< of the relay process; empty: the default
  bool single = false;
  std::optional<int> relay_channel;  ///< set in the process the holder starts
};

/// Options, or text to print and leave with: help or version.
struct ParsedCommandLine {
  std::optional<Options> options;
  std::string print;
};

Result<ParsedCommandLine> parse_command_line(int argc, char** argv);

/// argv of the relay process: the same instance, reached by the descriptor `channel`.
std::vector<std::string> relay_arguments(const Options& options, int channel);

/// Hosts for the join line and for what `map` prints: the config's, else the source address of the default route.
Result<std::vector<std::string>> public_hosts(const Options& options);
/// Why the first of `hosts` may not be what strangers reach; empty when `configured`, or when it is a public address.
std::string public_host_doubt(const std::vector<std::string>& hosts, bool configured, const std::string& config_file);

}  // namespace nfr::relayd
