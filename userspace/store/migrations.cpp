// SPDX-License-Identifier: GPL-2.0-only
#include "store/migrations.hpp"

#include <fmt/format.h>

#include <array>
#include <string>

namespace nfr::store {
namespace {

// AUTOINCREMENT: an id is never given twice, so that an old log line or a late message cannot mean a new mapping.
// The PRAGMA is kApplicationId in decimal.
constexpr const char* kStep1 = R"sql(
PRAGMA application_id = 1313231443;
CREATE TABLE agents (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  name             TEXT NOT NULL UNIQUE,
  key              BLOB CHECK (length(key) = 32),
  token_hash       BLOB CHECK (length(token_hash) = 32),
  token_expires_ms INTEGER NOT NULL,
  revoked          INTEGER NOT NULL CHECK (revoked IN (0, 1)),
  ports            TEXT NOT NULL,
  automatic        INTEGER NOT NULL CHECK (automatic IN (0, 1)),
  mappings_max     INTEGER NOT NULL CHECK (mappings_max >= 0),
  flows_max        INTEGER NOT NULL CHECK (flows_max >= 0),
  created_ms       INTEGER NOT NULL
) STRICT;
CREATE TABLE mappings (
  id                   INTEGER PRIMARY KEY AUTOINCREMENT,
  public               TEXT NOT NULL UNIQUE,
  agent                INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  target               TEXT NOT NULL,
  leg                  TEXT CHECK (leg IN ('plain', 'tls')),
  idle_timeout_ms      INTEGER NOT NULL CHECK (idle_timeout_ms >= 0),
  proxy                TEXT NOT NULL CHECK (proxy IN ('none', 'v1', 'v2')),
  allow                TEXT NOT NULL,
  deny                 TEXT NOT NULL,
  flows_max            INTEGER NOT NULL CHECK (flows_max >= 0),
  flows_per_source_max INTEGER NOT NULL CHECK (flows_per_source_max >= 0),
  rate_per_source      INTEGER NOT NULL CHECK (rate_per_source >= 0),
  origin               TEXT NOT NULL CHECK (origin IN ('operator', 'agent')),
  automatic            INTEGER NOT NULL CHECK (automatic IN (0, 1)),
  expires_ms           INTEGER,
  created_ms           INTEGER NOT NULL
) STRICT;
CREATE TABLE port_memories (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  agent  INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  target TEXT NOT NULL,
  port   INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  UNIQUE (agent, target)
) STRICT;
CREATE INDEX mappings_of_agent ON mappings (agent);
)sql";
static_assert(kApplicationId == 1313231443);

constexpr std::array<const char*, 1> kSteps = {kStep1};

Status check_ours(Database& database, std::int64_t version, std::size_t newest) {
  if (version > static_cast<std::int64_t>(newest)) {
    return Error(Code::kInvalid, fmt::format("state database {}: written by a newer Netferry (version {}, this program "
                                             "knows versions up to {}). Install the newer program, or restore a backup "
                                             "made before the upgrade",
                                             database.path(), version, newest));
  }
  const auto application = database.integer("PRAGMA application_id");
  if (!application) return application.error();
  const auto objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!objects) return objects.error();
  const bool fresh = version == 0 && *objects == 0 && *application == 0;
  if (fresh || (version > 0 && *application == kApplicationId)) return {};
  return Error(Code::kInvalid, fmt::format("state database {}: a database of another program. Move it away, or name "
                                           "another state directory",
                                           database.path()));
}

Status run_step(Database& database, const char* step, std::size_t version) {
  if (auto status = database.execute("BEGIN IMMEDIATE"); !status) return status;
  Status status = database.execute(step);
  if (status) status = database.execute(fmt::format("PRAGMA user_version = {}", version).c_str());
  if (status) status = database.execute("COMMIT");
  if (status) return {};
  // Some failures (a full disk) have rolled back already; then this one has nothing to do and says so.
  (void)database.execute("ROLLBACK");
  return status.error().context(fmt::format("bringing the schema to version {}", version));
}

}  // namespace

std::span<const char* const> schema_steps() { return kSteps; }

Status migrate(Database& database, std::span<const char* const> steps) {
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return version.error();
  if (auto status = check_ours(database, *version, steps.size()); !status) return status;
  if (auto status = database.make_durable(); !status) return status;
  for (auto done = static_cast<std::size_t>(*version); done < steps.size(); ++done) {
    if (auto status = run_step(database, steps[done], done + 1); !status) return status;
  }
  return {};
}

}  // namespace nfr::store
