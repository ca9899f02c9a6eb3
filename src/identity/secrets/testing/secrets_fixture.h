#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/cipher.h"
#include "base/clock.h"
#include "identity/secrets/live.h"
#include "identity/secrets/migrations.h"
#include "net/blocking.h"
#include "net/loop.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::identity::testing {

/// The schema of the stored secrets on a real engine, a loop to call from, and a clock that stands
/// still. Keys are named by a digit and derived in few rounds.
class SecretsFixture : public ::testing::TestWithParam<sql::testing::Engine> {
 protected:
  void SetUp() override {
    auto made = sql::testing::TestDatabase::make(GetParam());
    if (!made && made.error().code == Errc::kNotFound) GTEST_SKIP() << made.error().message;
    ASSERT_TRUE(made) << made.error().message;
    place_ = std::move(*made);
    auto opened = sql::open_database(place_->options());
    ASSERT_TRUE(opened) << opened.error().message;
    db_ = std::move(*opened);
    auto migrated = sql::Migrator(*db_, secrets_migrations()).upgrade();
    ASSERT_TRUE(migrated) << migrated.error().message;
    loops_.start();
    set_ring("1");
  }
  void TearDown() override {
    // PgBouncer keeps the connections to a database that nobody will use again. The one that runs
    // this breaks too.
    if (db_ && GetParam() == sql::testing::Engine::kPgBouncer) {
      std::ignore =
          db_->query_blocking({"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                               " WHERE datname = current_database()",
                               {}});
    }
    db_.reset();  // before the loops that its answers go to
  }

  /// "32": key 3 encrypts, key 2 is previous.
  static KeyRing ring_of(std::string_view digits) {
    std::vector<Secret> keys;
    for (const char digit : digits) keys.emplace_back(std::string(64, digit));
    return KeyRing::make(keys, {.pbkdf2_iterations = 1'000}).value();
  }
  void set_ring(std::string_view digits) { ring_.set(ring_of(digits)); }

  template <class T>
  Result<T> attempt(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  /// A failure fails the test.
  template <class T>
  T get(std::function<Task<T>()> call) {
    auto outcome = attempt<T>(std::move(call));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if constexpr (!std::is_void_v<T>) return outcome ? std::move(*outcome) : T{};
  }
  sql::Rows rows(std::string sql, std::vector<sql::Value> params = {}) {
    auto outcome = db_->query_blocking({std::move(sql), std::move(params)});
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? std::move(*outcome) : sql::Rows();
  }

  std::unique_ptr<sql::testing::TestDatabase> place_;
  ManualClock clock_;
  net::LoopPool loops_{2};
  std::unique_ptr<sql::Database> db_;
  Live<KeyRing> ring_;
};

}  // namespace asahi::identity::testing
