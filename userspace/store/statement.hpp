// SPDX-License-Identifier: GPL-2.0-only
// Statement: one prepared SQL statement, finalised on destruction, and the translation of SQLite's failures into
// errors that say what to do. Used only inside the store room, on the thread that owns the connection.
// It knows no table; SQL text lives with its callers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace nfr::store {

/// The last failure of the connection: names the file, the reason and what to do. kExists for a broken UNIQUE,
/// kNotFound for a broken foreign key, kExhausted for a full disk.
Error sqlite_error(sqlite3* connection);

class Statement {
 public:
  static Result<Statement> prepare(sqlite3* connection, std::string_view sql);

  /// Binds the next parameter, from the left.
  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view text);
  Statement& bind(std::span<const std::byte> blob);
  Statement& bind_null();

  Result<bool> step();  ///< true: a row is there; false: finished
  Status run();         ///< steps to the end; rows are ignored

  /// Columns of the current row, from 0. Blobs stay valid until the next step().
  bool is_null(int column) const;
  std::int64_t integer(int column) const;
  std::string text(int column) const;
  std::span<const std::byte> blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_count_ = 0;
};

}  // namespace nfr::store
