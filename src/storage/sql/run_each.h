#pragma once

#include <span>
#include <string>
#include <vector>

#include "storage/sql/database.h"

namespace asahi::sql {

/// One INSERT, UPDATE or DELETE that returns nothing, once for each list of parameters, in order:
/// far cheaper than as many calls of `query` where the engine keeps it prepared (SQLite). Returns
/// how many rows were written in all. Errors: those of `Session::query`; what ran before the one
/// that failed is undone with the transaction.
Result<std::int64_t> run_each(Session& session, const std::string& sql,
                              std::span<const std::vector<Value>> params);

}  // namespace asahi::sql
