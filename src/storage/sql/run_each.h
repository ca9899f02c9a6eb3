#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "storage/sql/database.h"

namespace asahi::sql {

/// The parameters of run `which`; they stay as they are until the next call.
using ParamsOf = std::function<std::span<const Value>(std::size_t which)>;

/// One INSERT, UPDATE or DELETE that returns nothing, once for each list of parameters, in order:
/// far cheaper than as many calls of `query` where the engine keeps it prepared (SQLite). Returns
/// how many rows were written in all. Errors: those of `Session::query`; what ran before the one
/// that failed is undone with the transaction.
Result<std::int64_t> run_each(Session& session, const std::string& sql, std::size_t count,
                              const ParamsOf& params_of);
Result<std::int64_t> run_each(Session& session, const std::string& sql,
                              std::span<const std::vector<Value>> params);

}  // namespace asahi::sql
