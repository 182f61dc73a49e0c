// SPDX-License-Identifier: GPL-2.0-only
#include "store/statement.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace nfr::store {
namespace {

bool is_disk_full(int primary, int os_errno) {
  return primary == SQLITE_FULL ||
         (primary == SQLITE_IOERR && (os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG));
}

bool is_not_writable(int primary, int os_errno) {
  return primary == SQLITE_READONLY || primary == SQLITE_PERM || primary == SQLITE_AUTH ||
         ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && (os_errno == EROFS || os_errno == EACCES));
}

std::string path_of(sqlite3* connection) {
  const char* path = sqlite3_db_filename(connection, "main");
  return path != nullptr && *path != '\0' ? path : "(not open)";
}

/// The errno behind an I/O error, 0 when unknown. SQLite keeps it with the file that failed: the log or the database.
int errno_behind(sqlite3* connection) {
  int os_errno = sqlite3_system_errno(connection);
  sqlite3_file* log = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (os_errno == 0 && log != nullptr && log->pMethods != nullptr) {
    log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &os_errno);
  }
  if (os_errno == 0) sqlite3_file_control(connection, "main", SQLITE_FCNTL_LAST_ERRNO, &os_errno);
  return os_errno;
}

}  // namespace

Error sqlite_error(sqlite3* connection) {
  const int extended = sqlite3_extended_errcode(connection);
  const int primary = extended & 0xFF;
  const std::string reason = sqlite3_errmsg(connection);
  // Only these two come from a system call.
  const int os_errno = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN ? errno_behind(connection) : 0;
  const std::string where = fmt::format("state database {}", path_of(connection));
  if (extended == SQLITE_CONSTRAINT_UNIQUE) return {Code::kExists, fmt::format("{}: {}", where, reason)};
  if (extended == SQLITE_CONSTRAINT_FOREIGNKEY) return {Code::kNotFound, fmt::format("{}: {}", where, reason)};
  if (is_disk_full(primary, os_errno)) {
    return {Code::kExhausted, fmt::format("{}: its disk or quota is full; nothing was changed. Free some space there "
                                          "and repeat the command",
                                          where)};
  }
  if (is_not_writable(primary, os_errno)) {
    return {Code::kSystem, fmt::format("{}: cannot be written ({}); nothing was changed. Make the file and its "
                                       "directory writable for uid {}",
                                       where, reason, ::geteuid())};
  }
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
    return {Code::kInvalid, fmt::format("{}: damaged ({}). Stop the relay, move the file away together with its -wal "
                                        "and -shm, and restore a backup",
                                        where, reason)};
  }
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
    return {Code::kUnavailable, fmt::format("{}: locked by another program; nothing was changed. `fuser {}` shows it",
                                            where, path_of(connection))};
  }
  const std::string cause = os_errno != 0 ? fmt::format(": {}", std::strerror(os_errno)) : "";
  return {Code::kSystem, fmt::format("{}: {}{} (SQLite code {})", where, reason, cause, extended)};
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Result<Statement> Statement::prepare(sqlite3* connection, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(connection, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return sqlite_error(connection);
  NFR_ASSERT(statement != nullptr);
  return Statement(statement);
}

// A failed bind is a wrong index or a statement in mid-step: our bug, never input.
Statement& Statement::bind(std::int64_t value) {
  NFR_ASSERT(sqlite3_bind_int64(statement_.get(), ++bound_count_, value) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  NFR_ASSERT(sqlite3_bind_text(statement_.get(), ++bound_count_, text.data(), static_cast<int>(text.size()),
                               SQLITE_TRANSIENT) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind(std::span<const std::byte> blob) {
  NFR_ASSERT(sqlite3_bind_blob(statement_.get(), ++bound_count_, blob.data(), static_cast<int>(blob.size()),
                               SQLITE_TRANSIENT) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_null() {
  NFR_ASSERT(sqlite3_bind_null(statement_.get(), ++bound_count_) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return sqlite_error(sqlite3_db_handle(statement_.get()));
}

Status Statement::run() {
  while (true) {
    const auto row = step();
    if (!row) return row.error();
    if (!*row) return {};
  }
}

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string Statement::text(int column) const {
  // The text must be fetched before its size: fetching may convert.
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return text == nullptr ? std::string() : std::string(text, static_cast<std::size_t>(size));
}

std::span<const std::byte> Statement::blob(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {bytes, bytes == nullptr ? 0 : static_cast<std::size_t>(size)};
}

}  // namespace nfr::store
