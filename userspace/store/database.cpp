// SPDX-License-Identifier: GPL-2.0-only
#include "store/database.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include "store/state_file.hpp"

namespace nfr::store {
namespace {

/// An operator's `sqlite3 state.db` may hold the lock for a moment; the control thread must not wait long.
constexpr int kBusyTimeoutMs = 1000;

/// Debian's SQLite reads "file:..." as a URI: a relative name gets a "./" so that it is always a path.
std::string as_plain_path(const std::string& path) { return path.starts_with('/') ? path : "./" + path; }

}  // namespace

void Database::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

Result<Database> Database::open(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return Error(Code::kInvalid, "state database: its path is empty or holds a zero byte");
  }
  if (auto status = prepare_state_file(path); !status) return status.error();
  sqlite3* connection = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(as_plain_path(path).c_str(), &connection, kFlags, nullptr);
  Database database(connection, path);
  if (code != SQLITE_OK) return sqlite_error(connection);
  sqlite3_busy_timeout(connection, kBusyTimeoutMs);
  if (auto status = database.verify_pages(); !status) return status.error();
  if (auto status = database.execute("PRAGMA foreign_keys = ON"); !status) return status.error();
  return database;
}

Status Database::verify_pages() {
  const auto verdict = text("PRAGMA quick_check(1)");
  if (!verdict) return verdict.error();
  if (*verdict == "ok") return {};
  return Error(Code::kInvalid,
               fmt::format("state database {}: damaged ({}). Stop the relay, move the file away together "
                           "with its -wal and -shm, and restore a backup",
                           path_, *verdict));
}

Status Database::make_durable() {
  const auto mode = text("PRAGMA journal_mode = WAL");
  if (!mode) return mode.error();
  if (*mode != "wal") {
    return Error(Code::kSystem, fmt::format("state database {}: its file system cannot keep a write-ahead log (journal "
                                            "mode {}). Put the state directory on a local disk",
                                            path_, *mode));
  }
  return execute("PRAGMA synchronous = FULL");
}

Status Database::execute(const char* sql) {
  if (sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return sqlite_error(connection_.get());
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return statement.error();
  const auto row = statement->step();
  if (!row) return row.error();
  NFR_ASSERT(*row);
  return statement->integer(0);
}

Result<std::string> Database::text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return statement.error();
  const auto row = statement->step();
  if (!row) return row.error();
  NFR_ASSERT(*row);
  return statement->text(0);
}

std::int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(connection_.get()); }

std::int64_t Database::changed_rows() const { return sqlite3_changes64(connection_.get()); }

}  // namespace nfr::store
