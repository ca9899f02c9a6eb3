#include "gateway/analytics/bulk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "storage/sql/copy_rows.h"

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

std::string names(std::span<const Column> columns) {
  std::string out;
  for (const Column& column : columns)
    out += fmt::format("{}{}", out.empty() ? "" : ", ", column.name);
  return out;
}

/// "unnest(CAST(? AS bigint[]), …) AS given (v0, …)" and its parameters.
std::string given(std::span<const Column> columns, std::span<const std::vector<sql::Value>> rows,
                  std::vector<sql::Value>& params) {
  std::string arrays, values;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    arrays += fmt::format("{}CAST(? AS {}[])", i == 0 ? "" : ", ", columns[i].type);
    values += fmt::format("{}v{}", i == 0 ? "" : ", ", i);
    params.emplace_back(array_of(rows, i));
  }
  return fmt::format("unnest({}) AS given ({})", arrays, values);
}

/// "SELECT found.* FROM" the given keys and `what` each finds in the table. Key by key, which
/// OFFSET keeps the planner from undoing: without fresh statistics it would go through all keys for
/// each row of the table.
std::string find_each(std::string_view what, std::string_view table,
                      std::span<const Column> columns,
                      std::span<const std::vector<sql::Value>> keys,
                      std::vector<sql::Value>& params) {
  std::string equal;
  for (std::size_t i = 0; i < columns.size(); ++i)
    equal += fmt::format("{}{} = given.v{}", i == 0 ? "" : " AND ", columns[i].name, i);
  return fmt::format(
      "SELECT found.* FROM {} CROSS JOIN LATERAL (SELECT {} FROM {} WHERE {} OFFSET 0) AS found",
      given(columns, keys, params), what, table, equal);
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

constexpr std::array<std::string_view, 4> kCopied = {"varchar", "smallint", "bigint", "bytea"};

void append_value(sql::CopyRows& out, std::string_view type, const sql::Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    if (type == "smallint") return out.smallint(static_cast<std::int16_t>(*integer));
    return out.bigint(*integer);
  }
  if (const auto* text = std::get_if<std::string>(&value)) return out.text(*text);
  if (const auto* blob = std::get_if<sql::Blob>(&value)) return out.bytea(blob->bytes);
  out.null();
}

/// Rows that nothing can be in the way of. Returns how many.
Result<std::int64_t> copy_all(sql::Session& session, std::string_view table,
                              std::span<const Column> columns,
                              std::span<const std::vector<sql::Value>> rows) {
  std::vector<std::string_view> names;
  for (const Column& column : columns) names.push_back(column.name);
  sql::CopyRows copied(table, names);
  for (const auto& row : rows) {
    copied.begin_row();
    for (std::size_t i = 0; i < columns.size(); ++i) append_value(copied, columns[i].type, row[i]);
  }
  return sql::copy(session, copied);
}

}  // namespace

Result<std::int64_t> insert_rows(sql::Session& session, std::string_view table,
                                 std::span<const Column> columns, std::string_view tail,
                                 const Rows& rows) {
  if (session.dialect() == sql::Dialect::kSqlite)
    return sql::run_each(session, insert_one(table, columns, tail), rows);
  const bool copied = tail.empty() && std::ranges::all_of(columns, [](const Column& column) {
                        return std::ranges::find(kCopied, column.type) != kCopied.end();
                      });
  std::int64_t written = 0;
  auto done = in_pieces(rows, [&](auto piece) -> Result<void> {
    if (copied) {
      ASAHI_TRY(const std::int64_t count, copy_all(session, table, columns, piece));
      written += count;
      return {};
    }
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

Result<void> delete_rows(sql::Session& session, std::string_view table,
                         std::span<const Column> columns, std::string_view tail, const Rows& keys,
                         const std::function<Result<void>(const sql::Rows&)>& visit) {
  return in_pieces(keys, [&](auto piece) -> Result<void> {
    sql::Statement statement;
    statement.wire = sql::Wire::kBinary;
    const std::string each = find_each("ctid AS place", table, columns, piece, statement.params);
    statement.sql = fmt::format("DELETE FROM {} WHERE ctid = ANY(ARRAY({})) {}", table, each, tail);
    ASAHI_TRY(const sql::Rows deleted, session.query(statement));
    return visit(deleted);
  });
}

std::string array_of(std::span<const std::string_view> texts) {
  std::string out = "{";
  for (const std::string_view text : texts) {
    if (out.size() > 1) out.push_back(',');
    append_quoted(out, text);
  }
  out.push_back('}');
  return out;
}

}  // namespace asahi::gateway::analytics
