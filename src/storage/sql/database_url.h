#pragma once

#include <string>

#include "base/result.h"
#include "storage/sql/database.h"

namespace asahi::sql {

/// Where a database URL points.
struct Target {
  Dialect dialect = Dialect::kSqlite;
  /// SQLite: the file's path, or ":memory:". PostgreSQL: the URL for libpq; holds the password, so
  /// it is never logged.
  std::string location;
};

/// Reads DatabaseOptions::url. Errors: invalid_argument, without quoting the URL (it may hold a
/// password).
Result<Target> parse_database_url(const std::string& url, const std::string& data_dir);

}  // namespace asahi::sql
