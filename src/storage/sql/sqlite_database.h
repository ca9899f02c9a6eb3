#pragma once

#include <memory>
#include <string>

#include "storage/sql/database.h"

namespace asahi::sql {

/// SQLite 3.40+ behind Database: one writer thread, and up to four reader threads that start when
/// reads come. Readers see every acknowledged write (WAL). `path` may be ":memory:", which has the
/// writer only.
Result<std::unique_ptr<Database>> open_sqlite(const std::string& path,
                                              const DatabaseOptions& options);

}  // namespace asahi::sql
