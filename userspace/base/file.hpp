// SPDX-License-Identifier: GPL-2.0-only
// Small files that must never be half-written. Blocks for fsync: for start-up and rare changes, not for a data path.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nfr {

/// Whole file, at most `bytes_max`. kNotFound when it does not exist, kInvalid when it is larger.
Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max);

/// Mode 0600, written aside, fsynced, renamed, directory fsynced: after a crash the old or the new content is there.
Status write_private_file(const std::string& path, std::string_view content);

}  // namespace nfr
