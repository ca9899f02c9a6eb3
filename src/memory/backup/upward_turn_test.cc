#include "memory/backup/upward_turn.h"

#include <gtest/gtest.h>

#include "memory/testing/on_loop.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

using namespace std::chrono_literals;

class UpwardTurnTest : public ::testing::TestWithParam<sql::testing::Engine> {
 protected:
  void SetUp() override {
    auto place = sql::testing::TestDatabase::make(GetParam());
    if (!place) GTEST_SKIP() << place.error().message;
    place_ = std::move(*place);
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, {upward_turn_migration()}).upgrade());
    backup_ = std::make_unique<UpwardTurn>(*db_, clock_, "backup");
    ageing_ = std::make_unique<UpwardTurn>(*db_, clock_, "ageing");
  }
  bool take(UpwardTurn& turn) {
    return on_.wait<bool>([&] { return turn.take(1min); }).value();
  }
  void give_back(UpwardTurn& turn) {
    ASSERT_TRUE(on_.wait<void>([&] { return turn.give_back(); }));
  }

  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  ManualClock clock_;
  testing::OnLoop on_;
  std::unique_ptr<UpwardTurn> backup_, ageing_;
};

TEST_P(UpwardTurnTest, IsOnesAtATime) {
  EXPECT_TRUE(take(*ageing_));
  EXPECT_FALSE(take(*backup_));
  give_back(*backup_);
  EXPECT_FALSE(take(*backup_)) << "nobody gives back what is another's";
  give_back(*ageing_);
  EXPECT_TRUE(take(*backup_));
}

TEST_P(UpwardTurnTest, IsHeldOnUntilSomebodyWaits) {
  EXPECT_TRUE(take(*ageing_));
  clock_.advance(50s);
  EXPECT_TRUE(take(*ageing_)) << "for a minute more";
  clock_.advance(50s);
  EXPECT_FALSE(take(*backup_));
  EXPECT_FALSE(take(*ageing_)) << "somebody waits";
  give_back(*ageing_);
  EXPECT_TRUE(take(*backup_));
  EXPECT_TRUE(take(*backup_)) << "who waited does not wait any more";
}

TEST_P(UpwardTurnTest, OfOneThatDiedItIsOverWithItsLease) {
  EXPECT_TRUE(take(*ageing_));
  clock_.advance(59s);
  EXPECT_FALSE(take(*backup_));
  clock_.advance(1s);
  EXPECT_TRUE(take(*backup_));
}

INSTANTIATE_TEST_SUITE_P(Engines, UpwardTurnTest,
                         ::testing::Values(sql::testing::Engine::kSqliteMemory,
                                           sql::testing::Engine::kPostgres));

}  // namespace
}  // namespace asahi::memory
