#pragma once

#include <sqlite3.h>

#include <chrono>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "storage/sql/database.h"
#include "storage/sql/run_each.h"

namespace asahi::sql {

/// One SQLite connection with its cache of prepared statements. Used by one thread at a time.
class SqliteConnection final : public Session {
 public:
  enum class Access { kReadWrite, kReadOnly };
  struct Settings {
    std::string path;  ///< or ":memory:"
    Access access = Access::kReadWrite;
    std::chrono::milliseconds statement_timeout{5'000};
    int page_cache_kib = 2'000;
    /// Pages of the write-ahead log behind which a commit carries them into the file. What is
    /// written again until then is carried over once.
    int checkpoint_pages = 1'000;
    std::size_t cached_statements = 32;
  };

  explicit SqliteConnection(Settings settings);
  ~SqliteConnection() override;

  /// Opens the file (creating it and its folder when it may write) and sets the connection up; does
  /// nothing when open. Errors: unavailable, corrupt (not a database).
  Result<void> open();

  Dialect dialect() const override { return Dialect::kSqlite; }
  /// Runs one statement within statement_timeout.
  Result<Rows> query(const Statement& statement) override;
  /// As the function of this name (run_each.h).
  Result<std::int64_t> run_each(const std::string& sql, std::size_t count,
                                const ParamsOf& params_of);
  Result<void> script(std::string_view sql) override;

  /// True when the statement can run on a read-only connection. Errors: as query().
  Result<bool> is_read(const std::string& sql);

  /// BEGIN IMMEDIATE … COMMIT around `body`; rolls back when it fails, throws, or goes on after a
  /// failed statement (PostgreSQL could not commit then either).
  Result<void> transaction(const std::function<Result<void>(Session&)>& body);
  /// All or nothing.
  Result<std::vector<Rows>> batch(const std::vector<Statement>& statements);

  /// Gives memory of the page cache back. Called by Lane after a while without work.
  void idle();

 private:
  struct CloseDb {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Prepared = std::unique_ptr<sqlite3_stmt, Finalize>;
  struct CacheEntry {
    std::string sql;
    Prepared prepared;
  };

  Result<sqlite3_stmt*> prepare(const std::string& sql);
  Result<void> bind(sqlite3_stmt* statement, std::span<const Value> params);
  Result<Rows> step_all(sqlite3_stmt* statement);
  Result<void> run_plain(const char* sql);
  /// The error of the connection's last call, as this interface names it.
  std::unexpected<Error> failure(std::string_view doing) const;
  void set_deadline(std::chrono::milliseconds from_now);

  const Settings settings_;
  std::unique_ptr<sqlite3, CloseDb> db_;
  /// Most recently used first. Declared after db_: statements are finalized before it closes.
  std::list<CacheEntry> cache_;
  std::unordered_map<std::string_view, std::list<CacheEntry>::iterator> by_sql_;
  std::chrono::steady_clock::time_point deadline_;
  /// The first failure inside the running transaction.
  std::optional<Error> transaction_error_;
  bool in_transaction_ = false;
};

}  // namespace asahi::sql
