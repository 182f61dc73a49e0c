// SPDX-License-Identifier: GPL-2.0-only
// What must be true of the database file before SQLite sees it: a plain file of mode 0600 in a directory we can
// write to, created so whatever the umask is. Called once at start, by Database::open.
#pragma once

#include <string>

#include "base/result.hpp"

namespace nfr::store {

/// Creates the file (0600, durable in its directory) where it is missing; else refuses one that is not a plain file,
/// that other users may read or write, or that we may not write, each with what mends it. SQLite gives -wal and
/// -shm the mode of the file; left-overs of another mode are refused too.
Status prepare_state_file(const std::string& path);

}  // namespace nfr::store
