// What only PostgreSQL can show: servers that go away and come back, cancel requests, many
// connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "net/blocking.h"
#include "net/loop.h"
#include "storage/sql/database.h"
#include "storage/sql/pg_value.h"
#include "storage/sql/testing/child_process.h"
#include "storage/sql/testing/pgbouncer.h"
#include "storage/sql/testing/postgres_server.h"

namespace asahi::sql {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using Steady = std::chrono::steady_clock;

class PostgresDatabase : public ::testing::Test {
 protected:
  void SetUp() override {
    // Its own: these tests stop and restart it.
    static const auto server = testing::PostgresServer::launch();
    if (!server && server.error().code == Errc::kNotFound) GTEST_SKIP() << server.error().message;
    ASSERT_TRUE(server) << server.error().message;
    server_ = server->get();
    ASSERT_TRUE(server_->start());  // an earlier test may have stopped it
    auto name = server_->create_database();
    ASSERT_TRUE(name) << name.error().message;
    options_.url = server_->url(*name);
    open();
  }

  void open() {
    db_.reset();
    auto opened = open_database(options_);
    ASSERT_TRUE(opened) << opened.error().message;
    db_ = std::move(*opened);
  }

  Result<Rows> run(std::string sql) { return db_->query_blocking({std::move(sql), {}}); }
  Result<void> transact() {
    return db_->transaction_blocking([](Session& session) -> Result<void> {
      ASAHI_TRY(auto rows, session.query({"SELECT 1", {}}));
      return {};
    });
  }

  /// Asks again and again until the call succeeds; false after ten seconds.
  template <class Call>
  static bool succeeds_soon(Call call) {
    const auto deadline = Steady::now() + 10s;
    while (Steady::now() < deadline) {
      if (call()) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }

  testing::PostgresServer* server_ = nullptr;
  DatabaseOptions options_;
  std::unique_ptr<Database> db_;
};

TEST_F(PostgresDatabase, AnAbsentServerIsAnErrorPerCallAndFastOnceKnown) {
  options_.url =
      "postgres://nobody:hunter2@127.0.0.1:" + std::to_string(testing::free_port()) + "/none";
  open();  // succeeds: connecting is lazy
  const auto started = Steady::now();
  auto first = run("SELECT 1");
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, Errc::kUnavailable);
  EXPECT_THAT(first.error().message, Not(HasSubstr("hunter2")));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(run("SELECT 1").error().code, Errc::kUnavailable);
    EXPECT_EQ(transact().error().code, Errc::kUnavailable);
  }
  EXPECT_LT(Steady::now() - started, 2s);
}

TEST_F(PostgresDatabase, RecoversByItselfWhenTheServerReturns) {
  ASSERT_TRUE(run("CREATE TABLE t (id INTEGER)"));
  ASSERT_TRUE(run("INSERT INTO t VALUES (1)"));
  ASSERT_TRUE(transact());

  server_->stop();
  const auto stopped = Steady::now();
  auto away = run("SELECT 1");
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, Errc::kUnavailable) << away.error().message;
  EXPECT_EQ(transact().error().code, Errc::kUnavailable);
  EXPECT_LT(Steady::now() - stopped, 1s);

  ASSERT_TRUE(server_->start());
  EXPECT_TRUE(succeeds_soon([&] { return run("SELECT 1").has_value(); }));
  EXPECT_TRUE(succeeds_soon([&] { return transact().has_value(); }));
  EXPECT_EQ(run("SELECT count(*) AS n FROM t")->integer(0, "n"), 1);
}

TEST_F(PostgresDatabase, ARestartBetweenCallsGoesUnnoticed) {
  ASSERT_TRUE(run("SELECT 1"));
  ASSERT_TRUE(transact());
  ASSERT_TRUE(server_->restart());
  auto rows = run("SELECT 1");
  EXPECT_TRUE(rows) << rows.error().message;
  auto outcome = transact();
  EXPECT_TRUE(outcome) << outcome.error().message;
}

TEST_F(PostgresDatabase, KilledBackendsAnswerTheirStatementsAndAreReplaced) {
  ASSERT_TRUE(run("SELECT 1"));
  std::jthread killer([&] {
    auto other = open_database(options_).value();
    EXPECT_TRUE(succeeds_soon([&] {
      auto killed =
          other->query_blocking({"SELECT count(pg_terminate_backend(pid)) AS n FROM "
                                 "pg_stat_activity WHERE query = 'SELECT "
                                 "pg_sleep(20)'",
                                 {}});
      return killed && killed->integer(0, "n") > 0;
    }));
  });
  auto rows = run("SELECT pg_sleep(20)");
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code, Errc::kUnavailable) << rows.error().message;
  EXPECT_TRUE(succeeds_soon([&] { return run("SELECT 1").has_value(); }));
}

TEST_F(PostgresDatabase, AStatementFindsAConnectionBesideASlowOne) {
  net::LoopPool loops(1);
  loops.start();
  ASSERT_TRUE(run("SELECT 1"));
  std::latch slow(1);
  loops.at(0).spawn("slow", [&]() -> Aw<void> {
    auto rows = co_await db_->query({"SELECT pg_sleep(2)", {}});
    EXPECT_TRUE(rows) << rows.error().message;
    slow.count_down();
  });
  const auto started = Steady::now();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(run("SELECT 1"));
  EXPECT_LT(Steady::now() - started, 1900ms);
  slow.wait();
}

TEST_F(PostgresDatabase, ACancelRequestSparesTheNeighbours) {
  const DatabaseOptions patient = options_;
  open();
  ASSERT_TRUE(run("CREATE TABLE t (id INTEGER)"));
  options_.pool_size = 2;  // one pipeline: everything shares it
  options_.statement_timeout = 300ms;
  open();
  net::LoopPool loops(1);
  loops.start();
  constexpr int kCalls = 200;
  std::atomic<int> timeouts{0};
  std::atomic<int> good{0};
  std::latch all(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    loops.at(0).spawn("call", [&, i]() -> Aw<void> {
      const bool slow = i == 20;
      auto rows = co_await db_->query(
          {slow ? "INSERT INTO t SELECT 1 FROM pg_sleep(20)" : "INSERT INTO t VALUES (2)", {}});
      if (rows) ++good;
      if (!rows && rows.error().code == Errc::kTimeout) ++timeouts;
      all.count_down();
    });
  }
  all.wait();
  EXPECT_EQ(good + timeouts, kCalls);
  EXPECT_GE(timeouts, 1);
  options_ = patient;
  open();
  auto rows = run("SELECT count(*) AS n FROM t");
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->integer(0, "n"), good)
      << "what timed out was rolled back, what succeeded is there once";
}

TEST_F(PostgresDatabase, ConnectionsStayWithinThePoolsSize) {
  options_.pool_size = 4;
  open();
  net::LoopPool loops(1);
  loops.start();
  constexpr int kCalls = 300;
  std::latch all(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    loops.at(0).spawn("call", [&]() -> Aw<void> {
      auto rows = co_await db_->query({"SELECT pg_sleep(0.002)", {}});
      EXPECT_TRUE(rows) << rows.error().message;
      all.count_down();
    });
  }
  all.wait();
  ASSERT_TRUE(transact());
  auto rows =
      run("SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND "
          "backend_type = "
          "'client backend'");
  ASSERT_TRUE(rows);
  EXPECT_LE(rows->integer(0, "n"), 4);
  EXPECT_GE(rows->integer(0, "n"), 2);
}

TEST_F(PostgresDatabase, WorksInUtcWhateverTheServersZone) {
  ASSERT_EQ(run("SHOW server_version_num")->size(), 1u);
  EXPECT_EQ(run("SELECT current_setting('TimeZone') AS zone")->text(0, "zone"), "UTC");
  EXPECT_EQ(run("SELECT TIMESTAMPTZ '2026-11-21 23:30:00-02' AS at")->text(0, "at"),
            "2026-11-22T01:30:00.000Z");
  EXPECT_EQ(
      run("SELECT date_trunc('day', TIMESTAMPTZ '2026-11-21 23:30:00Z') AS at")->text(0, "at"),
      "2026-11-21T00:00:00.000Z");
}

TEST_F(PostgresDatabase, MoreClientsThanServerConnectionsShareThemThroughPgBouncer) {
  auto bouncer = testing::PgBouncer::launch(server_->port());
  if (!bouncer && bouncer.error().code == Errc::kNotFound) GTEST_SKIP() << bouncer.error().message;
  ASSERT_TRUE(bouncer) << bouncer.error().message;
  options_.url = (*bouncer)->url("postgres");
  ASSERT_TRUE(run("SELECT 1"));
  std::vector<std::jthread> threads;
  for (int replica = 0; replica < 4; ++replica) {
    threads.emplace_back([&] {
      auto db = open_database(options_).value();
      for (int i = 0; i < 40; ++i) {
        auto rows = db->query_blocking(
            {"SELECT current_setting('TimeZone') AS zone, CAST(? AS INT) AS n", {std::int64_t{i}}});
        ASSERT_TRUE(rows) << rows.error().message;
        ASSERT_EQ(rows->integer(0, "n"), i);
        ASSERT_EQ(rows->text(0, "zone"), "UTC");
        auto outcome = db->transaction_blocking([](Session& session) -> Result<void> {
          ASAHI_TRY(auto level,
                    session.query({"SELECT current_setting('transaction_isolation') AS l", {}}));
          EXPECT_EQ(level.text(0, "l"), "serializable");
          return {};
        });
        ASSERT_TRUE(outcome) << outcome.error().message;
      }
    });
  }
}

TEST(PgValue, TimestampsBecomeRfc3339) {
  EXPECT_EQ(timestamp_to_rfc3339("2026-11-21 10:00:00+00"), "2026-11-21T10:00:00.000Z");
  EXPECT_EQ(timestamp_to_rfc3339("2026-11-21 10:00:00.1+00"), "2026-11-21T10:00:00.100Z");
  EXPECT_EQ(timestamp_to_rfc3339("2026-11-21 10:00:00.123456+00"), "2026-11-21T10:00:00.123456Z");
  for (const char* other : {"infinity", "-infinity", "2026-11-21 10:00:00+05:30", ""}) {
    EXPECT_EQ(timestamp_to_rfc3339(other), other);
  }
}

}  // namespace
}  // namespace asahi::sql
