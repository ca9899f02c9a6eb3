#include "gateway/analytics/bulk.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::gateway::analytics {
namespace {

/// One array of PostgreSQL takes far more, but a statement has a time limit.
constexpr std::size_t kMostAtOnce = 5'000;

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

void append_element(std::string& out, const sql::Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    const fmt::format_int digits(*integer);
    out.append(digits.data(), digits.size());
  } else if (const auto* real = std::get_if<double>(&value)) {
    fmt::format_to(std::back_inserter(out), "{}", *real);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    append_quoted(out, *text);
  } else if (const auto* blob = std::get_if<sql::Blob>(&value)) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += R"("\\x)";
    for (const char c : blob->bytes) {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    }
    out.push_back('"');
  } else {
    out += "NULL";
  }
}

/// One column of rows as an array literal
/// (https://www.postgresql.org/docs/15/arrays.html#ARRAYS-IO).
std::string array_of(std::span<const std::vector<sql::Value>> rows, std::size_t column) {
  std::string out = "{";
  for (const auto& row : rows) {
    if (out.size() > 1) out.push_back(',');
    append_element(out, row[column]);
  }
  out.push_back('}');
  return out;
}

std::string names(std::span<const Column> columns, std::string_view before = "") {
  std::string out;
  for (const Column& column : columns)
    out += fmt::format("{}{}{}", out.empty() ? "" : ", ", before, column.name);
  return out;
}

/// "unnest(CAST(? AS bigint[]), …) AS given (names)" and its parameters.
std::string given(std::span<const Column> columns, std::span<const std::vector<sql::Value>> rows,
                  std::vector<sql::Value>& params) {
  std::string out = "unnest(";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    out += fmt::format("{}CAST(? AS {}[])", i == 0 ? "" : ", ", columns[i].type);
    params.emplace_back(array_of(rows, i));
  }
  return out + fmt::format(") AS given ({})", names(columns));
}

/// Cuts rows in pieces that PostgreSQL takes at once.
template <class Use>
Result<void> in_pieces(std::span<const std::vector<sql::Value>> rows, Use use) {
  while (!rows.empty()) {
    const auto piece = rows.first(std::min(rows.size(), kMostAtOnce));
    if (Result<void> used = use(piece); !used) return used;
    rows = rows.subspan(piece.size());
  }
  return {};
}

std::string insert_into(std::string_view table, std::span<const Column> columns) {
  return fmt::format("INSERT INTO {} ({}) ", table, names(columns));
}
/// For one row, with placeholders.
std::string insert_one(std::string_view table, std::span<const Column> columns,
                       std::string_view tail) {
  std::string placeholders;
  for (std::size_t i = 0; i < columns.size(); ++i) placeholders += i == 0 ? "?" : ", ?";
  return fmt::format("{}VALUES ({}) {}", insert_into(table, columns), placeholders, tail);
}
sql::Statement insert_all(std::string_view table, std::span<const Column> columns,
                          std::string_view tail, std::span<const std::vector<sql::Value>> rows) {
  sql::Statement statement{insert_into(table, columns), {}};
  statement.sql += fmt::format("SELECT * FROM {} {}", given(columns, rows, statement.params), tail);
  return statement;
}

}  // namespace

Result<std::int64_t> insert_rows(sql::Session& session, std::string_view table,
                                 std::span<const Column> columns, std::string_view tail,
                                 const Rows& rows) {
  if (session.dialect() == sql::Dialect::kSqlite)
    return sql::run_each(session, insert_one(table, columns, tail), rows);
  std::int64_t written = 0;
  auto done = in_pieces(rows, [&](auto piece) -> Result<void> {
    ASAHI_TRY(const sql::Rows stored, session.query(insert_all(table, columns, tail, piece)));
    written += stored.affected();
    return {};
  });
  if (!done) return std::unexpected(std::move(done.error()));
  return written;
}

Result<std::int64_t> insert_each(sql::Session& session, std::string_view table,
                                 std::span<const Column> columns, std::string_view tail,
                                 std::size_t count, const sql::ParamsOf& row) {
  return sql::run_each(session, insert_one(table, columns, tail), count, row);
}

Result<void> insert_rows(sql::Session& session, std::string_view table,
                         std::span<const Column> columns, std::string_view tail, const Rows& rows,
                         const std::function<Result<void>(const sql::Rows&)>& visit) {
  if (session.dialect() == sql::Dialect::kPostgres) {
    return in_pieces(rows, [&](auto piece) -> Result<void> {
      ASAHI_TRY(const sql::Rows stored, session.query(insert_all(table, columns, tail, piece)));
      return visit(stored);
    });
  }
  sql::Statement statement{insert_one(table, columns, tail), {}};
  for (const auto& row : rows) {
    statement.params = row;
    ASAHI_TRY(const sql::Rows stored, session.query(statement));
    if (auto visited = visit(stored); !visited) return visited;
  }
  return {};
}

Result<void> select_rows(sql::Session& session, std::string_view what, std::string_view table,
                         std::span<const Column> columns, const Rows& keys,
                         const std::function<Result<void>(const sql::Rows&)>& visit) {
  if (session.dialect() == sql::Dialect::kPostgres) {
    return in_pieces(keys, [&](auto piece) -> Result<void> {
      sql::Statement statement;
      const std::string from = given(columns, piece, statement.params);
      statement.sql =
          fmt::format("SELECT {} FROM {} JOIN {} USING ({})", what, from, table, names(columns));
      ASAHI_TRY(const sql::Rows found, session.query(statement));
      return visit(found);
    });
  }
  // A look-up in SQLite is a function call: one statement a key costs nothing worth saving.
  std::string where;
  for (const Column& column : columns)
    where += fmt::format("{}{} = ?", where.empty() ? "" : " AND ", column.name);
  sql::Statement statement{fmt::format("SELECT {} FROM {} WHERE {}", what, table, where), {}};
  for (const auto& key : keys) {
    statement.params = key;
    ASAHI_TRY(const sql::Rows found, session.query(statement));
    if (auto visited = visit(found); !visited) return visited;
  }
  return {};
}

}  // namespace asahi::gateway::analytics
