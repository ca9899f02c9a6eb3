#include "memory/replicas/keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "memory/testing/on_loop.h"
#include "storage/object/folder_store.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Keeping : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / "asahi-keeping-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory).value();
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, jobs::migrations()).upgrade());
    begin();
  }
  void TearDown() override {
    keeper_.reset();
    store_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  void begin() {
    keeper_.reset();
    std::vector<std::unique_ptr<object::ObjectStore>> replicas;
    replicas.push_back(object::FolderStore::open(folder_ + "/replica").value());
    store_ = std::make_unique<object::ReplicatedStore>(
        object::FolderStore::open(folder_ + "/first").value(), std::move(replicas), clock_,
        object::ReplicatedStore::Options());
    keeper_ = std::make_unique<ReplicaKeeper>(
        ReplicaKeeper::Parts{*store_, *db_, loop_.loop(), metrics_, clock_},
        ReplicaKeeper::Options{.place = "cold",
                               .schedule = "",
                               .every = std::chrono::milliseconds(5),
                               .poll = std::chrono::milliseconds(5)});
  }
  bool there(const std::string& key) const { return fs::exists(folder_ + "/replica/" + key); }
  /// Until `what` holds; what the threads of the keeper do takes milliseconds.
  template <class Condition>
  static bool eventually(Condition what) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!what()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  std::string folder_;
  testing::OnLoop loop_;
  ManualClock clock_{system_clock().now()};
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  telemetry::Registry metrics_;
  std::unique_ptr<object::ReplicatedStore> store_;
  std::unique_ptr<ReplicaKeeper> keeper_;
};

TEST_F(Keeping, WhatIsPutReachesTheReplicaByItself) {
  keeper_->start();
  ASSERT_TRUE(store_->put("x", "one"));
  EXPECT_TRUE(eventually([&] { return there("x"); }));
  ASSERT_TRUE(store_->erase("x"));
  EXPECT_TRUE(eventually([&] { return !there("x"); }));
}

TEST_F(Keeping, AStartComparesWhatAnEarlierProcessLeft) {
  ASSERT_TRUE(store_->put("x", "one"));
  begin();
  keeper_->start();
  EXPECT_TRUE(eventually([&] { return there("x"); }));
  EXPECT_TRUE(eventually([&] { return keeper_->status().at("last").is_object(); }));
  EXPECT_TRUE(keeper_->status().at("last").at("ok").as_bool());
}

TEST_F(Keeping, AnEndStillBringsWhatWaits) {
  keeper_->start();
  ASSERT_TRUE(store_->put("x", "one"));
  keeper_->stop(std::chrono::seconds(10));
  EXPECT_TRUE(there("x"));
}

TEST_F(Keeping, GaugesTellTheLag) {
  ASSERT_TRUE(store_->put("y", "two"));
  clock_.advance(std::chrono::seconds(400));
  EXPECT_EQ(keeper_->status().at("replicas").at(0).at("lag_seconds").as_double(), 400);
  ASSERT_TRUE(keeper_->follow());
  EXPECT_EQ(keeper_->status().at("replicas").at(0).at("lag_seconds").as_double(), 0);
  EXPECT_EQ(keeper_->status().at("replicas").at(0).at("copied").to_number<int>(), 1);
}

TEST_F(Keeping, OneComparisonAtATime) {
  ASSERT_TRUE(keeper_->begin_comparison(false));
  EXPECT_TRUE(eventually([&] { return keeper_->status().at("last").is_object(); }));
  EXPECT_TRUE(eventually([&] { return !keeper_->status().at("running").as_bool(); }));
  keeper_->stop(std::chrono::milliseconds(0));
  EXPECT_EQ(keeper_->begin_comparison(false).error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace asahi::memory
