#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// Many rows or keys in few statements. PostgreSQL takes columns as arrays, in one statement
/// whatever their length; SQLite takes rows as parameters, in pieces of a few sizes, so that a
/// handful of prepared statements serves all.

struct Column {
  std::string_view name;
  std::string_view type;  ///< PostgreSQL's: "bigint", "bytea" …
};
using Rows = std::vector<std::vector<sql::Value>>;

/// "INSERT INTO `table` (columns) … `tail`"; `visit` sees what RETURNING gives.
Result<void> insert_rows(sql::Session& session, std::string_view table,
                         std::span<const Column> columns, std::string_view tail, Rows rows,
                         const std::function<void(const sql::Rows&)>& visit = nullptr);

/// "SELECT `what` FROM `table` WHERE" the columns equal one of `keys`, which differ.
Result<void> select_rows(sql::Session& session, std::string_view what, std::string_view table,
                         std::span<const Column> columns, const Rows& keys,
                         const std::function<Result<void>(const sql::Rows&)>& visit);

}  // namespace asahi::gateway::analytics
