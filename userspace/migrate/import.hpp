// SPDX-License-Identifier: GPL-2.0-only
// Configuration of other tunnels as mappings of Netferry: frp, rathole, port-proxy. Pure; called by nfctl. What cannot
// be carried over is named with its line and the reason, never dropped in silence.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/mappings_file.hpp"

namespace nfr::migrate {

enum class Format { kFrpc, kFrps, kRathole, kPortProxy };
Result<Format> parse_format(std::string_view text);

struct Source {
  std::string name;
  std::string text;
};

/// A setting that has no counterpart, or not quite the same one.
struct Leftover {
  std::string file;
  unsigned line = 0;
  std::string setting;  ///< "proxies.web.type"
  std::string why;
};

struct Imported {
  std::vector<config::DeclaredMapping> mappings;
  std::vector<std::string> commands;  ///< nfctl lines that make the agents
  std::vector<Leftover> leftovers;    ///< in the order of the files
};

/// `agent`: the name for the agent of a file that names none. Without a `format` each file tells by its keys.
Result<Imported> import_files(const std::vector<Source>& sources, std::optional<Format> format,
                              const std::string& agent);

}  // namespace nfr::migrate
