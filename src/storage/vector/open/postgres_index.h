#pragma once

#include <memory>
#include <string>

#include "storage/sql/database.h"
#include "storage/vector/index.h"

namespace asahi::vector {

/// Items in the table `asahi_vectors` of a PostgreSQL with pgvector (0.5 or later; from 0.8 on with
/// an HNSW index, before it tenants are searched row by row). Extension, table and index are made
/// on first use; `ping` does that, too, so that their absence shows at the start: unavailable, with
/// what to install. `database` outlives the index and is PostgreSQL.
std::unique_ptr<Index> make_postgres(Space space, std::string index_name, sql::Database& database);

}  // namespace asahi::vector
