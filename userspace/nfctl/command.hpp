// SPDX-License-Identifier: GPL-2.0-only
// Command: what one nfctl command is called, takes, asks the relay and shows. Each noun's file defines its commands;
// commands.cpp lists them. Building a request and rendering an answer are pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "nfctl/arguments.hpp"
#include "nfctl/table.hpp"

namespace nfr::nfctl {

/// A request before it has an id.
struct Call {
  std::string cmd;
  nlohmann::json args = nlohmann::json::object();
};

/// What goes to standard output and to standard error.
struct Text {
  std::string out;
  std::string err;
};

/// A second question whose answer some commands show together with the first.
struct Second {
  Call call;
  void (*join)(nlohmann::json& result, const nlohmann::json& second);
};

struct Command {
  std::string name;      ///< as typed: "agent add"
  std::string operands;  ///< for the usage line: "NAME"
  std::string summary;   ///< one line, lower case
  std::string details;   ///< further help, whole lines; may be empty
  std::vector<Option> options;
  Result<Call> (*build)(const Arguments& arguments);
  Text (*render)(const nlohmann::json& result, const View& view);
  /// For commands that have something to say without a relay; null otherwise.
  Text (*without_relay)(const Error& reason) = nullptr;
  /// For commands that ask no relay: instead of build and render.
  Result<Text> (*local)(const Arguments& arguments) = nullptr;
  std::optional<Second> second{};
  std::size_t files_max = 0;       ///< its operands name 1 to so many files: their text is in Arguments::files
  bool looks_at_firewall = false;  ///< its result's "public" is looked up in this machine's firewall
};

/// "usage: nfctl map PUBLIC AGENT:TARGET [--leg plain|tls] ..." with a newline.
std::string usage_line(const Command& command);

/// --watch [SECONDS], for commands that show what changes by itself.
Option watch_option();

/// kInvalid, naming the first surplus or counting the missing ones, unless there are exactly `expected` operands.
Status expect_operands(const Arguments& arguments, std::size_t expected);

}  // namespace nfr::nfctl
