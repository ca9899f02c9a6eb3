#include "storage/sql/postgres_database.h"

#include <algorithm>
#include <thread>

#include "base/ids.h"
#include "storage/sql/completion.h"
#include "storage/sql/lane.h"
#include "storage/sql/pg_library.h"
#include "storage/sql/pg_pool.h"
#include "storage/sql/pg_session.h"

namespace asahi::sql {
namespace {

constexpr int kTransactionRetries = 5;
constexpr std::chrono::milliseconds kFirstRetryPause{4};

std::size_t session_count(std::size_t pool_size) {
  return std::clamp<std::size_t>(pool_size / 3, 1, 4);
}

class PostgresDatabase final : public Database {
 public:
  PostgresDatabase(PgTarget target, const DatabaseOptions& options)
      : target_(std::move(target)),
        statement_timeout_(options.statement_timeout),
        pool_(target_, gate_, closing_,
              std::max<std::size_t>(options.pool_size - session_count(options.pool_size), 1),
              options.max_queued),
        sessions_("transaction", session_count(options.pool_size), options.max_queued, [this] {
          return std::make_unique<PgSession>(target_, gate_, closing_, statement_timeout_);
        }) {}

  ~PostgresDatabase() override { closing_ = true; }

  Dialect dialect() const override { return Dialect::kPostgres; }
  std::size_t in_use() const override { return pool_.busy() + sessions_.busy(); }

  Task<Rows> query(Statement statement) override {
    co_return co_await await_done<Rows>(
        [this, statement = std::move(statement)](Done<Rows> done) mutable {
          start_query(statement, std::move(done));
        });
  }

  Task<std::vector<Rows>> batch(std::vector<Statement> statements) override {
    if (statements.empty()) co_return std::vector<Rows>{};
    co_return co_await await_done<std::vector<Rows>>(
        [this, statements = std::move(statements)](Done<std::vector<Rows>> done) mutable {
          start(statements, std::move(done));
        });
  }

  Task<void> transaction(std::function<Result<void>(Session&)> body) override {
    co_return co_await await_done<void>([this, body = std::move(body)](Done<void> done) mutable {
      start_transaction(std::move(body), std::move(done));
    });
  }

  Result<Rows> query_blocking(Statement statement) override {
    if (on_database_thread()) return nested();
    return wait_done<Rows>([&](Done<Rows> done) { start_query(statement, std::move(done)); });
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

  void start(std::span<const Statement> statements, Done<std::vector<Rows>> done) {
    auto request = std::make_unique<PgRequest>();
    request->deadline = deadline();
    for (const Statement& statement : statements) {
      auto encoded = PgStatement::encode(statement);
      if (!encoded) return done(std::unexpected(std::move(encoded).error()));
      request->statements.push_back(std::move(*encoded));
    }
    request->done = std::move(done);
    pool_.submit(std::move(request));
  }

  void start_query(const Statement& statement, Done<Rows> done) {
    start({&statement, 1}, [done = std::move(done)](Result<std::vector<Rows>> all) mutable {
      if (!all) return done(std::unexpected(std::move(all).error()));
      done(std::move(all->front()));
    });
  }

  void start_transaction(std::function<Result<void>(Session&)> body, Done<void> done) {
    sessions_.submit(deadline(), [this, body = std::move(body),
                                  done = std::move(done)](Result<PgSession*> session) mutable {
      if (!session) return done(std::unexpected(session.error()));
      auto outcome = (*session)->transaction(body);
      auto pause = kFirstRetryPause;
      for (int retry = 0; retry < kTransactionRetries && !closing_; ++retry, pause *= 2) {
        if (outcome || outcome.error().reason != "serialization_failure") break;
        // Jittered, so that those who collided do not collide again.
        std::this_thread::sleep_for(pause * static_cast<int>(random_u64() % 100) / 100);
        outcome = (*session)->transaction(body);
      }
      done(std::move(outcome));
    });
  }

  const PgTarget target_;
  const std::chrono::milliseconds statement_timeout_;
  PgGate gate_;
  PgClosing closing_{false};
  PgPool pool_;
  Lane<PgSession> sessions_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_postgres(const std::string& url,
                                                const DatabaseOptions& options) {
  if (auto loaded = libpq.load(); !loaded) return std::unexpected(std::move(loaded.error()));
  ASAHI_TRY(auto target, PgTarget::parse(url, options.connect_timeout));
  return std::make_unique<PostgresDatabase>(std::move(target), options);
}

}  // namespace asahi::sql
