#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/task.h"
#include "net/loop.h"

namespace asahi::sql {

enum class Dialect { kSqlite, kPostgres };

/// A parameter or a column. Booleans are int64 0/1; times are RFC 3339 text; NUMERIC columns read
/// as text; JSON is text; bytea/blob is Blob.
struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};
using Value = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;

class Rows {
 public:
  Rows() = default;
  Rows(std::vector<std::string> columns, std::vector<std::vector<Value>> rows,
       std::int64_t affected)
      : columns_(std::move(columns)), rows_(std::move(rows)), affected_(affected) {}

  std::size_t size() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  std::int64_t affected() const { return affected_; }
  const std::vector<std::string>& columns() const { return columns_; }
  /// The value at `row` in column `name`. A wrong name is a bug: throws std::out_of_range.
  const Value& at(std::size_t row, std::string_view name) const;
  bool is_null(std::size_t row, std::string_view name) const;
  /// Conversions that accept what either engine returns for the column; null gives 0 / "".
  std::int64_t integer(std::size_t row, std::string_view name) const;
  double real(std::size_t row, std::string_view name) const;
  std::string text(std::size_t row, std::string_view name) const;
  bool boolean(std::size_t row, std::string_view name) const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<Value>> rows_;
  std::int64_t affected_ = 0;
};

/// How PostgreSQL sends a statement's columns; SQLite has but one way. `kBinary` is for those who
/// read bytea by the megabyte: as text each byte takes two, written there and read here. Its
/// columns are integers, booleans, floating-point numbers, text or bytea; others are refused
/// (invalid_argument).
enum class Wire { kText, kBinary };

/// SQL with `?` placeholders (rewritten to $1… for PostgreSQL; a literal question mark in SQL text
/// is not supported outside quotes).
struct Statement {
  std::string sql;
  std::vector<Value> params;
  Wire wire = Wire::kText;
};

/// One connection inside a transaction; every call runs in it. Blocking: called on a database
/// thread only.
class Session {
 public:
  virtual ~Session() = default;
  virtual Dialect dialect() const = 0;
  virtual Result<Rows> query(const Statement& statement) = 0;
  /// Several statements separated by ';' without parameters (migrations).
  virtual Result<void> script(std::string_view sql) = 0;
};

/// SQLite (embedded) or PostgreSQL 15+ behind one thin interface; one contract suite runs over
/// both. Thread-safe. Errors: conflict (unique or serialization; retry is safe), unavailable
/// (server away), timeout, too_large (bounded queue full), corrupt, invalid_argument (the statement
/// is wrong: a bug in the caller).
class Database {
 public:
  virtual ~Database() = default;
  virtual Dialect dialect() const = 0;
  /// "sqlite" or "postgres".
  std::string_view backend() const { return dialect() == Dialect::kSqlite ? "sqlite" : "postgres"; }

  /// One statement, atomically. From any coroutine; resumes on the caller's loop.
  virtual Task<Rows> query(Statement statement) = 0;
  /// All or nothing, in order; the rows of each statement.
  virtual Task<std::vector<Rows>> batch(std::vector<Statement> statements) = 0;
  /// Interactive transaction: `body` runs on a database thread with a Session, commits when it
  /// returns a value, rolls back on an error or exception. Retried up to 5 times on a serialization
  /// conflict or SQLITE_BUSY.
  virtual Task<void> transaction(std::function<Result<void>(Session&)> body) = 0;

  /// The same for ordinary threads (writers, CLI, start-up). Never on a loop's thread.
  virtual Result<Rows> query_blocking(Statement statement) = 0;
  virtual Result<void> transaction_blocking(std::function<Result<void>(Session&)> body) = 0;

  virtual Task<void> ping() = 0;
  /// Connections that work for somebody now. Any thread.
  virtual std::size_t in_use() const { return 0; }
};

struct DatabaseOptions {
  /// "sqlite:///relative/or/absolute.db" (three slashes: relative to the data directory; four:
  /// absolute), "sqlite://:memory:", "postgres://user:password@host:port/name?sslmode=…" or
  /// "postgresql://…".
  std::string url = "sqlite:///asahi.db";
  std::string data_dir = "./data";
  std::size_t pool_size = 10;
  std::chrono::milliseconds statement_timeout{5'000};
  std::chrono::milliseconds connect_timeout{5'000};
  std::size_t max_queued = 10'000;
};

/// Opens lazily for PostgreSQL (an absent server is an error per call, and the pool reconnects with
/// back-off); at once for SQLite. Errors: invalid_argument (url), unavailable (file cannot be
/// opened).
Result<std::unique_ptr<Database>> open_database(DatabaseOptions options);

}  // namespace asahi::sql
