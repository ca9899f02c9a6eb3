// The database goes away and comes back.
#include <fstream>
#include <set>
#include <thread>

#include "identity/audit/testing/audit_fixture.h"
#include "storage/sql/testing/postgres_server.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using testing::make_entry;

class AuditOutage : public ::testing::Test {
 protected:
  void SetUp() override {
    auto launched = sql::testing::PostgresServer::launch();
    if (!launched && launched.error().code == Errc::kNotFound) {
      GTEST_SKIP() << launched.error().message;
    }
    ASSERT_TRUE(launched) << launched.error().message;
    server_ = std::move(*launched);
    const auto name = server_->create_database();
    ASSERT_TRUE(name);
    auto opened = sql::open_database({.url = server_->url(*name), .connect_timeout = 500ms});
    ASSERT_TRUE(opened);
    db_ = std::move(*opened);
    ASSERT_TRUE(sql::Migrator(*db_, testing::audit_schema()).upgrade());
    loops_.start();
    open();
  }
  void open() {
    log_.reset();
    auto opened = open_audit_log(
        {.spool_dir = spool_.path(), .head_key = "k", .max_queued = 2'000, .append_timeout = 300ms},
        *db_, system_clock());
    ASSERT_TRUE(opened) << opened.error().message;
    log_ = std::move(*opened);
  }
  Result<std::string> append(AuditEntry entry) {
    return net::run_sync<Result<std::string>>(loops_.at(0), [&] { return log_->append(entry); });
  }
  void record(int from, int to) {
    for (int i = from; i < to; ++i) {
      while (!log_->record(make_entry("acme", "n", {{"n", i}}))) std::this_thread::sleep_for(1ms);
    }
  }
  void expect_all(int count) {
    ASSERT_TRUE(log_->flush(20s));
    auto rows =
        db_->query_blocking({"SELECT details ->> 'n' AS n FROM audit_entries"
                             " WHERE org_id = 'acme' ORDER BY seq",
                             {}});
    ASSERT_TRUE(rows) << rows.error().message;
    ASSERT_EQ(rows->size(), static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < rows->size(); ++i) {
      ASSERT_EQ(rows->text(i, "n"), std::to_string(i));
    }
    const auto checked = verify_audit_chain(*db_, "k", "acme");
    ASSERT_TRUE(checked);
    EXPECT_TRUE(checked->valid) << checked->problem;
  }

  testing::Folder spool_{"asahi-audit-"};
  std::unique_ptr<sql::testing::PostgresServer> server_;
  net::LoopPool loops_{1};
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditOutage, LosesNothingAndKeepsTheOrder) {
  record(0, 1'000);
  server_->stop();
  record(1'000, 7'000);  // more than the queue holds: it goes to disk
  EXPECT_FALSE(log_->flush(200ms));
  ASSERT_TRUE(server_->start());
  record(7'000, 8'000);
  expect_all(8'000);
}

TEST_F(AuditOutage, SurvivesARestartOfTheProcessMeanwhile) {
  record(0, 500);
  server_->stop();
  record(500, 1'500);
  open();
  record(1'500, 2'000);
  open();
  record(2'000, 2'100);
  ASSERT_TRUE(server_->start());
  expect_all(2'100);
}

TEST_F(AuditOutage, AnAppendFailsInTimeAndIsNotStoredLater) {
  ASSERT_TRUE(append(make_entry("other", "before")));
  server_->stop();
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto refused = append(make_entry("other", "refused"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kUnavailable) << refused.error().message;
    EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  }
  ASSERT_TRUE(server_->start());
  // What was on its way to the database at the deadline may get there, and says so.
  std::set<std::string> possible;
  for (int i = 0; i < 50; ++i) {
    const std::string action = "after " + std::to_string(i);
    const auto stored = append(make_entry("other", action));
    if (stored || stored.error().reason == "outcome_unknown") possible.insert(action);
    if (stored) break;
  }
  ASSERT_TRUE(log_->flush(10s));
  auto rows = db_->query_blocking({"SELECT action FROM audit_entries ORDER BY seq", {}});
  ASSERT_TRUE(rows);
  ASSERT_GE(rows->size(), 2);
  EXPECT_EQ(rows->text(0, "action"), "before");
  for (std::size_t i = 1; i < rows->size(); ++i) {
    EXPECT_TRUE(possible.contains(rows->text(i, "action"))) << rows->text(i, "action");
  }
}

TEST_F(AuditOutage, MigrationsThatCameLateLoseNothing) {
  ASSERT_TRUE(sql::Migrator(*db_, testing::audit_schema()).downgrade(2));
  record(0, 300);
  EXPECT_FALSE(log_->flush(300ms));
  ASSERT_TRUE(sql::Migrator(*db_, testing::audit_schema()).upgrade());
  expect_all(300);
}

TEST_F(AuditOutage, AnEntryThatTheDatabaseRefusesDoesNotStopTheOthers) {
  ASSERT_TRUE(db_->query_blocking(
      {"ALTER TABLE audit_entries ADD CONSTRAINT no_poison CHECK (action <> 'poison')", {}}));
  for (int i = 0; i < 40; ++i) {
    log_->record(make_entry("acme", "n", {{"n", i}}));
    if (i % 20 == 10) log_->record(make_entry("acme", "poison"));
  }
  expect_all(40);
  std::ifstream file(spool_.path() + "/rejected.jsonl");
  std::string line;
  int lines = 0;
  while (std::getline(file, line)) ++lines;
  EXPECT_EQ(lines, 2);
  const auto refused = append(make_entry("acme", "poison"));
  EXPECT_FALSE(refused);
}

TEST_F(AuditOutage, AFullQueueIsCountedAndNeverWaits) {
  server_->stop();
  log_.reset();
  auto opened = open_audit_log(
      {.spool_dir = spool_.path(), .head_key = "k", .max_queued = 50, .max_spool_bytes = 20'000},
      *db_, system_clock());
  ASSERT_TRUE(opened);
  log_ = std::move(*opened);
  std::uint64_t refused = 0;
  for (int i = 0; i < 5'000; ++i) refused += log_->record(make_entry("acme", "n")) ? 0 : 1;
  EXPECT_GT(refused, 1'000);
  EXPECT_EQ(log_->dropped(), refused);
  ASSERT_TRUE(server_->start());
  ASSERT_TRUE(log_->flush(20s));
  auto rows = db_->query_blocking({"SELECT count(*) AS n FROM audit_entries", {}});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->integer(0, "n"), static_cast<std::int64_t>(5'000 - refused));
}

}  // namespace
}  // namespace asahi::identity
