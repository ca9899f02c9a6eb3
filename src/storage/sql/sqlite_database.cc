#include "storage/sql/sqlite_database.h"

#include "storage/sql/completion.h"
#include "storage/sql/lane.h"
#include "storage/sql/sql_text.h"
#include "storage/sql/sqlite_connection.h"

namespace asahi::sql {
namespace {

constexpr std::size_t kMaxReaders = 4;
constexpr int kTransactionRetries = 5;

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(const SqliteConnection::Settings& writer, SqliteConnection::Settings reader,
                 std::unique_ptr<SqliteConnection> opened, const DatabaseOptions& options)
      : statement_timeout_(options.statement_timeout),
        in_memory_(writer.path == ":memory:"),
        opened_(std::move(opened)),
        writer_("writer", 1, options.max_queued, [this] { return std::move(opened_); }),
        readers_("reader", std::min(options.pool_size, kMaxReaders), options.max_queued,
                 [reader] { return std::make_unique<SqliteConnection>(reader); }) {}

  Dialect dialect() const override { return Dialect::kSqlite; }
  std::size_t in_use() const override { return writer_.busy() + readers_.busy(); }

  Task<Rows> query(Statement statement) override {
    co_return co_await await_done<Rows>(
        [this, statement = std::move(statement)](Done<Rows> done) mutable {
          start_query(std::move(statement), std::move(done));
        });
  }

  Task<std::vector<Rows>> batch(std::vector<Statement> statements) override {
    co_return co_await await_done<std::vector<Rows>>([this, statements = std::move(statements)](
                                                         Done<std::vector<Rows>> done) mutable {
      writer_.submit(deadline(), [statements = std::move(statements), done = std::move(done)](
                                     Result<SqliteConnection*> connection) mutable {
        done(connection ? (*connection)->batch(statements) : std::unexpected(connection.error()));
      });
    });
  }

  Task<void> transaction(std::function<Result<void>(Session&)> body) override {
    co_return co_await await_done<void>([this, body = std::move(body)](Done<void> done) mutable {
      start_transaction(std::move(body), std::move(done));
    });
  }

  Result<Rows> query_blocking(Statement statement) override {
    if (on_database_thread()) return nested();
    return wait_done<Rows>(
        [&](Done<Rows> done) { start_query(std::move(statement), std::move(done)); });
  }

  Result<void> transaction_blocking(std::function<Result<void>(Session&)> body) override {
    if (on_database_thread()) return nested();
    return wait_done<void>(
        [&](Done<void> done) { start_transaction(std::move(body), std::move(done)); });
  }

  Task<void> ping() override {
    ASAHI_CO_TRY([[maybe_unused]] auto rows, co_await query({"SELECT 1", {}}));
    co_return Result<void>{};
  }

 private:
  static std::unexpected<Error> nested() {
    return fail(
        Errc::kInternal,
        "a blocking call from inside a transaction's body would wait for itself; use the Session");
  }

  std::chrono::steady_clock::time_point deadline() const {
    return std::chrono::steady_clock::now() + statement_timeout_;
  }

  void start_query(Statement statement, Done<Rows> done) {
    const std::string keyword = leading_keyword(statement.sql);
    const bool may_read =
        keyword == "SELECT" || keyword == "WITH" || keyword == "VALUES" || keyword == "EXPLAIN";
    if (may_read && !in_memory_) {
      start_read(std::move(statement), std::move(done));
    } else {
      start_write(std::move(statement), std::move(done));
    }
  }

  void start_write(Statement statement, Done<Rows> done) {
    writer_.submit(deadline(), [statement = std::move(statement), done = std::move(done)](
                                   Result<SqliteConnection*> connection) mutable {
      done(connection ? (*connection)->query(statement) : std::unexpected(connection.error()));
    });
  }

  void start_read(Statement statement, Done<Rows> done) {
    readers_.submit(deadline(), [this, statement = std::move(statement), done = std::move(done)](
                                    Result<SqliteConnection*> connection) mutable {
      if (!connection) return done(std::unexpected(connection.error()));
      const auto read = (*connection)->is_read(statement.sql);
      if (!read) return done(std::unexpected(read.error()));
      // WITH … INSERT and its like only look like reads.
      if (!*read) return start_write(std::move(statement), std::move(done));
      done((*connection)->query(statement));
    });
  }

  void start_transaction(std::function<Result<void>(Session&)> body, Done<void> done) {
    writer_.submit(deadline(), [body = std::move(body), done = std::move(done)](
                                   Result<SqliteConnection*> connection) mutable {
      if (!connection) return done(std::unexpected(connection.error()));
      auto outcome = (*connection)->transaction(body);
      for (int retry = 0; retry < kTransactionRetries; ++retry) {
        if (outcome || outcome.error().reason != "busy") break;
        outcome = (*connection)->transaction(body);
      }
      done(std::move(outcome));
    });
  }

  const std::chrono::milliseconds statement_timeout_;
  const bool in_memory_;
  /// Opened by open_sqlite(); the writer's thread takes it over.
  std::unique_ptr<SqliteConnection> opened_;
  Lane<SqliteConnection> writer_;
  /// Declared last: readers hand writes over to the writer until they have stopped.
  Lane<SqliteConnection> readers_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite(const std::string& path,
                                              const DatabaseOptions& options) {
  // A transaction of many rows keeps all it changes in the cache, rather than writing pages to the
  // log in its middle and reading them back; an idle writer gives the memory back.
  SqliteConnection::Settings writer{.path = path,
                                    .statement_timeout = options.statement_timeout,
                                    .page_cache_kib = 16'000,
                                    .checkpoint_pages = 4'000};
  SqliteConnection::Settings reader = writer;
  reader.access = SqliteConnection::Access::kReadOnly;
  reader.page_cache_kib = 1'000;
  reader.cached_statements = 16;
  auto connection = std::make_unique<SqliteConnection>(writer);
  if (auto ok = connection->open(); !ok) return std::unexpected(ok.error());
  return std::make_unique<SqliteDatabase>(writer, std::move(reader), std::move(connection),
                                          options);
}

}  // namespace asahi::sql
