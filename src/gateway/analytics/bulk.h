#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/sql/database.h"
#include "storage/sql/run_each.h"

namespace asahi::gateway::analytics {

/// Many rows or keys at once. PostgreSQL takes columns as arrays, in one statement whatever their
/// length. SQLite runs one prepared statement a row, which is a function call there and cheaper
/// than a statement of many rows.

struct Column {
  std::string_view name;
  std::string_view type;  ///< PostgreSQL's: "bigint", "bytea" …
};
using Rows = std::vector<std::vector<sql::Value>>;

/// "INSERT INTO `table` (columns) … `tail`". Returns how many rows were written.
Result<std::int64_t> insert_rows(sql::Session& session, std::string_view table,
                                 std::span<const Column> columns, std::string_view tail,
                                 const Rows& rows);
/// The same row by row, for SQLite: rows need not stand in memory together.
Result<std::int64_t> insert_each(sql::Session& session, std::string_view table,
                                 std::span<const Column> columns, std::string_view tail,
                                 std::size_t count, const sql::ParamsOf& row);
/// The same with a `tail` that ends in RETURNING; `visit` sees what that gives, in several parts.
Result<void> insert_rows(sql::Session& session, std::string_view table,
                         std::span<const Column> columns, std::string_view tail, const Rows& rows,
                         const std::function<Result<void>(const sql::Rows&)>& visit);

/// "DELETE FROM `table` WHERE" the columns equal one of `keys`, which differ, with a `tail` that
/// begins with RETURNING (columns that `sql::Wire::kBinary` has); PostgreSQL only.
Result<void> delete_rows(sql::Session& session, std::string_view table,
                         std::span<const Column> columns, std::string_view tail, const Rows& keys,
                         const std::function<Result<void>(const sql::Rows&)>& visit);

/// Texts as one parameter of PostgreSQL, for CAST(? AS varchar[]).
std::string array_of(std::span<const std::string_view> texts);

}  // namespace asahi::gateway::analytics
