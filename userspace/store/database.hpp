// SPDX-License-Identifier: GPL-2.0-only
// Database: one SQLite connection with the settings that make a commit durable (WAL, synchronous=FULL). Used only
// inside the store room, by one thread at a time. It knows no table.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/statement.hpp"

namespace nfr::store {

class Database {
 public:
  /// Checks or creates the file (state_file.hpp), opens it and verifies its pages. Writes nothing into an existing
  /// file.
  static Result<Database> open(const std::string& path);

  /// Switches to the write-ahead log. After this a commit that returned ok survives kill -9 and power loss.
  Status make_durable();

  Status execute(const char* sql);  ///< one or more statements without parameters or wanted rows
  Result<Statement> prepare(std::string_view sql) { return Statement::prepare(connection_.get(), sql); }
  Result<std::int64_t> integer(std::string_view sql);  ///< first column of the only row
  Result<std::string> text(std::string_view sql);      ///< first column of the first row

  std::int64_t last_insert_id() const;
  std::int64_t changed_rows() const;  ///< by the last INSERT, UPDATE or DELETE, cascades not counted
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  Database(sqlite3* connection, std::string path) : connection_(connection), path_(std::move(path)) {}
  Status verify_pages();

  std::unique_ptr<sqlite3, Close> connection_;
  std::string path_;
};

}  // namespace nfr::store
