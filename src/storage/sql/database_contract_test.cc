// What every engine behind sql::Database promises, on real engines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <limits>
#include <thread>

#include "base/clock.h"
#include "net/blocking.h"
#include "net/loop.h"
#include "storage/sql/database.h"
#include "storage/sql/run_each.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::sql {
namespace {

using namespace std::chrono_literals;
using testing::Engine;

class DatabaseContract : public ::testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    auto made = testing::TestDatabase::make(GetParam());
    if (!made && made.error().code == Errc::kNotFound) GTEST_SKIP() << made.error().message;
    ASSERT_TRUE(made) << made.error().message;
    place_ = std::move(*made);
    options_ = place_->options();
    open();
  }

  /// Opens (again) with `options_`.
  void open() {
    db_.reset();
    auto opened = open_database(options_);
    ASSERT_TRUE(opened) << opened.error().message;
    db_ = std::move(*opened);
  }

  Rows run(std::string sql, std::vector<Value> params = {}) {
    auto rows = db_->query_blocking({std::move(sql), std::move(params)});
    EXPECT_TRUE(rows) << rows.error().message;
    return rows ? std::move(*rows) : Rows{};
  }

  Error error_of(std::string sql, std::vector<Value> params = {}) {
    auto rows = db_->query_blocking({sql, std::move(params)});
    EXPECT_FALSE(rows) << sql << " succeeded";
    return rows ? Error{} : std::move(rows).error();
  }

  bool postgres() const { return db_->dialect() == Dialect::kPostgres; }
  const char* slow_sql() const {
    return postgres() ? "SELECT pg_sleep(20)"
                      : "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
                        "SELECT count(*) FROM n";
  }

  std::unique_ptr<testing::TestDatabase> place_;
  DatabaseOptions options_;
  std::unique_ptr<Database> db_;
};

TEST_P(DatabaseContract, StoresAndReturnsEachKindOfValue) {
  run(postgres() ? "CREATE TABLE kinds (id BIGINT, real DOUBLE PRECISION, name TEXT, data BYTEA, "
                   "gone TEXT)"
                 : "CREATE TABLE kinds (id INTEGER, real REAL, name TEXT, data BLOB, gone TEXT)");
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  const std::string text = "'quoted' \"twice\" \\ ? $1 – 朝日 🌅";
  const Blob blob{std::string("\0\x01\xff'\\", 5)};
  run("INSERT INTO kinds VALUES (?, ?, ?, ?, ?)", {least, 0.1, text, blob, std::monostate{}});
  run("INSERT INTO kinds VALUES (?, ?, ?, ?, ?)",
      {std::numeric_limits<std::int64_t>::max(), -1e300, std::string(), Blob{}, std::monostate{}});

  const Rows rows = run("SELECT * FROM kinds ORDER BY id");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_THAT(rows.columns(), ::testing::ElementsAre("id", "real", "name", "data", "gone"));
  EXPECT_EQ(rows.at(0, "id"), Value(least));
  EXPECT_EQ(rows.at(0, "real"), Value(0.1));
  EXPECT_EQ(rows.at(0, "name"), Value(text));
  EXPECT_EQ(rows.at(0, "data"), Value(blob));
  EXPECT_TRUE(rows.is_null(0, "gone"));
  EXPECT_EQ(rows.text(0, "gone"), "");
  EXPECT_EQ(rows.integer(0, "gone"), 0);
  EXPECT_EQ(rows.at(1, "id"), Value(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(rows.at(1, "real"), Value(-1e300));
  EXPECT_EQ(rows.at(1, "name"), Value(std::string()));
  EXPECT_EQ(rows.at(1, "data"), Value(Blob{}));
  EXPECT_THROW(rows.at(0, "no such column"), std::out_of_range);
}

TEST_P(DatabaseContract, ReadsTheSameInBinary) {
  run(postgres()
          ? "CREATE TABLE kinds (id BIGINT, least SMALLINT, whole INTEGER, real DOUBLE PRECISION, "
            "name TEXT, short VARCHAR(20), data BYTEA, yes BOOLEAN, gone BIGINT)"
          : "CREATE TABLE kinds (id INTEGER, least INTEGER, whole INTEGER, real REAL, name TEXT, "
            "short TEXT, data BLOB, yes INTEGER, gone INTEGER)");
  const auto store = [&](std::vector<Value> values) {
    run("INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", std::move(values));
  };
  const std::string bytes("\0\x01\xff'\\", 5);
  store({std::numeric_limits<std::int64_t>::min(), -32'768, -2'147'483'648, 0.1, "朝日 🌅", "a",
         Blob{bytes}, 1});
  store(
      {std::numeric_limits<std::int64_t>::max(), 32'767, 2'147'483'647, -1e300, "", "", Blob{}, 0});
  Statement ask{"SELECT * FROM kinds ORDER BY id", {}};
  const Rows text = run(ask.sql);
  ask.wire = Wire::kBinary;
  const auto binary = db_->query_blocking(ask);
  ASSERT_TRUE(binary) << binary.error().message;
  ASSERT_EQ(binary->size(), 2u);
  for (std::size_t row = 0; row < 2; ++row) {
    for (const std::string& column : text.columns())
      EXPECT_EQ(binary->at(row, column), text.at(row, column)) << column << " of " << row;
  }
  EXPECT_EQ(binary->text(0, "data"), bytes);
}

TEST_P(DatabaseContract, ATypeThatIsNotReadInBinaryIsRefusedByName) {
  if (!postgres()) GTEST_SKIP() << "SQLite has but one way";
  const auto money =
      db_->query_blocking({"SELECT CAST(1.5 AS NUMERIC) AS cost", {}, Wire::kBinary});
  ASSERT_FALSE(money);
  EXPECT_EQ(money.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(money.error().message, ::testing::HasSubstr("\"cost\""));
  EXPECT_EQ(run("SELECT CAST(1.5 AS NUMERIC) AS cost").text(0, "cost"), "1.5");
}

TEST_P(DatabaseContract, NumericColumnsReadAsExactText) {
  run("CREATE TABLE money (cost NUMERIC(18,9))");
  for (const char* cost : {"0.000000001", "123456.123456789", "2", "-0.5", "0"}) {
    run("INSERT INTO money VALUES (?)", {std::string(cost)});
  }
  const Rows rows = run("SELECT cost FROM money ORDER BY cost");
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows.at(0, "cost"), Value(std::string("-0.500000000")));
  EXPECT_EQ(rows.text(1, "cost"), "0.000000000");
  EXPECT_EQ(rows.text(2, "cost"), "0.000000001");
  EXPECT_EQ(rows.text(3, "cost"), "2.000000000");
  EXPECT_EQ(rows.text(4, "cost"), "123456.123456789");
  EXPECT_DOUBLE_EQ(rows.real(4, "cost"), 123456.123456789);
}

TEST_P(DatabaseContract, TimesReadBackAsTheRfc3339TextThatWasWritten) {
  run(postgres() ? "CREATE TABLE times (at TIMESTAMPTZ)" : "CREATE TABLE times (at TEXT)");
  for (const auto offset : {0ms, 100ms, 120ms, 123ms}) {
    const std::string text = format_rfc3339(Clock::Time{1'795'255'200s} + offset);
    run("DELETE FROM times");
    run("INSERT INTO times VALUES (?)", {text});
    EXPECT_EQ(run("SELECT at FROM times").at(0, "at"), Value(text));
  }
}

TEST_P(DatabaseContract, BooleansAreZeroAndOne) {
  run("CREATE TABLE flags (name TEXT, up BOOLEAN)");
  run("INSERT INTO flags VALUES ('yes', ?), ('no', ?), ('literal', TRUE)",
      {std::int64_t{1}, std::int64_t{0}});
  const Rows rows = run("SELECT name, up FROM flags WHERE up = ? ORDER BY name", {std::int64_t{1}});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.at(1, "up"), Value(std::int64_t{1}));
  EXPECT_TRUE(rows.boolean(0, "up"));
  EXPECT_FALSE(run("SELECT up FROM flags WHERE name = 'no'").boolean(0, "up"));
}

TEST_P(DatabaseContract, JsonIsText) {
  run(postgres() ? "CREATE TABLE documents (body JSONB)" : "CREATE TABLE documents (body TEXT)");
  run("INSERT INTO documents VALUES (?)", {std::string(R"({"a": [1, 2]})")});
  EXPECT_EQ(run("SELECT body FROM documents").at(0, "body"),
            Value(std::string(R"({"a": [1, 2]})")));
}

TEST_P(DatabaseContract, CountsTheRowsThatAStatementChanged) {
  EXPECT_EQ(run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)").affected(), 0);
  EXPECT_EQ(run("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)").affected(), 3);
  EXPECT_EQ(run("SELECT * FROM t").affected(), 0);
  EXPECT_EQ(run("UPDATE t SET n = 9 WHERE id > ?", {std::int64_t{1}}).affected(), 2);
  EXPECT_EQ(run("DELETE FROM t WHERE id = 77").affected(), 0);
  const Rows returned = run("DELETE FROM t WHERE id = 3 RETURNING id, n");
  EXPECT_EQ(returned.affected(), 1);
  EXPECT_EQ(returned.integer(0, "n"), 9);
}

TEST_P(DatabaseContract, CommonTableExpressionsMayWrite) {
  run("CREATE TABLE t (id INTEGER)");
  EXPECT_EQ(run("WITH n AS (SELECT 1 AS id) INSERT INTO t SELECT id FROM n").affected(), 1);
  EXPECT_EQ(run("WITH n AS (SELECT id FROM t) SELECT count(*) AS n FROM n").integer(0, "n"), 1);
}

TEST_P(DatabaseContract, ADuplicateKeyIsAConflict) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
  run("INSERT INTO t VALUES (1, 'a')");
  for (const char* sql : {"INSERT INTO t VALUES (1, 'b')", "INSERT INTO t VALUES (2, 'a')"}) {
    const Error error = error_of(sql);
    EXPECT_EQ(error.code, Errc::kConflict);
    EXPECT_EQ(error.reason, "unique_violation");
  }
}

TEST_P(DatabaseContract, BrokenConstraintsAreTheCallersFault) {
  run("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
  run("CREATE TABLE child (id INTEGER NOT NULL REFERENCES parent (id), n INTEGER CHECK (n > 0))");
  EXPECT_EQ(error_of("INSERT INTO child VALUES (7, 1)").reason, "foreign_key_violation");
  run("INSERT INTO parent VALUES (7)");
  EXPECT_EQ(error_of("INSERT INTO child VALUES (NULL, 1)").reason, "constraint_violation");
  const Error error = error_of("INSERT INTO child VALUES (7, 0)");
  EXPECT_EQ(error.reason, "constraint_violation");
  EXPECT_EQ(error.code, Errc::kInvalidArgument);
}

TEST_P(DatabaseContract, AWrongStatementIsAnInvalidArgument) {
  run("CREATE TABLE t (id INTEGER)");
  EXPECT_EQ(error_of("SELEKT 1").code, Errc::kInvalidArgument);
  EXPECT_EQ(error_of("SELECT * FROM nowhere").code, Errc::kInvalidArgument);
  EXPECT_EQ(error_of("").code, Errc::kInvalidArgument);
  EXPECT_EQ(error_of("SELECT 1; SELECT 2").code, Errc::kInvalidArgument);
  EXPECT_EQ(error_of("INSERT INTO t VALUES (?)").code, Errc::kInvalidArgument);
  EXPECT_EQ(error_of("INSERT INTO t VALUES (1)", {std::int64_t{1}}).code, Errc::kInvalidArgument);
  EXPECT_EQ(error_of("SELECT CAST(? AS TEXT)", {std::string("a\0b", 3)}).code,
            Errc::kInvalidArgument);
  run("INSERT INTO t VALUES (?); -- a trailing comment is fine", {std::int64_t{1}});
}

TEST_P(DatabaseContract, RefusesToChangeASharedConnection) {
  for (const char* sql : {"BEGIN", "COMMIT", "SET search_path = x", "/* x */ SAVEPOINT a"}) {
    EXPECT_EQ(error_of(sql).code, Errc::kInvalidArgument) << sql;
  }
}

TEST_P(DatabaseContract, ABatchRunsInOrderAndIsAllOrNothing) {
  net::LoopPool loops(1);
  loops.start();
  run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  const auto batch = [&](std::vector<Statement> statements) {
    return net::run_sync<Result<std::vector<Rows>>>(
        loops.at(0), [this, statements]() { return db_->batch(statements); });
  };
  auto good = batch({{"INSERT INTO t VALUES (?)", {std::int64_t{1}}},
                     {"UPDATE t SET id = id + 1", {}},
                     {"SELECT id FROM t", {}}});
  ASSERT_TRUE(good) << good.error().message;
  ASSERT_EQ(good->size(), 3u);
  EXPECT_EQ((*good)[2].integer(0, "id"), 2);

  auto bad = batch({{"INSERT INTO t VALUES (10)", {}},
                    {"INSERT INTO t VALUES (2)", {}},
                    {"INSERT INTO t VALUES (11)", {}}});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::kConflict);
  EXPECT_THAT(bad.error().message, ::testing::StartsWith("statement 2 of 3"));
  EXPECT_EQ(run("SELECT count(*) AS n FROM t").integer(0, "n"), 1);

  auto none = batch({});
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST_P(DatabaseContract, ConstraintsThatFailAtCommitUndoTheStatement) {
  run("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
  run("CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)");
  EXPECT_EQ(error_of("INSERT INTO child VALUES (1)").reason, "foreign_key_violation");
  auto outcome = db_->transaction_blocking([](Session& session) -> Result<void> {
    EXPECT_TRUE(session.query({"INSERT INTO child VALUES (2)", {}}));
    return {};
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason, "foreign_key_violation");
  EXPECT_EQ(run("SELECT count(*) AS n FROM child").integer(0, "n"), 0);
}

TEST_P(DatabaseContract, ATransactionCommitsWhenItsBodySucceeds) {
  run("CREATE TABLE t (id INTEGER)");
  auto outcome = db_->transaction_blocking([](Session& session) -> Result<void> {
    if (auto ok = session.script("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"); !ok)
      return ok;
    ASAHI_TRY(auto rows,
              session.query({"SELECT sum(id) AS n FROM t WHERE id < ?", {std::int64_t{10}}}));
    EXPECT_EQ(rows.integer(0, "n"), 3);
    return {};
  });
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(run("SELECT count(*) AS n FROM t").integer(0, "n"), 2);
}

TEST_P(DatabaseContract, ATransactionRunsAStatementForEachOfManyRows) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
  const std::string insert = "INSERT INTO t VALUES (?, ?) ON CONFLICT (id) DO NOTHING";
  auto outcome = db_->transaction_blocking([&](Session& session) -> Result<void> {
    const std::vector<std::vector<Value>> rows{
        {std::int64_t{1}, "one"}, {std::int64_t{2}, Value{}}, {std::int64_t{1}, "again"}};
    ASAHI_TRY(const std::int64_t written, run_each(session, insert, rows));
    EXPECT_EQ(written, 2) << "the third was there";
    std::vector<Value> made(2);
    const auto make = [&](std::size_t which) -> std::span<const Value> {
      made = {static_cast<std::int64_t>(5 + which), "made " + std::to_string(which)};
      return made;
    };
    ASAHI_TRY(const std::int64_t one_by_one, run_each(session, insert, 2, make));
    EXPECT_EQ(one_by_one, 2);
    ASAHI_TRY(const std::int64_t none, run_each(session, insert, {}));
    EXPECT_EQ(none, 0);
    return {};
  });
  ASSERT_TRUE(outcome) << outcome.error().message;
  const Rows kept = run("SELECT id, name FROM t ORDER BY id");
  ASSERT_EQ(kept.size(), 4U);
  EXPECT_EQ(kept.text(0, "name"), "one");
  EXPECT_TRUE(kept.is_null(1, "name"));
  EXPECT_EQ(kept.text(3, "name"), "made 1");
  auto refused = db_->transaction_blocking([&](Session& session) -> Result<void> {
    const std::vector<std::vector<Value>> rows{{std::int64_t{3}, "three"},
                                               {std::int64_t{4}, std::string("nul\0", 4)}};
    EXPECT_FALSE(run_each(session, insert, rows));
    EXPECT_FALSE(session.query({"SELECT 1", {}})) << "nothing runs after a failure";
    return {};
  });
  EXPECT_FALSE(refused);
  EXPECT_EQ(run("SELECT count(*) AS n FROM t").integer(0, "n"), 4) << "all or nothing";
}

TEST_P(DatabaseContract, ATransactionRollsBackOnErrorsAndExceptions) {
  run("CREATE TABLE t (id INTEGER)");
  auto refused = db_->transaction_blocking([](Session& session) -> Result<void> {
    EXPECT_TRUE(session.query({"INSERT INTO t VALUES (1)", {}}));
    return fail(Errc::kForbidden, "no");
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kForbidden);
  auto threw = db_->transaction_blocking([](Session& session) -> Result<void> {
    EXPECT_TRUE(session.query({"INSERT INTO t VALUES (1)", {}}));
    throw std::runtime_error("boom");
  });
  ASSERT_FALSE(threw);
  EXPECT_EQ(threw.error().code, Errc::kInternal);
  EXPECT_EQ(run("SELECT count(*) AS n FROM t").integer(0, "n"), 0);
}

TEST_P(DatabaseContract, ATransactionCannotCommitBehindAFailedStatement) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  auto outcome = db_->transaction_blocking([](Session& session) -> Result<void> {
    EXPECT_TRUE(session.query({"INSERT INTO t VALUES (1)", {}}));
    EXPECT_FALSE(session.query({"INSERT INTO t VALUES (1)", {}}));
    EXPECT_FALSE(session.query({"INSERT INTO t VALUES (2)", {}}));
    EXPECT_FALSE(session.script("INSERT INTO t VALUES (3)"));
    return {};
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason, "unique_violation");
  EXPECT_EQ(run("SELECT count(*) AS n FROM t").integer(0, "n"), 0);
}

TEST_P(DatabaseContract, AScriptMayNotEndItsTransaction) {
  run("CREATE TABLE t (id INTEGER)");
  auto outcome = db_->transaction_blocking(
      [](Session& session) { return session.script("INSERT INTO t VALUES (1); COMMIT"); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kInvalidArgument);
  auto next = db_->transaction_blocking([](Session&) -> Result<void> { return {}; });
  EXPECT_TRUE(next) << next.error().message;
}

TEST_P(DatabaseContract, ConcurrentReadModifyWriteLosesNoUpdate) {
  run("CREATE TABLE counter (n INTEGER)");
  run("INSERT INTO counter VALUES (0)");
  std::atomic<int> committed{0};
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        auto outcome = db_->transaction_blocking([](Session& session) -> Result<void> {
          ASAHI_TRY(auto rows, session.query({"SELECT n FROM counter", {}}));
          ASAHI_TRY(auto updated,
                    session.query({"UPDATE counter SET n = ?", {rows.integer(0, "n") + 1}}));
          return {};
        });
        if (outcome) {
          ++committed;
        } else {
          EXPECT_EQ(outcome.error().reason, "serialization_failure") << outcome.error().message;
        }
      }
    });
  }
  threads.clear();
  EXPECT_GT(committed, 30);  // retries may run out, but rarely
  EXPECT_EQ(run("SELECT n FROM counter").integer(0, "n"), committed);
}

TEST_P(DatabaseContract, ABlockingCallInsideABodyIsRefusedNotADeadlock) {
  auto outcome = db_->transaction_blocking([this](Session&) -> Result<void> {
    auto nested = db_->query_blocking({"SELECT 1", {}});
    return nested ? Result<void>{} : std::unexpected(nested.error());
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kInternal);
}

TEST_P(DatabaseContract, ASlowStatementTimesOutAndTheNextOneWorks) {
  options_.statement_timeout = 200ms;
  open();
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of(slow_sql()).code, Errc::kTimeout);
  auto inside = db_->transaction_blocking([this](Session& session) -> Result<void> {
    auto rows = session.query({slow_sql(), {}});
    return rows ? Result<void>{} : std::unexpected(rows.error());
  });
  ASSERT_FALSE(inside);
  EXPECT_EQ(inside.error().code, Errc::kTimeout) << inside.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
  EXPECT_EQ(run("SELECT 1 AS one").integer(0, "one"), 1);
  auto next = db_->transaction_blocking([](Session&) -> Result<void> { return {}; });
  EXPECT_TRUE(next) << next.error().message;
}

TEST_P(DatabaseContract, AFullQueueRefusesInsteadOfGrowing) {
  options_.max_queued = 2;
  options_.pool_size = 1;
  open();
  std::latch running(1);
  std::latch go(1);
  std::jthread busy([&] {
    auto outcome = db_->transaction_blocking([&](Session&) -> Result<void> {
      running.count_down();
      go.wait();
      return {};
    });
    EXPECT_TRUE(outcome) << outcome.error().message;
  });
  running.wait();
  std::atomic<int> refused{0};
  std::atomic<int> answered{0};
  std::vector<std::jthread> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back([&] {
      auto outcome = db_->transaction_blocking([](Session&) -> Result<void> { return {}; });
      if (!outcome && outcome.error().code == Errc::kTooLarge) {
        ++refused;
        refused.notify_all();
      } else if (outcome) {
        ++answered;
      }
    });
  }
  for (int seen = refused; seen < 2; seen = refused) refused.wait(seen);
  go.count_down();
  waiting.clear();
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(answered, 2);
}

TEST_P(DatabaseContract, CoroutinesResumeOnTheirOwnLoop) {
  net::LoopPool loops(2);
  loops.start();
  for (std::size_t i = 0; i < 2; ++i) {
    auto home = net::run_sync<Result<bool>>(loops.at(i), [&]() -> Task<bool> {
      ASAHI_CO_TRY(auto rows, co_await db_->query({"SELECT 1 AS one", {}}));
      const bool after_query = net::Loop::current() == &loops.at(i);
      bool on_loop = true;
      auto done = co_await db_->transaction([&](Session&) -> Result<void> {
        on_loop = net::Loop::current() != nullptr;
        return {};
      });
      if (!done) co_return std::unexpected(done.error());
      auto pinged = co_await db_->ping();
      if (!pinged) co_return std::unexpected(pinged.error());
      co_return after_query && !on_loop && net::Loop::current() == &loops.at(i);
    });
    ASSERT_TRUE(home) << home.error().message;
    EXPECT_TRUE(*home);
  }
}

TEST_P(DatabaseContract, ErrorsTouchNoneOfTheStatementsAroundThem) {
  net::LoopPool loops(1);
  loops.start();
  run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  constexpr int kCalls = 400;
  std::atomic<int> good{0};
  std::atomic<int> conflicts{0};
  std::atomic<int> wrong{0};
  std::latch all(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    loops.at(0).spawn("call", [&, i]() -> Aw<void> {
      const bool duplicate = i % 10 == 9;
      auto rows = co_await db_->query(
          {"INSERT INTO t VALUES (?) RETURNING id", {std::int64_t{duplicate ? -1 : i}}});
      if (rows && rows->integer(0, "id") == (duplicate ? -1 : i)) {
        ++good;
      } else if (!rows && rows.error().code == Errc::kConflict && duplicate) {
        ++conflicts;
      } else {
        ++wrong;
      }
      all.count_down();
    });
  }
  all.wait();
  EXPECT_EQ(good, 361);
  EXPECT_EQ(conflicts, 39);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(run("SELECT count(*) AS n FROM t").integer(0, "n"), 361);
}

TEST_P(DatabaseContract, ClosingAnswersWhatStillWaits) {
  net::LoopPool loops(1);
  loops.start();
  run("SELECT 1");
  std::atomic<int> answered{0};
  constexpr int kCalls = 50;
  std::latch sent(kCalls);
  std::latch all(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    loops.at(0).spawn("call", [&]() -> Aw<void> {
      sent.count_down();
      co_await db_->query({"SELECT 1", {}});
      ++answered;
      all.count_down();
    });
  }
  sent.wait();
  // The last call may be between its count_down and the queue; a turn of the loop settles that.
  std::promise<void> turned;
  loops.at(0).post([&] { turned.set_value(); });
  turned.get_future().get();
  db_.reset();
  all.wait();
  EXPECT_EQ(answered, kCalls);
}

INSTANTIATE_TEST_SUITE_P(Engines, DatabaseContract, ::testing::ValuesIn(testing::all_engines()),
                         testing::engine_name);

}  // namespace
}  // namespace asahi::sql
