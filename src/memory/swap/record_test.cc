#include "memory/swap/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "memory/hot/testing/samples.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::swap {
namespace {

using ::testing::HasSubstr;

/// A database that does not tell is one that has not its tables yet.
class RecordsTest : public ::testing::Test {
 protected:
  void upgrade() { ASSERT_TRUE(sql::Migrator(*database_, migrations()).upgrade()); }
  static Move move() {
    return {.id = "hbm_1", .org_id = "acme", .from = {.path = "/old"}, .to = {.path = "/new"}};
  }

  const hot_testing::TemporaryFolder folder_;
  const std::string marker_ = marker_in(folder_.path() + "/memory");
  std::unique_ptr<sql::Database> database_ =
      sql::open_database({.url = "sqlite://:memory:"}).value();
  Records records_{*database_, marker_};
};

TEST_F(RecordsTest, WhereNothingEverMovedAStartNeedsNoDatabase) {
  const auto state = records_.load();
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_FALSE(state->last || state->settled);
}

TEST_F(RecordsTest, WhereSomethingMovedAStartDoesNotGuess) {
  upgrade();
  ASSERT_TRUE(records_.save(move()));
  ASSERT_TRUE(database_->query_blocking({"DROP TABLE memory_hot_moves", {}}));
  const auto state = records_.load();
  ASSERT_FALSE(state);
  EXPECT_THAT(state.error().message, HasSubstr("where the hot tier is stands in the database"));
}

TEST_F(RecordsTest, AMarkerThatIsLostComesBackWithTheNextStart) {
  upgrade();
  ASSERT_TRUE(records_.save(move()));
  std::filesystem::remove(marker_);
  EXPECT_EQ(records_.load()->last->id, "hbm_1");
  EXPECT_TRUE(std::filesystem::exists(marker_));
}

TEST_F(RecordsTest, WithoutAMarkerTheDatabaseMustTell) {
  EXPECT_FALSE(Records(*database_).load());
  EXPECT_EQ(marker_in(""), "");
}

}  // namespace
}  // namespace asahi::memory::swap
