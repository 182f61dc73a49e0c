// SPDX-License-Identifier: GPL-2.0-only
// Where an instance lives: config file, state, run and bpffs directories, control socket. Each comes from the flag,
// else the environment, else the config file, else the default. Used once at start; pure, touches no file.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace nfr::config {

enum class Role { kRelay, kAgent };

/// What the process was started in, as values, so that tests need no real environment.
struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;  ///< nothing when unset
  uid_t uid = 0;                                                                ///< effective
  std::string home;                                                             ///< may be empty
  std::string working_dir;  ///< absolute; relative flags and variables start here

  static Environment of_process();
};

/// From the command line.
struct PathFlags {
  std::optional<std::string> config, state, run, bpffs, socket;
};

/// From the config file (state_dir, run_dir, bpffs_dir, socket); absolute.
struct PathKeys {
  std::optional<std::string> state_dir, run_dir, bpffs_dir, socket;
  bool operator==(const PathKeys&) const = default;
};

struct ConfigFile {
  std::string path;
  bool named = false;  ///< by flag or variable: then it must exist
};

/// All absolute.
struct Directories {
  std::string state, run, bpffs, socket;
};

/// --config, NETFERRY_CONFIG, /etc/netferry/{relay,agent}.toml.
Result<ConfigFile> resolve_config_file(Role role, const PathFlags& flags, const Environment& environment);

/// The defaults: /var/lib/netferry/{relay,agent}, /run/netferry, /sys/fs/bpf/netferry, RUN/ctl.sock or RUN/agent.sock.
/// Without root: ~/.local/state/netferry/{relay,agent} and $XDG_RUNTIME_DIR/netferry, else STATE/run.
/// kInvalid names the flag, variable or key that cannot be used, or the one to set where there is no home directory.
Result<Directories> resolve_directories(Role role, const PathFlags& flags, const Environment& environment,
                                        const PathKeys& keys);

}  // namespace nfr::config
