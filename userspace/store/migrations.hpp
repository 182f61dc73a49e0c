// SPDX-License-Identifier: GPL-2.0-only
// The schema as a list of steps: step N brings a database of version N-1 to version N (PRAGMA user_version), in one
// transaction. Steps that were released are never edited; a change is a new step. Called once at start.
#pragma once

#include <span>

#include "base/result.hpp"
#include "store/database.hpp"

namespace nfr::store {

/// PRAGMA application_id of every database of ours ("NFRS"); step 1 sets it.
inline constexpr std::int64_t kApplicationId = 0x4E465253;

std::span<const char* const> schema_steps();

/// Refuses, without writing, a database of a newer version (naming both) and one that is not ours; else runs the
/// missing steps. A step that fails leaves the database at the version before it.
Status migrate(Database& database, std::span<const char* const> steps);

}  // namespace nfr::store
