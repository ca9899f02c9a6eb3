#pragma once

#include <cstddef>

#include "base/task.h"
#include "storage/sql/database.h"

namespace asahi::memory::pg {

/// Of all that write the table: one transaction at a time.
inline constexpr std::int64_t kWriterLock = 0x616B'6F73'6861;

/// What the server offers.
struct Server {
  bool iterative = false;  ///< pgvector 0.8: filters do not cut the index's answers
};

/// Makes the table `akosha.conversations` and its indexes where they are missing; `dimensions`: of
/// the vectors that get an HNSW index (cosine, M 16, ef_construction 200), up to 2,000. Blocking.
/// Errors: unavailable, naming what to install, where pgvector is missing or older than 0.5;
/// invalid_argument for a database that is no PostgreSQL.
Result<Server> prepare(sql::Database& database, std::size_t dimensions);

}  // namespace asahi::memory::pg
