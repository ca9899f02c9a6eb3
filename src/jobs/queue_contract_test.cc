// What the queue promises, on every engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "jobs/queue.h"
#include "jobs/testing/queue_fixture.h"

namespace asahi::jobs {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class QueueContract : public testing::QueueFixture {
 protected:
  static std::vector<std::string> ids(const std::vector<Job>& jobs) {
    std::vector<std::string> all;
    for (const auto& job : jobs) all.push_back(job.id);
    return all;
  }
  void fail_job(const Job& job) {
    get<void>([&] { return queue_->fail(job, "broken"); });
  }
  std::string column(const std::string& name, const std::string& id) {
    auto rows =
        db_->query_blocking({"SELECT " + name + " AS x FROM jobs_queue WHERE id = ?", {id}});
    return rows && !rows->empty() ? rows->text(0, "x") : "none";
  }
};

TEST_P(QueueContract, AJobComesBackAsItWasGiven) {
  const json::value payload = {
      {"text", "null \0 quote ' and 朝"}, {"n", 1.5}, {"list", {1, nullptr, true}}};
  const std::string id =
      enqueue("work", {.org_id = "org_a", .priority = 3, .max_attempts = 7}, payload);
  const auto jobs = lease();
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_EQ(jobs[0].id, id);
  EXPECT_THAT(id, ::testing::StartsWith("job_"));
  EXPECT_EQ(jobs[0].org_id, "org_a");
  EXPECT_EQ(jobs[0].kind, "work");
  EXPECT_EQ(jobs[0].payload, payload);
  EXPECT_EQ(jobs[0].priority, 3);
  EXPECT_EQ(jobs[0].attempt, 1);
  EXPECT_EQ(jobs[0].max_attempts, 7);
  EXPECT_EQ(jobs[0].fence, 1);
}

TEST_P(QueueContract, ALeasedJobIsNotLeasedAgainUntilItsLeaseRunsOut) {
  const std::string id = enqueue("work");
  ASSERT_THAT(lease(), SizeIs(1));
  EXPECT_THAT(lease(), IsEmpty());
  clock_.advance(29'999ms);
  EXPECT_THAT(lease(), IsEmpty());
  clock_.advance(1ms);
  const auto again = lease();  // the first worker crashed
  ASSERT_THAT(ids(again), ElementsAre(id));
  EXPECT_EQ(again[0].fence, 2);
  EXPECT_EQ(again[0].attempt, 2);
}

TEST_P(QueueContract, WhoLostTheLeaseCanDoNothingAnyMore) {
  enqueue("work");
  const Job lost = lease().at(0);
  clock_.advance(30s);
  const Job held = lease().at(0);
  const std::function<Task<void>()> calls[] = {
      [&] { return queue_->complete(lost); },   [&] { return queue_->fail(lost, "late"); },
      [&] { return queue_->extend(lost, 1h); }, [&] { return queue_->progress(lost, 0.5, "late"); },
      [&] { return queue_->release(lost); },
  };
  for (const auto& call : calls) {
    auto refused = attempt<void>(call);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kConflict);
  }
  get<void>([&] { return queue_->complete(held); });
  auto twice = attempt<void>([&] { return queue_->complete(held); });
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::kConflict);
  EXPECT_EQ(counts().done, 1);
}

TEST_P(QueueContract, ExtendingKeepsTheLease) {
  enqueue("work");
  const Job job = lease().at(0);
  clock_.advance(20s);
  get<void>([&] { return queue_->extend(job, 30s); });
  clock_.advance(20s);
  EXPECT_THAT(lease(), IsEmpty());
  get<void>([&] { return queue_->complete(job); });
}

TEST_P(QueueContract, HigherPriorityComesFirstAndThenTheOlder) {
  const auto low = enqueue("work", {.priority = -1});
  clock_.advance(1ms);
  const auto first = enqueue("work");
  clock_.advance(1ms);
  const auto second = enqueue("work");
  clock_.advance(1ms);
  const auto high = enqueue("work", {.priority = 9});
  EXPECT_THAT(ids(lease(3)), ElementsAre(high, first, second));
  EXPECT_THAT(ids(lease(3)), ElementsAre(low));
}

TEST_P(QueueContract, OnlyTheAskedKindsAreLeasedUpToTheLimit) {
  enqueue("work");
  enqueue("play");
  enqueue("rest");
  EXPECT_THAT(lease(10, 30s, {}), IsEmpty());
  EXPECT_THAT(lease(0, 30s, {"work"}), IsEmpty());
  EXPECT_THAT(lease(1, 30s, {"work", "play"}), SizeIs(1));
  EXPECT_THAT(lease(10, 30s, {"work", "play"}), SizeIs(1));
  EXPECT_THAT(lease(10, 30s, {"rest"}), SizeIs(1));
}

TEST_P(QueueContract, ADelayedJobWaitsForItsTime) {
  enqueue("work", {.delay = 10s});
  clock_.advance(9'999ms);
  EXPECT_THAT(lease(), IsEmpty());
  clock_.advance(1ms);
  EXPECT_THAT(lease(), SizeIs(1));
}

TEST_P(QueueContract, AFailedJobBacksOffTwiceAsLongEachTimeAndDiesAtLast) {
  const auto id = enqueue("work", {.max_attempts = 3});
  for (const auto pause : {2s, 4s}) {
    fail_job(lease().at(0));
    clock_.advance(pause - 1ms);
    EXPECT_THAT(lease(), IsEmpty());
    clock_.advance(1ms);
  }
  const Job last = lease().at(0);
  EXPECT_EQ(last.attempt, 3);
  fail_job(last);
  clock_.advance(24h);
  EXPECT_THAT(lease(), IsEmpty());
  EXPECT_EQ(counts().dead, 1);
  EXPECT_EQ(column("last_error", id), "broken");
}

TEST_P(QueueContract, TheBackOffIsAtMostAnHour) {
  enqueue("work", {.max_attempts = 40});
  for (int attempt = 1; attempt <= 30; ++attempt) {
    const auto jobs = lease();
    ASSERT_THAT(jobs, SizeIs(1)) << attempt;
    fail_job(jobs[0]);
    clock_.advance(1h);
  }
}

TEST_P(QueueContract, AJobThatTakesItsProcessDownEachTimeDies) {
  const auto id = enqueue("work", {.max_attempts = 2});
  const auto healthy = [&] {
    clock_.advance(1ms);
    return enqueue("work");
  }();
  EXPECT_THAT(ids(lease(1)), ElementsAre(id));
  clock_.advance(30s);
  EXPECT_THAT(ids(lease(1)), ElementsAre(id));
  clock_.advance(30s);
  EXPECT_THAT(ids(lease(1)), ElementsAre(healthy)) << "the dead take nobody's place";
  EXPECT_EQ(counts().dead, 1);
  EXPECT_THAT(column("last_error", id), HasSubstr("ran out"));
}

TEST_P(QueueContract, AReleasedJobIsDueAtOnceAndKeepsItsAttempts) {
  enqueue("work");
  const Job job = lease().at(0);
  get<void>([&] { return queue_->release(job); });
  const Job again = lease().at(0);
  EXPECT_EQ(again.attempt, 1);
  EXPECT_EQ(again.fence, 2);
}

TEST_P(QueueContract, AUniqueKeyAdmitsOneUnfinishedJob) {
  const EnqueueOptions unique{.unique_key = "daily"};
  const auto id = enqueue("work", unique);
  EXPECT_EQ(enqueue("work", unique), id);
  EXPECT_NE(enqueue("play", unique), id);
  EXPECT_NE(enqueue("work", {.org_id = "org_b", .unique_key = "daily"}), id)
      << "tenants do not meet";
  EXPECT_NE(enqueue("work", {}), enqueue("work", {}));

  const auto jobs = lease();
  const auto job = std::ranges::find(jobs, id, &Job::id);
  ASSERT_NE(job, jobs.end());
  EXPECT_EQ(enqueue("work", unique), id) << "leased is not finished";
  get<void>([&] { return queue_->complete(*job); });
  EXPECT_NE(enqueue("work", unique), id);
}

TEST_P(QueueContract, TheDeadReturnWhenRevived) {
  const auto id = enqueue("work", {.max_attempts = 1});
  enqueue("play", {.max_attempts = 1});
  fail_job(lease().at(0));
  fail_job(lease(1, 30s, {"play"}).at(0));
  EXPECT_EQ(counts().dead, 2);
  EXPECT_EQ(get<std::int64_t>([&] { return queue_->revive("work"); }), 1);
  const auto jobs = lease();
  ASSERT_THAT(ids(jobs), ElementsAre(id));
  EXPECT_EQ(jobs[0].attempt, 1);
  EXPECT_EQ(jobs[0].fence, 2);
  EXPECT_EQ(counts().dead, 1);
}

TEST_P(QueueContract, RevivingMakesNoTwins) {
  const EnqueueOptions unique{.max_attempts = 1, .unique_key = "k"};
  enqueue("work", unique);
  fail_job(lease().at(0));
  clock_.advance(1ms);
  const auto newer = enqueue("work", unique);
  fail_job(lease().at(0));
  EXPECT_EQ(get<std::int64_t>([&] { return queue_->revive("work"); }), 1);
  EXPECT_THAT(ids(lease()), ElementsAre(newer));
  EXPECT_EQ(get<std::int64_t>([&] { return queue_->revive("work"); }), 0) << "one is under way";
}

TEST_P(QueueContract, ProgressAndErrorsAreStoredWhateverTheyHold) {
  const auto id = enqueue("work");
  const Job job = lease().at(0);
  get<void>([&] { return queue_->progress(job, 7.5, std::string("half\0 way \xff", 11)); });
  EXPECT_EQ(column("progress", id), "1");
  EXPECT_THAT(column("note", id), HasSubstr("half"));
  get<void>([&] { return queue_->fail(job, std::string(100'000, 'x') + '\0'); });
  EXPECT_LT(column("last_error", id).size(), 3'000u);
}

TEST_P(QueueContract, RefusesJobsThatCouldNeverRun) {
  for (const auto& options : {EnqueueOptions{.max_attempts = 0}, EnqueueOptions{.delay = -1ms}}) {
    auto refused = attempt<std::string>([&] { return queue_->enqueue("work", nullptr, options); });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  }
  json::value deep = 1;
  for (int i = 0; i < 100; ++i) deep = json::array{deep};
  EXPECT_FALSE(attempt<std::string>([&] { return queue_->enqueue("work", deep, {}); }));
}

TEST_P(QueueContract, RefusesNamesAndPayloadsThatCannotBeStored) {
  const std::string too_long(513, 'k');
  const std::string nul("a\0b", 3);
  for (const std::string& name : {too_long, nul, std::string("\xff")}) {
    EXPECT_FALSE(attempt<std::string>([&] { return queue_->enqueue(name, nullptr, {}); }));
    EXPECT_FALSE(attempt<std::string>(
        [&] { return queue_->enqueue("work", nullptr, {.unique_key = name}); }));
  }
  EXPECT_FALSE(attempt<std::string>([&] { return queue_->enqueue("", nullptr, {}); }));
  auto refused = attempt<std::string>(
      [&] { return queue_->enqueue("work", std::string(1 << 20, 'x').c_str(), {}); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kTooLarge);
  EXPECT_EQ(counts().queued, 0);
  const std::string longest(512, 'k');
  EXPECT_NE(enqueue(longest, {.org_id = longest, .unique_key = longest}), "");
}

TEST_P(QueueContract, APayloadThatCannotBeReadKeepsNobodyElseWaiting) {
  const auto bad = enqueue("work");
  const auto good = enqueue("work");
  ASSERT_TRUE(db_->query_blocking({"UPDATE jobs_queue SET payload = '{' WHERE id = ?", {bad}}));
  EXPECT_THAT(ids(lease()), ElementsAre(good));
  EXPECT_EQ(column("state", bad), "dead");
}

TEST_P(QueueContract, AMinuteOfACronEntryIsEnqueuedOnce) {
  const auto minute = clock_.now();
  const auto enqueue_cron = [&](Clock::Time at) {
    return get<bool>([&, at] { return queue_->enqueue_at_minute("work", {{"a", 1}}, at); });
  };
  EXPECT_TRUE(enqueue_cron(minute));
  EXPECT_FALSE(enqueue_cron(minute));
  EXPECT_FALSE(enqueue_cron(minute + 1s));
  EXPECT_TRUE(enqueue_cron(minute + 60s));
  const auto jobs = lease();
  ASSERT_THAT(jobs, SizeIs(2));
  EXPECT_EQ(jobs[0].payload.at("a"), 1);
  EXPECT_EQ(jobs[0].max_attempts, 5);
}

TEST_P(QueueContract, RemembersTheNewestMinuteOfEachKind) {
  const auto newest = [&](const std::string& kind) {
    return get<std::optional<Clock::Time>>([&, kind] { return queue_->newest_minute(kind); });
  };
  const auto minute = std::chrono::floor<std::chrono::minutes>(clock_.now());
  EXPECT_FALSE(newest("work"));
  for (const auto at : {1min, 3min, 2min}) {
    get<bool>([&, at] { return queue_->enqueue_at_minute("work", nullptr, minute + at); });
  }
  EXPECT_EQ(newest("work"), Clock::Time(minute + 3min));
  EXPECT_FALSE(newest("play"));
  clock_.advance(24h * 365);
  get<std::int64_t>([&] { return queue_->prune(clock_.now(), clock_.now()); });
  EXPECT_EQ(newest("work"), Clock::Time(minute + 3min)) << "the newest outlives pruning";
  const auto rows = db_->query_blocking({"SELECT count(*) AS n FROM jobs_cron", {}});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->integer(0, "n"), 1);
}

TEST_P(QueueContract, ReplicasThatRaceForAMinuteEnqueueItOnce) {
  const auto other_db = GetParam() == sql::testing::Engine::kSqliteMemory ? nullptr : open();
  Queue other(other_db ? *other_db : *db_, clock_);
  constexpr int kMinutes = 30;
  std::atomic<int> won = 0;
  const auto race = [&](Queue& queue) {
    for (int i = 0; i < kMinutes; ++i) {
      auto first = net::run_sync<Result<bool>>(loops_.at(0), [&] {
        return queue.enqueue_at_minute("work", nullptr, clock_.now() + i * 1min);
      });
      ASSERT_TRUE(first) << first.error().message;
      won += *first ? 1 : 0;
    }
  };
  {
    std::jthread first([&] { race(*queue_); });
    std::jthread second([&] { race(other); });
  }
  EXPECT_EQ(won, kMinutes);
  EXPECT_EQ(counts().queued, kMinutes);
}

TEST_P(QueueContract, ReplicasThatRaceForAUniqueKeyMakeOneJob) {
  const auto other_db = GetParam() == sql::testing::Engine::kSqliteMemory ? nullptr : open();
  Queue other(other_db ? *other_db : *db_, clock_);
  std::vector<std::string> seen[2];
  const auto race = [&](Queue& queue, std::vector<std::string>& all) {
    for (int i = 0; i < 30; ++i) {
      auto id = net::run_sync<Result<std::string>>(loops_.at(0), [&] {
        return queue.enqueue("work", nullptr, {.unique_key = "k" + std::to_string(i)});
      });
      ASSERT_TRUE(id) << id.error().message;
      all.push_back(*id);
    }
  };
  {
    std::jthread first([&] { race(*queue_, seen[0]); });
    std::jthread second([&] { race(other, seen[1]); });
  }
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_EQ(counts().queued, 30);
}

TEST_P(QueueContract, JobsAndLeasesOutliveTheProcess) {
  if (GetParam() == sql::testing::Engine::kSqliteMemory) GTEST_SKIP() << "memory keeps nothing";
  enqueue("work", {}, {{"n", 1}});
  const Job held = lease().at(0);
  queue_.reset();
  db_ = open();
  queue_ = std::make_unique<Queue>(*db_, clock_);
  EXPECT_THAT(lease(), IsEmpty()) << "the lease holds";
  clock_.advance(30s);
  const auto again = lease();
  ASSERT_THAT(ids(again), ElementsAre(held.id));
  EXPECT_EQ(again[0].payload, held.payload);
  EXPECT_FALSE(attempt<void>([&] { return queue_->complete(held); }));
}

TEST_P(QueueContract, RevivingAndPruningWorkInBatches) {
  constexpr std::int64_t kRows = Queue::kBatch + 1;
  ASSERT_TRUE(db_->query_blocking(
      {"INSERT INTO jobs_queue (id, org_id, kind, payload, state, priority, attempt, max_attempts,"
       " fence, unique_key, run_at_ms, due_at_ms, created_at_ms, finished_at_ms)"
       " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
       " SELECT 'job_' || i, '-', 'work', 'null', 'dead', 0, 5, 5, 5, 'key' || i, 0, 0, 0, i FROM "
       "n",
       {kRows}}));
  const auto revive = [&] { return get<std::int64_t>([&] { return queue_->revive("work"); }); };
  EXPECT_EQ(revive(), Queue::kBatch);
  EXPECT_EQ(column("state", "job_" + std::to_string(kRows)), "dead") << "the oldest go first";
  EXPECT_EQ(revive(), 1);
  EXPECT_EQ(revive(), 0);
  ASSERT_TRUE(
      db_->query_blocking({"UPDATE jobs_queue SET state = 'done', finished_at_ms = 1", {}}));
  const auto prune = [&] {
    return get<std::int64_t>([&] { return queue_->prune(clock_.now(), clock_.now()); });
  };
  EXPECT_EQ(prune(), Queue::kBatch);
  EXPECT_EQ(prune(), 1);
  EXPECT_EQ(prune(), 0);
}

TEST_P(QueueContract, PruningDeletesOnlyWhatEndedLongAgo) {
  enqueue("work");
  get<void>([&, job = lease().at(0)] { return queue_->complete(job); });
  enqueue("work", {.max_attempts = 1});
  fail_job(lease().at(0));
  clock_.advance(2h);
  enqueue("work");
  get<void>([&, job = lease().at(0)] { return queue_->complete(job); });
  enqueue("work");
  EXPECT_EQ(get<std::int64_t>([&] { return queue_->prune(clock_.now() - 1h, clock_.now() - 3h); }),
            1);
  const auto left = counts();
  EXPECT_EQ(left.done, 1);
  EXPECT_EQ(left.dead, 1);
  EXPECT_EQ(left.queued, 1);
  EXPECT_EQ(get<std::int64_t>([&] { return queue_->prune(clock_.now() - 1h, clock_.now()); }), 1);
  EXPECT_EQ(counts().dead, 0);
}

TEST_P(QueueContract, CompetingWorkersLeaseEachJobOnce) {
  constexpr int kJobs = 120;
  for (int i = 0; i < kJobs; ++i) enqueue("work");
  // Two replicas; a database in memory has only one.
  const auto other_db = GetParam() == sql::testing::Engine::kSqliteMemory ? nullptr : open();
  Queue other(other_db ? *other_db : *db_, clock_);
  std::mutex mutex;
  std::multiset<std::string> seen;
  const auto drain = [&](Queue& queue) {
    for (int empty = 0; empty < 3;) {
      auto jobs = net::run_sync<Result<std::vector<Job>>>(
          loops_.at(0), [&] { return queue.lease({"work"}, 7, 30s, "w"); });
      ASSERT_TRUE(jobs) << jobs.error().message;
      empty = jobs->empty() ? empty + 1 : 0;
      const std::lock_guard lock(mutex);
      for (const auto& job : *jobs) seen.insert(job.id);
    }
  };
  {
    std::jthread first([&] { drain(*queue_); });
    std::jthread second([&] { drain(other); });
    std::jthread third([&] { drain(other); });
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kJobs));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(),
            static_cast<std::size_t>(kJobs));
}

TEST_P(QueueContract, ItsSchemaGoesDownAndUpAgain) {
  sql::Migrator migrator(*db_, migrations());
  auto down = migrator.downgrade(10);
  ASSERT_TRUE(down) << down.error().message;
  EXPECT_THAT(*down, ElementsAre(51, 50));
  ASSERT_TRUE(migrator.upgrade());
  enqueue("work");
  EXPECT_THAT(lease(), SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(Engines, QueueContract, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::jobs
