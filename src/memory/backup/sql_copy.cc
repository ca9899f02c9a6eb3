#include "memory/backup/sql_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <optional>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "storage/sql/sqlite_connection.h"

namespace asahi::memory {
namespace {

constexpr std::int64_t kPage = 2'000;
constexpr std::size_t kFlush = 1 << 20;
/// SQLite takes 32,766 parameters of a statement.
constexpr std::size_t kMostParams = 8'000;
constexpr std::size_t kMostRows = 500;
constexpr std::size_t kMaxLine = 64 << 20;
constexpr std::size_t kIndexDepth = 3;

const std::array<CopiedTable, 20> kTables = {{
    // Where deriving stands and what it counted come first: what is derived meanwhile is derived
    // again, never left out.
    {"memory_derived", {"feed"}},
    {"memory_system_hours", {"tenant", "at_ms", "system_id"}},
    {"memory_uploads", {"row_id"}},
    {"memory_migrations", {"id"}},
    {"memory_graphs", {"tenant"}},
    {"memory_graph_sources", {"tenant", "system_id", "conversation_id"}},
    {"memory_graph_entities", {"tenant", "entity_id"}},
    {"memory_graph_facts", {"tenant", "fact_id"}},
    {"memory_graph_versions", {"tenant", "fact_id", "version"}},
    {"memory_metric_points", {"tenant", "metric", "at_ms", "row_id"}},
    {"memory_metric_rollups", {"tenant", "metric", "width_ms", "at_ms", "system_id"}},
    {"memory_alert_thresholds", {"tenant", "alert_type"}},
    {"memory_webhooks", {"tenant", "webhook_id"}},
    {"memory_alerts", {"tenant", "place"}},
    {"memory_traces", {"tenant", "system_id", "trace_id"}},
    {"memory_routing_fitness", {"tenant", "path"}},
    {"memory_repeats", {"tenant", "system_id", "conversation_id"}},
    {"memory_frequent_searches", {"tenant", "search_id", "period"}},
    {"memory_kept_hot", {"tenant", "system_id", "conversation_id"}},
    {"memory_hits", {"tenant", "system_id", "conversation_id", "day"}},
}};

/// Which tables the copy has: a later version has more, and an earlier one's are restored, too.
constexpr std::string_view kIndex = "tables.json";

std::string path_of(const std::string& folder, const CopiedTable& table) {
  return fmt::format("{}/{}.jsonl", folder, table.name);
}

std::string path_of_index(const std::string& folder) {
  return fmt::format("{}/{}", folder, kIndex);
}

std::string list_of(const std::vector<std::string_view>& columns) {
  return fmt::format("{}", fmt::join(columns, ", "));
}

// ---- Values as JSON -----------------------------------------------------------------------------

json::value to_json(const sql::Value& value) {
  struct {
    json::value operator()(std::monostate) const { return nullptr; }
    json::value operator()(std::int64_t number) const { return number; }
    json::value operator()(double number) const {
      // JSON has no infinity.
      if (std::isfinite(number)) return number;
      return json::object{{"real", fmt::format("{}", number)}};
    }
    json::value operator()(const std::string& text) const { return json::value(text); }
    json::value operator()(const sql::Blob& blob) const {
      return json::object{{"blob", base64_encode(blob.bytes)}};
    }
  } convert;
  return std::visit(convert, value);
}

std::optional<sql::Value> from_json(const json::value& value) {
  if (value.is_null()) return sql::Value{};
  if (value.is_int64()) return sql::Value(value.get_int64());
  if (value.is_double()) return sql::Value(value.get_double());
  if (value.is_string()) return sql::Value(std::string(value.get_string()));
  if (!value.is_object() || value.get_object().size() != 1) return std::nullopt;
  const auto& [name, inside] = *value.get_object().begin();
  if (!inside.is_string()) return std::nullopt;
  const std::string text(inside.get_string());
  if (name == "real") return sql::Value(std::strtod(text.c_str(), nullptr));
  const auto bytes = base64_decode(text);
  if (name != "blob" || !bytes) return std::nullopt;
  return sql::Value(sql::Blob{*bytes});
}

// ---- Writing ------------------------------------------------------------------------------------

using Query = std::function<Result<sql::Rows>(const sql::Statement&)>;

class Lines {
 public:
  explicit Lines(std::string path)
      : path_(std::move(path)), file_(File::open(path_, O_WRONLY | O_CREAT | O_TRUNC)) {}

  Result<void> add(const json::value& line) {
    waiting_ += json::serialize(line);
    waiting_ += '\n';
    return waiting_.size() < kFlush ? Result<void>{} : flush();
  }
  Result<void> finish() {
    if (auto ok = flush(); !ok) return ok;
    if (::fsync(file_.get()) != 0) return file_error("sync", path_);
    return {};
  }

 private:
  Result<void> flush() {
    if (!file_ || !write_all(file_.get(), waiting_)) return file_error("write", path_);
    waiting_.clear();
    return {};
  }
  const std::string path_;
  const File file_;
  std::string waiting_;
};

/// `SELECT *` of the rows after `last`, by key.
sql::Statement page_after(const CopiedTable& table, const std::vector<sql::Value>& last) {
  sql::Statement statement;
  const std::string key = list_of(table.key);
  std::string after;
  if (!last.empty()) {
    after = fmt::format(" WHERE ({}) > ({})", key,
                        fmt::join(std::vector<std::string>(last.size(), "?"), ", "));
    statement.params = last;
  }
  statement.sql =
      fmt::format("SELECT * FROM {}{} ORDER BY {} LIMIT {}", table.name, after, key, kPage);
  return statement;
}

Result<std::uint64_t> write_table(const Query& query, const CopiedTable& table,
                                  const std::string& path, const std::function<bool()>& stopped) {
  Lines out(path);
  std::vector<sql::Value> last;
  std::uint64_t count = 0;
  for (bool more = true; more;) {
    if (stopped()) return fail(Errc::kCancelled, "the process is ending");
    ASAHI_TRY(const sql::Rows rows, query(page_after(table, last)));
    if (last.empty()) {
      json::array columns;
      for (const std::string& column : rows.columns()) columns.emplace_back(column);
      if (auto ok = out.add(json::object{{"table", table.name}, {"columns", std::move(columns)}});
          !ok)
        return std::unexpected(ok.error());
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      json::array line;
      for (const std::string& column : rows.columns()) line.push_back(to_json(rows.at(i, column)));
      if (auto ok = out.add(line); !ok) return std::unexpected(ok.error());
    }
    count += rows.size();
    more = rows.size() == static_cast<std::size_t>(kPage);
    last.clear();
    if (more) {
      for (const std::string_view column : table.key)
        last.push_back(rows.at(rows.size() - 1, column));
    }
  }
  if (auto ok = out.finish(); !ok) return std::unexpected(ok.error());
  return count;
}

Result<std::uint64_t> write_tables(const Query& query, const std::string& folder,
                                   const std::function<bool()>& stopped) {
  std::uint64_t all = 0;
  for (const CopiedTable& table : kTables) {
    ASAHI_TRY(const std::uint64_t rows, write_table(query, table, path_of(folder, table), stopped));
    all += rows;
  }
  json::array names;
  for (const CopiedTable& table : kTables) names.emplace_back(table.name);
  Lines index(path_of_index(folder));
  if (auto ok = index.add(json::object{{"tables", std::move(names)}}); !ok)
    return std::unexpected(ok.error());
  if (auto ok = index.finish(); !ok) return std::unexpected(ok.error());
  return all;
}

/// A transaction of the database would keep its only writer from everybody: one more connection
/// reads, which in WAL mode nobody waits for.
Result<std::uint64_t> write_from_file(const std::string& file, const std::string& folder,
                                      const std::function<bool()>& stopped) {
  sql::SqliteConnection connection({.path = file,
                                    .access = sql::SqliteConnection::Access::kReadOnly,
                                    .statement_timeout = std::chrono::seconds(30)});
  if (auto ok = connection.script("BEGIN"); !ok) return std::unexpected(ok.error());
  auto rows = write_tables([&](const sql::Statement& asked) { return connection.query(asked); },
                           folder, stopped);
  if (auto ended = connection.script("COMMIT"); !ended && rows)
    return std::unexpected(ended.error());
  return rows;
}

// ---- Reading ------------------------------------------------------------------------------------

/// The tables that the copy has. One without an index is older than indexes: it has those whose
/// files are there, and the backup's sums tell whether one is lost.
Result<std::vector<CopiedTable>> tables_of(const std::string& folder) {
  std::vector<CopiedTable> tables;
  std::ifstream in(path_of_index(folder), std::ios::binary);
  if (!in) {
    std::ranges::copy_if(kTables, std::back_inserter(tables), [&](const CopiedTable& table) {
      return std::ifstream(path_of(folder, table)).good();
    });
    return tables;
  }
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const auto damaged = [] {
    return fail(Errc::kCorrupt,
                fmt::format("the backup's {} is no list of tables; nothing was changed", kIndex));
  };
  const auto index = parse_json(text, kIndexDepth);
  if (!index || !index->is_object()) return damaged();
  const json::value* const names = index->get_object().if_contains("tables");
  if (names == nullptr || !names->is_array()) return damaged();
  for (const json::value& name : names->get_array()) {
    if (!name.is_string()) return damaged();
    const std::string_view wanted = name.get_string();
    const auto* const known = std::ranges::find(kTables, wanted, &CopiedTable::name);
    if (known == kTables.end()) {
      return fail(Errc::kConflict,
                  fmt::format("the backup has a table '{}' that is not known here: restore it with "
                              "the version that made it",
                              wanted.substr(0, 100)));
    }
    tables.push_back(*known);
  }
  return tables;
}

/// A file of `write_table`, line by line.
class TableFile {
 public:
  static Result<TableFile> open(const std::string& folder, const CopiedTable& table) {
    TableFile file(path_of(folder, table), table);
    if (!file.in_) return file.wrong("is missing");
    ASAHI_TRY(const auto head, file.line());
    if (!head || !head->is_object()) return file.wrong("does not begin with its columns");
    const json::value* name = head->get_object().if_contains("table");
    const json::value* columns = head->get_object().if_contains("columns");
    if (name == nullptr || !name->is_string() || name->get_string() != table.name ||
        columns == nullptr || !columns->is_array() || columns->get_array().empty())
      return file.wrong("does not begin with its columns");
    for (const json::value& column : columns->get_array()) {
      if (!column.is_string()) return file.wrong("does not begin with its columns");
      file.columns_.emplace_back(column.get_string());
    }
    return file;
  }
  const std::vector<std::string>& columns() const { return columns_; }

  /// Empty: the end.
  Result<std::vector<sql::Value>> row() {
    ASAHI_TRY(const auto read, line());
    std::vector<sql::Value> values;
    if (!read) return values;
    if (!read->is_array() || read->get_array().size() != columns_.size())
      return wrong("is no row of its columns");
    for (const json::value& each : read->get_array()) {
      auto value = from_json(each);
      if (!value) return wrong("has a value that cannot be");
      values.push_back(std::move(*value));
    }
    return values;
  }

 private:
  TableFile(const std::string& path, const CopiedTable& table)
      : in_(path, std::ios::binary), name_(table.name) {}

  std::unexpected<Error> wrong(std::string_view what) const {
    return fail(
        Errc::kCorrupt,
        fmt::format("the backup's {}.jsonl {} (line {}); nothing was changed", name_, what, line_));
  }
  Result<std::optional<json::value>> line() {
    ++line_;
    if (!std::getline(in_, text_)) return std::nullopt;
    if (in_.eof()) return wrong("is cut off");
    if (text_.size() > kMaxLine) return wrong("has a line over 64 MiB");
    boost::system::error_code error;
    json::parse_options options;
    options.allow_invalid_utf8 = true;  // SQLite keeps any bytes as text
    auto value = json::parse(text_, error, {}, options);
    if (error) return wrong("is no JSON");
    return value;
  }

  std::ifstream in_;
  std::string name_, text_;
  std::vector<std::string> columns_;
  std::size_t line_ = 0;
};

Result<void> check_columns(const Query& query, const CopiedTable& table, const TableFile& file) {
  auto there = query({fmt::format("SELECT * FROM {} LIMIT 0", table.name), {}});
  if (!there) return std::unexpected(there.error());
  for (const std::string& column : file.columns()) {
    if (std::ranges::find(there->columns(), column) == there->columns().end()) {
      return fail(Errc::kConflict,
                  fmt::format("the backup's {} has a column '{}' that is not known "
                              "here: restore it with the version that made it",
                              table.name, column.substr(0, 100)));
    }
  }
  return {};
}

Result<std::uint64_t> fill_table(sql::Session& session, const CopiedTable& table,
                                 const std::string& folder) {
  ASAHI_TRY(TableFile file, TableFile::open(folder, table));
  const std::size_t width = file.columns().size();
  const std::size_t at_once = std::clamp<std::size_t>(kMostParams / width, 1, kMostRows);
  const std::string marks =
      fmt::format("({})", fmt::join(std::vector<std::string>(width, "?"), ", "));
  const auto insert = [&](std::size_t rows) {
    return fmt::format("INSERT INTO {} ({}) VALUES {}", table.name, fmt::join(file.columns(), ", "),
                       fmt::join(std::vector<std::string>(rows, marks), ", "));
  };
  const std::string full = insert(at_once);
  std::vector<sql::Value> waiting;
  std::uint64_t count = 0;
  const auto put = [&]() -> Result<void> {
    const std::size_t rows = waiting.size() / width;
    if (rows == 0) return {};
    auto done = session.query({rows == at_once ? full : insert(rows), std::move(waiting)});
    waiting.clear();
    if (!done) return std::unexpected(done.error());
    count += rows;
    return {};
  };
  for (;;) {
    ASAHI_TRY(auto row, file.row());
    if (row.empty()) break;
    std::ranges::move(row, std::back_inserter(waiting));
    if (waiting.size() < at_once * width) continue;
    if (auto ok = put(); !ok) return std::unexpected(ok.error());
  }
  if (auto ok = put(); !ok) return std::unexpected(ok.error());
  return count;
}

Result<void> empty_tables(sql::Session& session) {
  std::vector<std::string_view> names;
  for (const CopiedTable& table : kTables) names.push_back(table.name);
  // Row by row it would take longer than a statement may.
  if (session.dialect() == sql::Dialect::kPostgres)
    return session.script("TRUNCATE " + list_of(names));
  for (const std::string_view name : names) {
    if (auto gone = session.query({fmt::format("DELETE FROM {}", name), {}}); !gone)
      return std::unexpected(gone.error());
  }
  return {};
}

/// Rows that tell of what ran, and the numbers by which processes see that graphs have changed.
Result<void> settle(sql::Session& session, std::int64_t epoch) {
  for (const sql::Statement& statement : {
           sql::Statement{"UPDATE memory_graphs SET epoch = epoch + ?", {epoch + 1}},
           sql::Statement{"UPDATE memory_migrations SET state = 'failed', error = ?"
                          " WHERE state IN ('queued', 'running')",
                          {std::string("it was under way when the backup was made")}},
           // The hot tier is put where the settings say.
           sql::Statement{"DELETE FROM memory_hot_moves", {}},
       }) {
    if (auto done = session.query(statement); !done) return std::unexpected(done.error());
  }
  return {};
}

}  // namespace

std::span<const CopiedTable> copied_tables() { return kTables; }

Result<std::uint64_t> write_sql(sql::Database& database, const std::string& folder,
                                const std::function<bool()>& stopped) {
  if (database.dialect() == sql::Dialect::kSqlite) {
    ASAHI_TRY(
        const sql::Rows file,
        database.query_blocking({"SELECT file FROM pragma_database_list WHERE name = 'main'", {}}));
    const std::string path = file.empty() ? "" : file.text(0, "file");
    if (!path.empty()) return write_from_file(path, folder, stopped);
  }
  std::uint64_t rows = 0;
  auto done = database.transaction_blocking([&](sql::Session& session) -> Result<void> {
    // Serializable transactions of others would have to wait or begin again for this one.
    if (session.dialect() == sql::Dialect::kPostgres) {
      if (auto ok = session.script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
          !ok)
        return ok;
    }
    ASAHI_TRY(rows, write_tables([&](const sql::Statement& asked) { return session.query(asked); },
                                 folder, stopped));
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return rows;
}

Result<void> check_sql(sql::Database& database, const std::string& folder) {
  ASAHI_TRY(const std::vector<CopiedTable> tables, tables_of(folder));
  for (const CopiedTable& table : tables) {
    ASAHI_TRY(TableFile file, TableFile::open(folder, table));
    if (auto ok = check_columns(
            [&](const sql::Statement& asked) { return database.query_blocking(asked); }, table,
            file);
        !ok)
      return ok;
    for (;;) {
      ASAHI_TRY(const auto row, file.row());
      if (row.empty()) break;
    }
  }
  return {};
}

Result<std::uint64_t> restore_sql(sql::Database& database, const std::string& folder) {
  if (auto ok = check_sql(database, folder); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const std::vector<CopiedTable> tables, tables_of(folder));
  std::uint64_t rows = 0;
  auto done = database.transaction_blocking([&](sql::Session& session) -> Result<void> {
    rows = 0;
    ASAHI_TRY(const sql::Rows known,
              session.query({"SELECT MAX(epoch) AS epoch FROM memory_graphs", {}}));
    const std::int64_t epoch = known.integer(0, "epoch");
    if (auto ok = empty_tables(session); !ok) return ok;
    for (const CopiedTable& table : tables) {
      ASAHI_TRY(const std::uint64_t filled, fill_table(session, table, folder));
      rows += filled;
    }
    return settle(session, epoch);
  });
  if (!done) return std::unexpected(done.error());
  return rows;
}

}  // namespace asahi::memory
