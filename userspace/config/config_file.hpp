// SPDX-License-Identifier: GPL-2.0-only
// Reads a config file whole. Used by the two loaders of this room; knows nothing of what is inside.
#pragma once

#include <string>

#include "base/result.hpp"
#include "config/directories.hpp"

namespace nfr::config {

/// The file's text. Empty when a file that nobody named is missing: all defaults. At most 1 MiB.
Result<std::string> read_config_file(const ConfigFile& file);

}  // namespace nfr::config
