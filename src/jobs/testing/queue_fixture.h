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
#include "storage/sql/testing/database_test.h"

namespace asahi::jobs::testing {

/// A queue with its schema on a real engine, a loop to call it from, and a clock that stands still.
class QueueFixture : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(migrations())) return;
    queue_ = std::make_unique<Queue>(*db_, clock_);
    loops_.start();
  }

  void TearDown() override {
    queue_.reset();
    close_database();  // before the loops that its answers go to
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

  ManualClock clock_;
  net::LoopPool loops_{1};
  std::unique_ptr<Queue> queue_;
};

}  // namespace asahi::jobs::testing
