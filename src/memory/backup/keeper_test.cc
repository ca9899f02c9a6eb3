#include "memory/backup/keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/ids.h"
#include "jobs/queue.h"
#include "memory/backup/upward_turn.h"
#include "memory/module.h"
#include "memory/testing/memory_store.h"
#include "net/blocking.h"
#include "storage/object/folder_store.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// A store in memory, a database and a folder for backups, shortly before midnight.
class KeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    loops_.start();
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteFile).value();
    db_ = sql::open_database(place_->options()).value();
    std::vector<sql::Migration> all = migrations();
    for (const sql::Migration& one : jobs::migrations()) all.push_back(one);
    ASSERT_TRUE(sql::Migrator(*db_, all).upgrade());
    root_ = (fs::temp_directory_path() / random_id("asahi-keeper-", 12)).string();
    using Outcomes = Result<std::vector<UpsertOutcome>>;
    Memory memory{.key = {"acme", "desk", "m1"}, .content = "The lamp is blue."};
    ASSERT_TRUE(net::run_sync<Outcomes>(
        loops_.at(0), [&]() -> Aw<Outcomes> { return store_.upsert_batch({memory}, {}); }));
  }
  void TearDown() override {
    loops_.stop();
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  /// What a process has. Whole backups each midnight, or incremental ones every few minutes.
  struct Process {
    std::unique_ptr<object::ObjectStore> target;
    telemetry::Registry metrics;
    std::unique_ptr<BackupKeeper> keeper;
  };
  std::unique_ptr<Process> process(std::size_t most = 30, int incremental_minutes = 0) {
    auto made = std::make_unique<Process>();
    made->target = object::FolderStore::open(root_ + "/backups").value();
    made->keeper = std::make_unique<BackupKeeper>(
        BackupKeeper::Parts{{&store_}, *db_, *made->target, loops_.at(0), made->metrics, clock_},
        BackupKeeper::Options{.most = most,
                              .schedule = incremental_minutes > 0 ? "" : "0 0 * * *",
                              .incremental_minutes = incremental_minutes,
                              .folder = root_ + "/tmp",
                              .version = "1.0",
                              .poll = 10ms});
    return made;
  }
  std::size_t backups() {
    return list_backups(*object::FolderStore::open(root_ + "/backups").value(), 100)->size();
  }
  bool idle(BackupKeeper& keeper) {
    using Status = Result<json::object>;
    const Status status =
        net::run_sync<Status>(loops_.at(0), [&]() -> Aw<Status> { return keeper.status(); });
    return status && status->at("running").is_null();
  }
  /// Its job is over: a jump of the clock would let its lease run out.
  bool no_job_runs() {
    return db_->query_blocking({"SELECT id FROM jobs_queue WHERE state = 'leased'", {}})->empty();
  }
  static bool comes(const std::function<bool()>& right) {
    for (int i = 0; i < 1'000 && !right(); ++i) std::this_thread::sleep_for(5ms);
    return right();
  }

  ManualClock clock_{parse_rfc3339("2026-11-22T23:59:50Z").value()};
  net::LoopPool loops_{1};
  testing::MemoryStore store_;
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  std::string root_;
};

TEST_F(KeeperTest, TheClockBeginsBackupsInOneOfSeveralProcesses) {
  const auto one = process(), other = process();
  one->keeper->follow_schedule();
  other->keeper->follow_schedule();
  clock_.advance(20s);
  ASSERT_TRUE(comes([&] { return backups() == 1 && no_job_runs(); }));
  clock_.advance(24h);
  ASSERT_TRUE(comes([&] { return backups() == 2 && no_job_runs(); }));
  one->keeper->stop();
  other->keeper->stop();
  EXPECT_EQ(backups(), 2U) << "one a night, not one a process";
}

TEST_F(KeeperTest, KeepsSoManyAsItMay) {
  const auto one = process(2);
  std::string last;
  for (int i = 0; i < 3; ++i) {
    last = one->keeper->start().value();
    ASSERT_TRUE(comes([&] { return idle(*one->keeper); })) << i;
    clock_.advance(1h);
  }
  EXPECT_EQ(backups(), 2U);
  EXPECT_EQ(find_backup(*one->target, "")->id, last);
  one->keeper->stop();
}

TEST_F(KeeperTest, KnowsAfterAStartHowOldTheNewestIs) {
  {
    const auto first = process();
    ASSERT_TRUE(first->keeper->start());
    ASSERT_TRUE(comes([&] { return backups() == 1; }));
    first->keeper->stop();
  }
  const auto second = process();
  EXPECT_TRUE(comes([&] {
    return second->metrics
               .gauge("akosha_backup_last_success_timestamp_seconds",
                      "End of the last good backup; 0: none is known.")
               .value() > 1e9;
  })) << "no alert because of a restart";
}

TEST_F(KeeperTest, EveryFewMinutesWritesOnlyWhatIsNew) {
  const auto one = process(30, 5);
  ASSERT_TRUE(one->keeper->start());
  ASSERT_TRUE(comes([&] { return idle(*one->keeper); }));
  one->keeper->follow_schedule();
  clock_.advance(5min);
  ASSERT_TRUE(comes([&] { return backups() == 2 && no_job_runs(); }));
  const BackupManifest newest = find_backup(*one->target, "").value();
  EXPECT_TRUE(newest.incremental);
  for (const BackupFile& file : newest.files)
    EXPECT_FALSE(file.at.empty()) << file.path << " has not changed";
  EXPECT_TRUE(verify_backup(*one->target, newest)->empty());
  one->keeper->stop();
  EXPECT_DOUBLE_EQ(one->metrics
                       .gauge("akosha_backup_interval_seconds",
                              "Between two incremental backups; 0: none are made by the clock.")
                       .value(),
                   300);
}

TEST_F(KeeperTest, TheFirstIncrementalOneIsAWholeOne) {
  const auto one = process();
  ASSERT_TRUE(one->keeper->start(BackupKind::kIncremental));
  ASSERT_TRUE(comes([&] { return backups() == 1 && idle(*one->keeper); }));
  EXPECT_FALSE(find_backup(*one->target, "")->incremental);
  one->keeper->stop();
}

TEST_F(KeeperTest, WaitsWhileMemoriesGoUp) {
  UpwardTurn ageing(*db_, clock_, "ageing");
  using Taken = Result<bool>;
  const auto take = [&] {
    return net::run_sync<Taken>(loops_.at(0), [&]() -> Aw<Taken> { return ageing.take(10min); });
  };
  ASSERT_TRUE(take().value());
  const auto one = process();
  ASSERT_TRUE(one->keeper->start());
  ASSERT_TRUE(comes([&] { return !take().value(); })) << "it asks for its turn";
  EXPECT_EQ(backups(), 0U);
  using Done = Result<void>;
  ASSERT_TRUE(net::run_sync<Done>(loops_.at(0), [&]() -> Aw<Done> { return ageing.give_back(); }));
  ASSERT_TRUE(comes([&] { return backups() == 1 && idle(*one->keeper); }));
  EXPECT_TRUE(take().value()) << "it gave the turn back";
  one->keeper->stop();
}

TEST_F(KeeperTest, OneAtATime) {
  const auto one = process();
  ASSERT_TRUE(one->keeper->start());
  const auto second = one->keeper->start();
  if (!second) EXPECT_EQ(second.error().code, Errc::kConflict);
  one->keeper->stop();
  EXPECT_EQ(one->keeper->start().error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace asahi::memory
