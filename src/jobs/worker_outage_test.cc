// What a worker does while the database is away: it goes on, loses nothing, and stops in time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>

#include "jobs/queue.h"
#include "jobs/testing/queue_fixture.h"
#include "jobs/testing/unreliable_database.h"
#include "net/event.h"

namespace asahi::jobs {
namespace {

using namespace std::chrono_literals;

class WorkerOutage : public testing::QueueFixture {
 protected:
  void SetUp() override {
    QueueFixture::SetUp();
    if (!db_) return;
    unreliable_ = std::make_unique<testing::UnreliableDatabase>(*db_);
    shaky_ = std::make_unique<Queue>(*unreliable_, clock_);
  }
  void TearDown() override {
    shaky_.reset();
    unreliable_.reset();
    QueueFixture::TearDown();
  }

  std::unique_ptr<Worker> make_worker() {
    return std::make_unique<Worker>(*shaky_, loops_.at(0), clock_, Worker::Options{.poll = 5ms});
  }
  static bool soon(const std::function<bool()>& good) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < deadline) {
      if (good()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }
  bool done_reaches(std::int64_t done) {
    return soon([&] { return counts().done == done; });
  }

  std::unique_ptr<testing::UnreliableDatabase> unreliable_;
  std::unique_ptr<Queue> shaky_;
};

Task<void> succeed(const Job&) { co_return Result<void>{}; }

TEST_P(WorkerOutage, PollsOnUntilTheDatabaseIsBack) {
  enqueue("work");
  unreliable_->fail_next("", INT_MAX);
  auto worker = make_worker();
  worker->handle("work", succeed);
  worker->start();
  ASSERT_TRUE(soon([&] { return unreliable_->failures() >= 3; }));
  EXPECT_EQ(counts().queued, 1);
  unreliable_->recover();
  EXPECT_TRUE(done_reaches(1));
  worker->stop(5s);
}

TEST_P(WorkerOutage, TellsTheEndOfAJobAgainWhenItWasNotHeard) {
  enqueue("work");
  unreliable_->fail_next("state = 'done', progress", 2);
  auto worker = make_worker();
  worker->handle("work", succeed);
  worker->start();
  EXPECT_TRUE(done_reaches(1));
  EXPECT_EQ(unreliable_->failures(), 2);
  worker->stop(5s);
}

TEST_P(WorkerOutage, AnEndThatIsNeverHeardRunsTheJobAgainWhenItsLeaseRanOut) {
  enqueue("work");
  unreliable_->fail_next("state = 'done', progress", 3);
  std::atomic<int> runs = 0;
  auto worker = make_worker();
  worker->handle("work", [&](const Job&) -> Task<void> {
    ++runs;
    co_return Result<void>{};
  });
  worker->start();
  ASSERT_TRUE(soon([&] { return unreliable_->failures() == 3; }));
  EXPECT_EQ(counts().leased, 1);
  clock_.advance(30s);
  EXPECT_TRUE(done_reaches(1));
  worker->stop(5s);
  EXPECT_EQ(runs, 2);
}

TEST_P(WorkerOutage, CronEnqueuesWhatItCouldNotWhenTheDatabaseIsBack) {
  for (const char* part : {"SELECT minute FROM jobs_cron", "INSERT INTO jobs_cron"}) {
    const std::int64_t before = counts().done;
    unreliable_->fail_next(part, 3);
    const int failures = unreliable_->failures();
    auto worker = make_worker();
    worker->cron("* * * * *", "work", nullptr);
    worker->handle("work", succeed);
    worker->start();
    EXPECT_TRUE(done_reaches(before + 1)) << part;
    EXPECT_EQ(unreliable_->failures(), failures + 3);
    worker->stop(5s);
    clock_.advance(60s);
  }
}

TEST_P(WorkerOutage, StopDoesNotWaitForADatabaseThatIsAway) {
  for (int i = 0; i < 4; ++i) enqueue("work");
  std::vector<std::unique_ptr<net::Event>> gates;
  std::atomic<int> started = 0;
  std::atomic<int> ended = 0;
  auto worker = make_worker();
  worker->handle("work", [&](const Job&) -> Task<void> {
    auto& gate = *gates.emplace_back(std::make_unique<net::Event>(loops_.at(0)));
    ++started;
    co_await gate.wait();
    ++ended;
    co_return Result<void>{};
  });
  worker->start();
  ASSERT_TRUE(soon([&] { return started == 4; }));
  unreliable_->fail_next("attempt - 1", INT_MAX);
  worker->stop(0ms);
  EXPECT_EQ(unreliable_->failures(), 1) << "the others are not even tried";
  EXPECT_EQ(counts().leased, 4) << "their leases run out by themselves";
  unreliable_->recover();
  clock_.advance(30s);
  EXPECT_EQ(lease().size(), 4u);
  loops_.at(0).post([&] {
    for (const auto& gate : gates) gate->set();
  });
  EXPECT_TRUE(soon([&] { return ended == 4; }));
}

INSTANTIATE_TEST_SUITE_P(Engines, WorkerOutage, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::jobs
