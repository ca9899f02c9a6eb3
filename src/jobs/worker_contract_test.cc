// The worker against a real queue on every engine. The clock stands still unless a test moves it;
// what a worker does is awaited, never slept for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "jobs/queue.h"
#include "jobs/testing/queue_fixture.h"
#include "net/event.h"

namespace asahi::jobs {
namespace {

using namespace std::chrono_literals;
using ::testing::SizeIs;

/// Counts what handlers did, and lets the test wait for it.
class Tally {
 public:
  void add(std::string what) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
    changed_.notify_all();
  }
  /// True when there are `count` within ten seconds.
  bool reaches(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return all_.size() >= count; });
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

class WorkerContract : public testing::QueueFixture {
 protected:
  std::unique_ptr<Worker> make_worker(Worker::Options options = {}) {
    options.poll = 5ms;
    options.keep_done = 24h * 365;
    return std::make_unique<Worker>(*queue_, loops_.at(0), clock_, options);
  }
  /// Waits until the queue's counts satisfy `good`, for up to ten seconds.
  bool counts_reach(const std::function<bool(const Queue::Counts&)>& good) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < deadline) {
      if (good(counts())) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  Tally tally_;
};

TEST_P(WorkerContract, RunsJobsAndMarksThemDone) {
  auto worker = make_worker();
  worker->handle("work", [&](const Job& job) -> Task<void> {
    tally_.add(std::string(job.payload.at("name").as_string()));
    co_return Result<void>{};
  });
  worker->start();
  for (const char* name : {"a", "b", "c"}) enqueue("work", {}, {{"name", name}});
  ASSERT_TRUE(tally_.reaches(3));
  EXPECT_TRUE(counts_reach([](const auto& counts) { return counts.done == 3; }));
  EXPECT_THAT(tally_.all(), ::testing::UnorderedElementsAre("a", "b", "c"));
  worker->stop(5s);
}

TEST_P(WorkerContract, ErrorsAndExceptionsAreFailures) {
  auto worker = make_worker();
  worker->handle("work", [&](const Job&) -> Task<void> {
    tally_.add("error");
    co_return fail(Errc::kUpstream, "no");
  });
  worker->handle("play", [&](const Job&) -> Task<void> {
    tally_.add("exception");
    throw std::runtime_error("boom");
    co_return Result<void>{};
  });
  worker->handle("rest", [&](const Job&) -> Task<void> {
    tally_.add("no std::exception");
    throw 42;
    co_return Result<void>{};
  });
  worker->start();
  for (const char* kind : {"work", "play", "rest"}) enqueue(kind, {.max_attempts = 1});
  ASSERT_TRUE(tally_.reaches(3));
  EXPECT_TRUE(counts_reach([](const auto& counts) { return counts.dead == 3; }));
  worker->stop(5s);
}

TEST_P(WorkerContract, RunsAtMostAsManyAtOnceAsItMay) {
  auto worker = make_worker({.concurrency = 2});
  int now = 0;
  int most = 0;
  worker->handle("work", [&](const Job&) -> Task<void> {
    most = std::max(most, ++now);
    co_await loops_.at(0).sleep_for(10ms);
    --now;
    tally_.add("x");
    co_return Result<void>{};
  });
  for (int i = 0; i < 8; ++i) enqueue("work");
  worker->start();
  ASSERT_TRUE(tally_.reaches(8));
  worker->stop(5s);
  EXPECT_EQ(most, 2);
}

TEST_P(WorkerContract, StopWaitsForRunningHandlers) {
  auto worker = make_worker();
  net::Event go(loops_.at(0));
  worker->handle("work", [&](const Job&) -> Task<void> {
    tally_.add("started");
    co_await go.wait();
    co_return Result<void>{};
  });
  worker->start();
  enqueue("work");
  ASSERT_TRUE(tally_.reaches(1));
  loops_.at(0).post([&] { go.set(); });
  worker->stop(10s);
  EXPECT_EQ(counts().done, 1);
}

TEST_P(WorkerContract, StopGivesBackWhatDoesNotEndInTime) {
  auto worker = make_worker();
  net::Event go(loops_.at(0));
  worker->handle("work", [&](const Job&) -> Task<void> {
    tally_.add("started");
    co_await go.wait();
    tally_.add("ended");
    co_return Result<void>{};
  });
  worker->start();
  enqueue("work");
  ASSERT_TRUE(tally_.reaches(1));
  worker->stop(0ms);
  EXPECT_EQ(counts().queued, 1);
  const auto again = lease();
  ASSERT_THAT(again, SizeIs(1)) << "another worker takes it at once";
  EXPECT_EQ(again[0].attempt, 1);
  loops_.at(0).post([&] { go.set(); });
  ASSERT_TRUE(tally_.reaches(2));
  EXPECT_EQ(counts().leased, 1) << "what the late handler returned is ignored";
}

TEST_P(WorkerContract, RenewsTheLeaseWhileAHandlerRuns) {
  auto worker = make_worker({.lease = 60ms});
  net::Event go(loops_.at(0));
  worker->handle("work", [&](const Job&) -> Task<void> {
    tally_.add("started");
    co_await go.wait();
    co_return Result<void>{};
  });
  worker->start();
  const auto id = enqueue("work");
  ASSERT_TRUE(tally_.reaches(1));
  const auto due = [&] {
    return db_->query_blocking({"SELECT due_at_ms FROM jobs_queue WHERE id = ?", {id}})
        ->integer(0, "due_at_ms");
  };
  const auto before = due();
  clock_.advance(50ms);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (due() <= before && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(5ms);
  EXPECT_GT(due(), before);
  loops_.at(0).post([&] { go.set(); });
  worker->stop(10s);
  EXPECT_EQ(counts().done, 1);
}

TEST_P(WorkerContract, CronEnqueuesOncePerDueMinuteAcrossReplicas) {
  auto first = make_worker();
  auto second = make_worker();
  for (auto* worker : {first.get(), second.get()}) {
    worker->cron("* * * * *", "work", {{"from", "cron"}});
    worker->handle("work", [&](const Job& job) -> Task<void> {
      tally_.add(std::string(job.payload.at("from").as_string()));
      co_return Result<void>{};
    });
    worker->start();
  }
  // Each is done before the clock moves on, or its lease would run out.
  for (int done = 1; done <= 3; ++done) {
    ASSERT_TRUE(counts_reach([&](const auto& counts) { return counts.done == done; }));
    if (done < 3) clock_.advance(60s);
  }
  first->stop(5s);
  second->stop(5s);
  EXPECT_THAT(tally_.all(), SizeIs(3));
  const auto left = counts();
  EXPECT_EQ(left.done, 3);
  EXPECT_EQ(left.queued + left.leased + left.dead, 0);
}

TEST_P(WorkerContract, CronMakesUpForTheNewestMissedMinute) {
  auto worker = make_worker();
  worker->cron("0 * * * *", "work", nullptr);
  worker->handle("work", [&](const Job&) -> Task<void> {
    tally_.add("x");
    co_return Result<void>{};
  });
  worker->start();
  clock_.advance(1h);
  ASSERT_TRUE(counts_reach([](const auto& counts) { return counts.done == 1; }));
  clock_.advance(5h);
  ASSERT_TRUE(counts_reach([](const auto& counts) { return counts.done == 2; }));
  worker->stop(5s);
  EXPECT_THAT(tally_.all(), SizeIs(2));
}

TEST_P(WorkerContract, CronMakesUpForAMinuteThatPassedWhileNoWorkerRan) {
  const auto run_until_done = [&](std::int64_t done) {
    auto worker = make_worker();
    worker->cron("0 * * * *", "work", nullptr);
    worker->handle("work", [](const Job&) -> Task<void> { co_return Result<void>{}; });
    worker->start();
    const bool reached = counts_reach([&](const auto& counts) { return counts.done == done; });
    worker->stop(5s);
    return reached;
  };
  get<bool>([&] { return queue_->enqueue_at_minute("work", nullptr, clock_.now()); });
  ASSERT_TRUE(run_until_done(1));
  clock_.advance(5h);
  EXPECT_TRUE(run_until_done(2));
  EXPECT_TRUE(run_until_done(2)) << "a restart makes up for nothing twice";
  EXPECT_EQ(counts().queued, 0);
}

TEST_P(WorkerContract, ANewCronEntryHasMissedNothing) {
  auto worker = make_worker();
  worker->cron("0 0 * * *", "daily", nullptr);  // the clock stands at 22:13
  worker->cron("* * * * *", "work", nullptr);
  worker->handle("work", [](const Job&) -> Task<void> { co_return Result<void>{}; });
  worker->start();
  ASSERT_TRUE(counts_reach([](const auto& counts) { return counts.done == 1; }));
  worker->stop(5s);
  EXPECT_EQ(counts().queued, 0);
}

TEST_P(WorkerContract, AKindWithoutAHandlerWaitsForAnotherWorker) {
  enqueue("play");
  enqueue("work");
  auto worker = make_worker();
  worker->handle("work", [](const Job&) -> Task<void> { co_return Result<void>{}; });
  worker->start();
  ASSERT_TRUE(counts_reach([](const auto& counts) { return counts.done == 1; }));
  worker->stop(5s);
  EXPECT_EQ(counts().queued, 1);
}

TEST_P(WorkerContract, AFailedJobIsTriedAgainAfterItsBackOff) {
  auto worker = make_worker();
  worker->handle("work", [&](const Job& job) -> Task<void> {
    tally_.add(std::to_string(job.attempt));
    if (job.attempt < 3) co_return fail(Errc::kUpstream, "not yet");
    co_return Result<void>{};
  });
  worker->start();
  enqueue("work");
  for (const auto pause : {2s, 4s}) {
    ASSERT_TRUE(counts_reach([](const auto& counts) { return counts.queued == 1; }));
    ASSERT_TRUE(tally_.reaches(pause == 2s ? 1 : 2));
    ASSERT_TRUE(counts_reach([](const auto& counts) { return counts.queued == 1; }));
    clock_.advance(pause);
  }
  ASSERT_TRUE(counts_reach([](const auto& counts) { return counts.done == 1; }));
  worker->stop(5s);
  EXPECT_THAT(tally_.all(), ::testing::ElementsAre("1", "2", "3"));
}

TEST_P(WorkerContract, TakesOverTheJobOfACrashedWorker) {
  enqueue("work");
  ASSERT_THAT(lease(), SizeIs(1));  // and is never heard of again
  auto worker = make_worker();
  worker->handle("work", [&](const Job& job) -> Task<void> {
    tally_.add(std::to_string(job.attempt));
    co_return Result<void>{};
  });
  worker->start();
  clock_.advance(30s);
  ASSERT_TRUE(counts_reach([](const auto& counts) { return counts.done == 1; }));
  worker->stop(5s);
  EXPECT_THAT(tally_.all(), ::testing::ElementsAre("2"));
}

TEST_P(WorkerContract, IgnoresTheResultOfAHandlerThatLostItsLease) {
  auto worker = make_worker({.concurrency = 1, .lease = 300ms});
  net::Event go(loops_.at(0));
  worker->handle("work", [&](const Job&) -> Task<void> {
    tally_.add("started");
    co_await go.wait();
    tally_.add("ended");
    co_return fail(Errc::kInternal, "too late to count");
  });
  worker->start();
  enqueue("work", {.max_attempts = 9});
  ASSERT_TRUE(tally_.reaches(1));
  std::vector<Job> stolen;
  // The renewal may come between the two calls.
  for (int tries = 0; stolen.empty() && tries < 100; ++tries) {
    clock_.advance(1h);
    stolen = lease(1, 24h * 30);
  }
  ASSERT_THAT(stolen, SizeIs(1));
  loops_.at(0).post([&] { go.set(); });
  ASSERT_TRUE(tally_.reaches(2));
  worker->stop(5s);
  EXPECT_EQ(counts().leased, 1);
  get<void>([&] { return queue_->complete(stolen[0]); });
  EXPECT_EQ(counts().done, 1);
}

TEST_P(WorkerContract, OneCronKindHasOnePayload) {
  auto worker = make_worker();
  worker->cron("0 3 * * *", "work", {{"days", 1}});
  worker->cron("0 5 * * sun", "work", {{"days", 1}});
  EXPECT_THROW(worker->cron("0 4 * * *", "work", {{"days", 2}}), std::invalid_argument);
}

TEST_P(WorkerContract, AWrongCronExpressionIsABug) {
  auto worker = make_worker();
  EXPECT_THROW(worker->cron("0 0 30 2 *", "work", nullptr), std::invalid_argument);
}

TEST_P(WorkerContract, StoppingTwiceOrUnstartedIsFine) {
  auto worker = make_worker();
  worker->stop(1s);
  worker->start();
  worker->stop(1s);
  worker->stop(1s);
}

INSTANTIATE_TEST_SUITE_P(Engines, WorkerContract, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::jobs
