#include "memory/access/hit_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/on_loop.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class HitKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory).value();
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, hit_migrations()).upgrade());
    keeper_ = std::make_unique<HitKeeper>(HitKeeper::Parts{
        .database = *db_, .loop = on_.loop(), .clock = clock_, .metrics = registry_});
  }
  std::map<Key, std::uint64_t> written() {
    Hits hits(*db_);
    return on_.wait<std::map<Key, std::uint64_t>>([&] { return hits.of({a_}, 0); }).value();
  }
  /// It has begun, and sleeps.
  bool counts() {
    Hits hits(*db_);
    const std::int64_t today = day_of(clock_.now());
    for (int tries = 0; tries < 10'000; ++tries) {
      const auto since =
          on_.wait<std::optional<std::int64_t>>([&] { return hits.counted_since(today); });
      if (since.value()) return true;
    }
    return false;
  }

  ManualClock clock_;
  telemetry::Registry registry_;
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  testing::OnLoop on_;
  std::unique_ptr<HitKeeper> keeper_;
  const Key a_{"org", "agent", "a"};
};

TEST_F(HitKeeperTest, WritesWhatIsLeftWhenItStops) {
  keeper_->start();
  ASSERT_TRUE(counts());
  keeper_->counter().returned("an answer", {a_});
  keeper_->stop();
  EXPECT_THAT(written(), ElementsAre(Pair(a_, 1U)));
}

TEST_F(HitKeeperTest, WritesWhatIsLeftWhenItGoes) {
  keeper_->start();
  keeper_->counter().returned("an answer", {a_});
  keeper_.reset();
  EXPECT_THAT(written(), ElementsAre(Pair(a_, 1U)));
}

TEST_F(HitKeeperTest, WritesNothingByItself) {
  keeper_->counter().returned("an answer", {a_});
  keeper_->stop();
  EXPECT_THAT(written(), ElementsAre());
  ASSERT_TRUE(on_.wait<void>([&] { return keeper_->write(); }));
  EXPECT_THAT(written(), ElementsAre(Pair(a_, 1U)));
}

}  // namespace
}  // namespace asahi::memory
