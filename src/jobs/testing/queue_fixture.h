#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "base/clock.h"
#include "jobs/queue.h"
#include "net/blocking.h"
#include "net/loop.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::jobs::testing {

/// A queue with its schema on a real engine, a loop to call it from, and a clock that stands still.
class QueueFixture : public ::testing::TestWithParam<sql::testing::Engine> {
 protected:
  void SetUp() override {
    auto made = sql::testing::TestDatabase::make(GetParam());
    if (!made && made.error().code == Errc::kNotFound) GTEST_SKIP() << made.error().message;
    ASSERT_TRUE(made) << made.error().message;
    place_ = std::move(*made);
    db_ = open();
    ASSERT_TRUE(db_);
    auto migrated = sql::Migrator(*db_, migrations()).upgrade();
    ASSERT_TRUE(migrated) << migrated.error().message;
    queue_ = std::make_unique<Queue>(*db_, clock_);
    loops_.start();
  }

  void TearDown() override {
    queue_.reset();
    if (db_ && GetParam() == sql::testing::Engine::kPgBouncer) end_connections();
    db_.reset();  // before the loops that its answers go to
  }

  /// PgBouncer keeps the connections to a database that nobody will use again; after some fifty
  /// tests in one program the server has none left. The one that runs this breaks too: no rows.
  void end_connections() {
    std::ignore =
        db_->query_blocking({"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                             " WHERE datname = current_database()",
                             {}});
  }

  std::unique_ptr<sql::Database> open() {
    auto opened = sql::open_database(place_->options());
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }

  /// Runs a task of the queue to its end; a failure fails the test.
  template <class T>
  T get(std::function<Task<T>()> call) {
    auto outcome = net::run_sync<Result<T>>(loops_.at(0), std::move(call));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if constexpr (!std::is_void_v<T>) return outcome ? std::move(*outcome) : T{};
  }
  template <class T>
  Result<T> attempt(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }

  std::string enqueue(const std::string& kind, EnqueueOptions options = {},
                      json::value payload = nullptr) {
    return get<std::string>([&] { return queue_->enqueue(kind, payload, options); });
  }
  std::vector<Job> lease(std::size_t limit = 10,
                         std::chrono::milliseconds time = std::chrono::seconds(30),
                         std::vector<std::string> kinds = {"work"}) {
    return get<std::vector<Job>>([&] { return queue_->lease(kinds, limit, time, "tester"); });
  }
  Queue::Counts counts() {
    return get<Queue::Counts>([&] { return queue_->counts(); });
  }

  std::unique_ptr<sql::testing::TestDatabase> place_;
  ManualClock clock_;
  net::LoopPool loops_{1};
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Queue> queue_;
};

}  // namespace asahi::jobs::testing
