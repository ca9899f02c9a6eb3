#include "identity/limits/budget_table.h"

#include <gtest/gtest.h>

#include <thread>

#include "identity/limits/budget_ledger.h"
#include "identity/limits/testing/budget_place.h"
#include "storage/sql/testing/database_test.h"
#include "storage/sql/testing/postgres_server.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using sql::testing::Engine;
using sql::testing::TestDatabase;
using testing::DataFolder;
using testing::day_spend;
using testing::month_spend;
using Period = Budget::Period;

std::unique_ptr<BudgetLedger> open(const DataFolder& folder, sql::Database& database,
                                   const Clock& clock) {
  auto ledger = open_budget_ledger({.journal_file = folder.journal()}, database, nullptr, clock);
  EXPECT_TRUE(ledger) << ledger.error().message;
  return std::move(*ledger);
}

/// Spends at once; true when it was allowed.
bool spend(BudgetLedger& ledger, const std::vector<Budget>& budgets, std::int64_t cost) {
  auto reserved = ledger.try_reserve(budgets, {cost});
  if (!reserved || !*reserved) return false;
  (*reserved)->settle({cost});
  return true;
}

class BudgetTableTest : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override { open_database(limits_migrations()); }
  std::int64_t rows(const std::string& where = "1 = 1") {
    auto counted = db_->query_blocking({"SELECT count(*) AS n FROM budget_use WHERE " + where, {}});
    return counted ? counted->integer(0, "n") : -1;
  }

  ManualClock clock_;
};

TEST_P(BudgetTableTest, GivesTheSumsToAMachineWithAnEmptyFolder) {
  DataFolder old_folder;
  {
    const auto ledger = open(old_folder, *db_, clock_);
    EXPECT_TRUE(spend(*ledger, {day_spend("org/acme", 1'000), month_spend("user/acme/u", 900)}, 3));
    clock_.advance(10min);
    EXPECT_TRUE(spend(*ledger, {day_spend("org/acme", 1'000)}, 123));
    EXPECT_TRUE(ledger->flush(10s));
    EXPECT_EQ(rows("account = 'org/acme'"), 3) << "two slices and a month";
    EXPECT_TRUE(spend(*ledger, {day_spend("org/acme", 1'000)}, 4));
    EXPECT_TRUE(ledger->flush(10s));
    EXPECT_EQ(rows("account = 'org/acme'"), 3) << "rows are replaced";
  }
  DataFolder new_folder;
  {
    const auto ledger = open(new_folder, *db_, clock_);
    EXPECT_EQ(ledger->use("org/acme", Period::kDay).spent, NanoUsd{130});
    EXPECT_EQ(ledger->use("org/acme", Period::kMonth).requests, 3);
    EXPECT_EQ(ledger->use("user/acme/u", Period::kMonth).spent, NanoUsd{3});
    EXPECT_FALSE(spend(*ledger, {day_spend("org/acme", 1'000)}, 871));
    EXPECT_TRUE(spend(*ledger, {day_spend("org/acme", 1'000)}, 870));
    EXPECT_TRUE(ledger->flush(10s));
  }
  // The old machine knows its own from its journal, and adds what the new one spent.
  const auto ledger = open(old_folder, *db_, clock_);
  EXPECT_EQ(ledger->use("org/acme", Period::kDay).spent, NanoUsd{1'000});
  clock_.advance(24h - 5min);
  EXPECT_EQ(ledger->use("org/acme", Period::kDay).spent, NanoUsd{997}) << "slice by slice";
}

TEST_P(BudgetTableTest, WritesManyAccountsInBatches) {
  DataFolder folder;
  {
    const auto ledger = open(folder, *db_, clock_);
    for (int i = 0; i < 1'200; ++i) {
      EXPECT_TRUE(spend(*ledger, {day_spend("key/" + std::to_string(i), 1'000)}, i % 900));
    }
    EXPECT_TRUE(ledger->flush(20s));
  }
  EXPECT_EQ(rows(), 2'400);
  DataFolder other;
  const auto ledger = open(other, *db_, clock_);
  EXPECT_EQ(ledger->use("key/1199", Period::kDay).spent, NanoUsd{299});
}

TEST_P(BudgetTableTest, DeletesWhatNoBudgetCountsAnyMore) {
  DataFolder folder;
  const auto ledger = open(folder, *db_, clock_);
  EXPECT_TRUE(spend(*ledger, {day_spend("org/acme", 1'000)}, 1));
  EXPECT_TRUE(ledger->flush(10s));
  BudgetTable table(*db_);
  EXPECT_TRUE(table.purge(clock_.now() + 47h));
  EXPECT_EQ(rows(), 2);
  EXPECT_TRUE(table.purge(clock_.now() + 49h));
  EXPECT_EQ(rows(), 1);
  EXPECT_TRUE(table.purge(clock_.now() + 90 * 24h));
  EXPECT_EQ(rows(), 0);
}

TEST_P(BudgetTableTest, ItsMigrationGoesBothWays) {
  sql::Migrator migrator(*db_, limits_migrations());
  EXPECT_TRUE(migrator.downgrade(1));
  EXPECT_EQ(rows(), -1);
  EXPECT_TRUE(migrator.upgrade());
  EXPECT_EQ(rows(), 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, BudgetTableTest, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

TEST(BudgetTableOutage, TheJournalKeepsWhatTheDatabaseMisses) {
  DataFolder folder;
  ManualClock clock;
  auto database = sql::open_database({.url = "sqlite://:memory:"});  // without the table
  ASSERT_TRUE(database);
  {
    const auto ledger = open(folder, **database, clock);
    EXPECT_TRUE(spend(*ledger, {day_spend("org/acme", 1'000)}, 42));
    EXPECT_FALSE(ledger->flush(300ms));
  }
  const auto ledger = open(folder, **database, clock);
  EXPECT_EQ(ledger->use("org/acme", Period::kDay).spent, NanoUsd{42});
  ASSERT_TRUE(sql::Migrator(**database, limits_migrations()).upgrade());
  EXPECT_TRUE(ledger->flush(10s)) << "written as soon as it can be";
  DataFolder other;
  EXPECT_EQ(open(other, **database, clock)->use("org/acme", Period::kDay).spent, NanoUsd{42});
}

}  // namespace
}  // namespace asahi::identity
