#pragma once

#include <memory>
#include <string>

#include "storage/sql/database.h"

namespace asahi::sql {

/// PostgreSQL 15+ behind Database: query() and batch() are pipelined over a few connections on one
/// thread; transaction() blocks a thread with a connection of its own (a third of pool_size, at
/// least one, at most four). Works through PgBouncer in transaction mode. Connects when first used.
/// `url`: "postgres://…". Errors: invalid_argument.
Result<std::unique_ptr<Database>> open_postgres(const std::string& url,
                                                const DatabaseOptions& options);

}  // namespace asahi::sql
