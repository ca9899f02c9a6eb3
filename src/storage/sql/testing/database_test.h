#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "storage/sql/migrations.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::sql::testing {

/// Base of suites that run over every engine: each test has a database of its own. A `SetUp` begins
/// with `if (!open_database(migrations())) return;`.
class DatabaseTest : public ::testing::TestWithParam<Engine> {
 protected:
  /// Opens an empty database of the engine that the parameter names and takes it up by
  /// `migrations`. False: the test is skipped since the engine's program is not installed, or has
  /// failed.
  bool open_database(std::vector<Migration> migrations) {
    auto made = TestDatabase::make(GetParam());
    if (!made) {
      [&] {
        if (made.error().code == Errc::kNotFound) GTEST_SKIP() << made.error().message;
        FAIL() << made.error().message;
      }();
      return false;
    }
    place_ = std::move(*made);
    auto opened = sql::open_database(place_->options());
    EXPECT_TRUE(opened) << opened.error().message;
    if (!opened) return false;
    db_ = std::move(*opened);
    if (migrations.empty()) return true;
    const auto migrated = Migrator(*db_, std::move(migrations)).upgrade();
    EXPECT_TRUE(migrated) << migrated.error().message;
    return migrated.has_value();
  }

  /// For suites of many tests and for those whose loops end before this object does. PgBouncer
  /// keeps the connections to a database that nobody will use again; after some fifty tests in one
  /// program the server has none left. The one that ends them breaks too: its outcome says nothing.
  void close_database() {
    if (db_ && GetParam() == Engine::kPgBouncer) {
      std::ignore =
          db_->query_blocking({"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                               " WHERE datname = current_database()",
                               {}});
    }
    db_.reset();
  }

  std::unique_ptr<TestDatabase> place_;
  std::unique_ptr<Database> db_;  ///< goes before `place_`
};

}  // namespace asahi::sql::testing
