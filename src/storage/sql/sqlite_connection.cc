#include "storage/sql/sqlite_connection.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "storage/sql/run_each.h"
#include "storage/sql/sql_text.h"

namespace asahi::sql {
namespace {

/// SQLite calls back after about this many virtual-machine steps to ask whether to go on.
constexpr int kStepsBetweenChecks = 4'000;
/// Migrations may rebuild large tables.
constexpr std::chrono::minutes kScriptTimeout{10};

struct ErrorKind {
  Errc code;
  std::string_view reason;
};

ErrorKind classify(int extended) {
  switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return {Errc::kConflict, "unique_violation"};
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return {Errc::kInvalidArgument, "foreign_key_violation"};
    default:
      break;
  }
  switch (extended & 0xff) {
    case SQLITE_CONSTRAINT:
      return {Errc::kInvalidArgument, "constraint_violation"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Errc::kTimeout, "busy"};
    case SQLITE_INTERRUPT:
      return {Errc::kTimeout, ""};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Errc::kCorrupt, ""};
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {Errc::kUnavailable, ""};
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
      return {Errc::kTooLarge, ""};
    default:
      return {Errc::kInvalidArgument, ""};
  }
}

/// The scale of a "NUMERIC(18,9)" or "DECIMAL(18,9)" declaration, or -1.
int numeric_scale(const char* declared) {
  if (declared == nullptr) return -1;
  const std::string_view type = declared;
  if (!type.starts_with("NUMERIC(") && !type.starts_with("DECIMAL(")) return -1;
  const auto comma = type.find(',');
  return comma == std::string_view::npos ? 0 : std::atoi(declared + comma + 1);
}

Value column_value(sqlite3_stmt* statement, int column) {
  const auto bytes = [&](const void* data) {
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
    return std::string(static_cast<const char*>(data), size);
  };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: {
      const std::int64_t integer = sqlite3_column_int64(statement, column);
      const int scale = numeric_scale(sqlite3_column_decltype(statement, column));
      if (scale < 0) return integer;
      return scale == 0 ? fmt::format("{}", integer)
                        : fmt::format("{}.{:0<{}}", integer, "", scale);
    }
    case SQLITE_FLOAT: {
      const double real = sqlite3_column_double(statement, column);
      const int scale = numeric_scale(sqlite3_column_decltype(statement, column));
      if (scale < 0) return real;
      return fmt::format("{:.{}f}", real, scale);
    }
    case SQLITE_TEXT:
      return bytes(sqlite3_column_text(statement, column));
    case SQLITE_BLOB:
      return Blob{bytes(sqlite3_column_blob(statement, column))};
    default:
      return std::monostate{};
  }
}

/// Leaves a cached statement without bindings or locks, however its run ended.
class ResetOnExit {
 public:
  explicit ResetOnExit(sqlite3_stmt* statement) : statement_(statement) {}
  ~ResetOnExit() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  ResetOnExit(const ResetOnExit&) = delete;
  ResetOnExit& operator=(const ResetOnExit&) = delete;

 private:
  sqlite3_stmt* statement_;
};

}  // namespace

SqliteConnection::SqliteConnection(Settings settings) : settings_(std::move(settings)) {}
SqliteConnection::~SqliteConnection() = default;

Result<void> SqliteConnection::open() {
  if (db_) return {};
  const bool memory = settings_.path == ":memory:";
  const bool writer = settings_.access == Access::kReadWrite;
  if (writer && !memory) {
    std::error_code error;
    const auto folder = std::filesystem::path(settings_.path).parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    if (error) {
      return fail(Errc::kUnavailable, fmt::format("the database's folder '{}' cannot be made: {}",
                                                  folder.string(), error.message()));
    }
  }
  sqlite3* db = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (writer ? SQLITE_OPEN_CREATE : 0);
  const int opened = sqlite3_open_v2(settings_.path.c_str(), &db, flags, nullptr);
  db_.reset(db);
  if (opened != SQLITE_OK) {
    const std::string why = db == nullptr ? sqlite3_errstr(opened) : sqlite3_errmsg(db);
    db_.reset();
    return fail(Errc::kUnavailable,
                fmt::format("the database file '{}' cannot be opened: {}; check data_dir and its "
                            "permissions",
                            settings_.path, why));
  }
  sqlite3_busy_timeout(db, static_cast<int>(settings_.statement_timeout.count()));
  sqlite3_progress_handler(
      db, kStepsBetweenChecks,
      [](void* self) -> int {
        return std::chrono::steady_clock::now() > static_cast<SqliteConnection*>(self)->deadline_;
      },
      this);
  set_deadline(settings_.statement_timeout);
  // WAL with synchronous=NORMAL: a commit is in the operating system's cache before it is
  // acknowledged, so killing the process loses nothing; only a power cut may lose the last commits,
  // never the file.
  std::string pragmas = fmt::format(
      "PRAGMA page_size=4096; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
      "PRAGMA mmap_size=0; PRAGMA cache_size=-{};",
      settings_.page_cache_kib);
  pragmas += writer ? fmt::format(
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                          "PRAGMA journal_size_limit=16777216; PRAGMA wal_autocheckpoint={};",
                          settings_.checkpoint_pages)
                    : std::string("PRAGMA query_only=ON;");
  if (auto ok = run_plain(pragmas.c_str()); !ok) {
    Error error = std::move(ok).error();
    db_.reset();
    error.message = fmt::format("'{}' cannot be used: {}", settings_.path, error.message);
    if (error.code == Errc::kInvalidArgument) error.code = Errc::kUnavailable;
    return std::unexpected(std::move(error));
  }
  return {};
}

void SqliteConnection::set_deadline(std::chrono::milliseconds from_now) {
  deadline_ = std::chrono::steady_clock::now() + from_now;
}

void SqliteConnection::idle() {
  if (db_) sqlite3_db_release_memory(db_.get());
}

std::unexpected<Error> SqliteConnection::failure(std::string_view doing) const {
  const auto kind = classify(sqlite3_extended_errcode(db_.get()));
  std::string message = fmt::format("SQLite, {}: {}", doing, sqlite3_errmsg(db_.get()));
  if (kind.code == Errc::kTimeout) {
    message += kind.reason == "busy" ? "; another process holds the write lock"
                                     : fmt::format("; statement_timeout is {} ms",
                                                   settings_.statement_timeout.count());
  }
  auto error = fail(kind.code, std::move(message));
  error.error().reason = kind.reason;
  return error;
}

Result<void> SqliteConnection::run_plain(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failure("running a script");
  }
  return {};
}

Result<sqlite3_stmt*> SqliteConnection::prepare(const std::string& sql) {
  if (auto ok = open(); !ok) return std::unexpected(ok.error());
  if (const auto found = by_sql_.find(sql); found != by_sql_.end()) {
    cache_.splice(cache_.begin(), cache_, found->second);
    return cache_.front().prepared.get();
  }
  if (auto ok = check_single_statement(sql); !ok) return std::unexpected(ok.error());
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  if (sqlite3_prepare_v3(db_.get(), sql.c_str(), static_cast<int>(sql.size()) + 1,
                         SQLITE_PREPARE_PERSISTENT, &raw, &tail) != SQLITE_OK) {
    return failure("preparing a statement");
  }
  Prepared prepared(raw);
  if (!leading_keyword(tail).empty()) {
    return fail(Errc::kInvalidArgument,
                "query() takes one statement; send several through batch() or script()");
  }
  if (cache_.size() >= settings_.cached_statements) {
    by_sql_.erase(cache_.back().sql);
    cache_.pop_back();
  }
  cache_.push_front({sql, std::move(prepared)});
  by_sql_.emplace(cache_.front().sql, cache_.begin());
  return raw;
}

Result<bool> SqliteConnection::is_read(const std::string& sql) {
  set_deadline(settings_.statement_timeout);
  ASAHI_TRY(auto* statement, prepare(sql));
  return sqlite3_stmt_readonly(statement) != 0;
}

Result<void> SqliteConnection::bind(sqlite3_stmt* statement, std::span<const Value> params) {
  const int expected = sqlite3_bind_parameter_count(statement);
  if (static_cast<std::size_t>(expected) != params.size()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("the statement has {} placeholders but {} parameters were given",
                            expected, params.size()));
  }
  for (const Value& value : params) {
    const auto* text = std::get_if<std::string>(&value);
    if (text != nullptr && text->find('\0') != std::string::npos) {
      return fail(
          Errc::kInvalidArgument,
          "a text parameter holds a NUL character, which PostgreSQL could not store; pass it as a "
          "Blob");
    }
  }
  for (int i = 1; i <= expected; ++i) {
    // SQLITE_STATIC: the parameters outlive the run, and bindings are cleared behind it.
    const int bound = std::visit(
        [&]<class T>(const T& value) {
          if constexpr (std::is_same_v<T, std::int64_t>) {
            return sqlite3_bind_int64(statement, i, value);
          } else if constexpr (std::is_same_v<T, double>) {
            return sqlite3_bind_double(statement, i, value);
          } else if constexpr (std::is_same_v<T, std::string>) {
            return sqlite3_bind_text64(statement, i, value.data(), value.size(), SQLITE_STATIC,
                                       SQLITE_UTF8);
          } else if constexpr (std::is_same_v<T, Blob>) {
            return sqlite3_bind_blob64(statement, i, value.bytes.data(), value.bytes.size(),
                                       SQLITE_STATIC);
          } else {
            return sqlite3_bind_null(statement, i);
          }
        },
        params[static_cast<std::size_t>(i - 1)]);
    if (bound != SQLITE_OK) return failure("binding a parameter");
  }
  return {};
}

Result<Rows> SqliteConnection::step_all(sqlite3_stmt* statement) {
  const auto changes_before = sqlite3_total_changes64(db_.get());
  int step = sqlite3_step(statement);
  // Read behind the first step, which prepares anew when the schema changed since.
  const int width = sqlite3_column_count(statement);
  std::vector<std::string> columns;
  for (int i = 0; i < width; ++i) columns.emplace_back(sqlite3_column_name(statement, i));
  std::vector<std::vector<Value>> rows;
  for (; step == SQLITE_ROW; step = sqlite3_step(statement)) {
    auto& row = rows.emplace_back();
    row.reserve(static_cast<std::size_t>(width));
    for (int i = 0; i < width; ++i) row.push_back(column_value(statement, i));
  }
  if (step != SQLITE_DONE) return failure("running a statement");
  const bool changed = sqlite3_total_changes64(db_.get()) != changes_before;
  return Rows(std::move(columns), std::move(rows), changed ? sqlite3_changes64(db_.get()) : 0);
}

Result<Rows> SqliteConnection::query(const Statement& statement) {
  set_deadline(settings_.statement_timeout);
  if (transaction_error_) return std::unexpected(*transaction_error_);
  auto rows = [&]() -> Result<Rows> {
    ASAHI_TRY(auto* prepared, prepare(statement.sql));
    const ResetOnExit reset(prepared);
    if (auto ok = bind(prepared, statement.params); !ok) return std::unexpected(ok.error());
    return step_all(prepared);
  }();
  if (!rows && in_transaction_) transaction_error_ = rows.error();
  return rows;
}

Result<std::int64_t> SqliteConnection::run_each(const std::string& sql, std::size_t count,
                                                const ParamsOf& params_of) {
  if (transaction_error_) return std::unexpected(*transaction_error_);
  auto written = [&]() -> Result<std::int64_t> {
    ASAHI_TRY(auto* prepared, prepare(sql));
    const ResetOnExit reset(prepared);
    std::int64_t changed = 0;
    for (std::size_t which = 0; which < count; ++which) {
      set_deadline(settings_.statement_timeout);
      if (auto ok = bind(prepared, params_of(which)); !ok) return std::unexpected(ok.error());
      int step = sqlite3_step(prepared);
      while (step == SQLITE_ROW) step = sqlite3_step(prepared);
      if (step != SQLITE_DONE) return failure("running a statement");
      changed += sqlite3_changes64(db_.get());
      sqlite3_reset(prepared);
    }
    return changed;
  }();
  if (!written && in_transaction_) transaction_error_ = written.error();
  return written;
}

Result<void> SqliteConnection::script(std::string_view sql) {
  if (auto ok = open(); !ok) return ok;
  if (transaction_error_) return std::unexpected(*transaction_error_);
  set_deadline(kScriptTimeout);
  auto ok = run_plain(std::string(sql).c_str());
  if (ok && in_transaction_ && sqlite3_get_autocommit(db_.get()) != 0) {
    ok = fail(Errc::kInvalidArgument,
              "the script ended the transaction it runs in; leave COMMIT and ROLLBACK out");
  }
  if (!ok && in_transaction_) transaction_error_ = ok.error();
  return ok;
}

Result<void> SqliteConnection::transaction(const std::function<Result<void>(Session&)>& body) {
  if (auto ok = open(); !ok) return ok;
  set_deadline(settings_.statement_timeout);
  // IMMEDIATE takes the write lock now: a later upgrade from reading could fail half-way.
  if (auto ok = run_plain("BEGIN IMMEDIATE"); !ok) return ok;
  in_transaction_ = true;
  transaction_error_.reset();
  Result<void> outcome;
  try {
    outcome = body(*this);
  } catch (const std::exception& error) {
    outcome = fail(Errc::kInternal, fmt::format("the transaction's body threw: {}", error.what()));
  }
  if (outcome && transaction_error_) outcome = std::unexpected(*transaction_error_);
  in_transaction_ = false;
  transaction_error_.reset();
  set_deadline(settings_.statement_timeout);
  if (outcome) {
    outcome = run_plain("COMMIT");
    if (outcome) return outcome;
  }
  // Some failures (a full disk, a script's own COMMIT) have ended the transaction already.
  if (sqlite3_get_autocommit(db_.get()) == 0) {
    set_deadline(settings_.statement_timeout);
    if (auto undone = run_plain("ROLLBACK"); !undone) {
      // Nothing may run inside a transaction that nobody owns.
      by_sql_.clear();
      cache_.clear();
      db_.reset();
    }
  }
  return outcome;
}

Result<std::vector<Rows>> SqliteConnection::batch(const std::vector<Statement>& statements) {
  std::vector<Rows> all;
  auto ok = transaction([&](Session& session) -> Result<void> {
    for (std::size_t i = 0; i < statements.size(); ++i) {
      auto rows = session.query(statements[i]);
      if (!rows) {
        Error error = std::move(rows).error();
        error.message =
            fmt::format("statement {} of {}: {}", i + 1, statements.size(), error.message);
        return std::unexpected(std::move(error));
      }
      all.push_back(std::move(*rows));
    }
    return {};
  });
  if (!ok) return std::unexpected(ok.error());
  return all;
}

Result<std::int64_t> run_each(Session& session, const std::string& sql, std::size_t count,
                              const ParamsOf& params_of) {
  if (auto* sqlite = dynamic_cast<SqliteConnection*>(&session))
    return sqlite->run_each(sql, count, params_of);
  std::int64_t written = 0;
  Statement statement{sql, {}};
  for (std::size_t which = 0; which < count; ++which) {
    const std::span<const Value> params = params_of(which);
    statement.params.assign(params.begin(), params.end());
    ASAHI_TRY(const Rows rows, session.query(statement));
    written += rows.affected();
  }
  return written;
}

Result<std::int64_t> run_each(Session& session, const std::string& sql,
                              std::span<const std::vector<Value>> params) {
  return run_each(session, sql, params.size(),
                  [&](std::size_t which) -> std::span<const Value> { return params[which]; });
}

}  // namespace asahi::sql
