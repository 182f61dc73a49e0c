// SPDX-License-Identifier: GPL-2.0-only
// nfctl as a function: words and environment in, text and exit code out. main.cpp supplies the real environment,
// tests a made-up one. The only effect is Environment::call.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "admin/message.hpp"
#include "nfctl/command.hpp"

namespace nfr::nfctl {

struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;  ///< nothing: unset
  std::function<bool(const std::string& path)> exists;
  /// Asks the relay behind `socket`. An Error is about the way there; a refusal is Answer::error.
  std::function<Result<admin::Answer>(const std::string& socket, const Call& call)> call;
  bool root = false;
  View view;
  /// A file whole; "-" is standard input.
  std::function<Result<std::string>(const std::string& path)> read{};
  /// What a program of this machine prints; nothing when it is not there, fails or takes too long.
  std::function<std::optional<std::string>(const std::vector<std::string>& argv)> output_of{};
  bool terminal = false;  ///< standard output is one
  // For --watch: shows one block at once; waits, false when it is to end; tells the time.
  std::function<bool(const std::string& out, const std::string& err)> show{};
  std::function<bool(Millis)> wait{};
  std::function<WallTime()> now{};
};

struct Outcome {
  std::string out;
  std::string err;
  int exit_code = 0;  ///< NFR_EXIT_*
};

/// `words`: the command line without the program's name.
Outcome run(const std::vector<std::string>& words, const Environment& environment);

/// --socket, NETFERRY_SOCKET, NETFERRY_RUN/ctl.sock; without root $XDG_RUNTIME_DIR/netferry/ctl.sock if it is there;
/// /run/netferry/ctl.sock. An empty variable counts as unset.
std::string socket_path(const std::optional<std::string>& option, const Environment& environment);

}  // namespace nfr::nfctl
