#include "memory/cold/sql_catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/cold/tier.h"
#include "storage/columnar/private_folder.h"
#include "storage/object/folder_store.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory::cold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SqlCatalogueTest : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(catalogue_migrations())) return;
  }

  static ColdFile file(const std::string& key, FileState state = FileState::kLive) {
    ColdFile out;
    out.key = key;
    out.tenant = "org";
    out.system_id = "agent";
    out.rows = 7;
    out.bytes = 512;
    out.oldest = Clock::Time(std::chrono::nanoseconds{1'700'000'000'123'456'789});
    out.newest = out.oldest + std::chrono::hours(1);
    out.sha256 = sha256(key);
    out.generation = 3;
    out.filter = std::string("\0\1\xff", 3);
    out.tombstones = {"a", "b'c"};
    out.state = state;
    out.changed = out.newest;
    return out;
  }
  static Memory memory(const std::string& id, const std::string& text) {
    Memory out;
    out.key = {.tenant = "org", .system_id = "agent", .conversation_id = id};
    out.content = text;
    out.content_hash = sha256(text);
    out.timestamp = parse_rfc3339("2026-03-01T12:00:00Z").value();
    return out;
  }
};

TEST_P(SqlCatalogueTest, GivesBackWhatItTook) {
  SqlCatalogue catalogue(*db_);
  EXPECT_THAT(catalogue.load().value(), IsEmpty());
  ASSERT_TRUE(
      catalogue.commit({.removed = {}, .put = {file("x"), file("y", FileState::kWriting)}}));
  ASSERT_TRUE(catalogue.commit({.removed = {"x"}, .put = {file("y")}}));
  EXPECT_THAT(SqlCatalogue(*db_).load().value(), ElementsAre(file("y")));
}

TEST_P(SqlCatalogueTest, OfTwoProcessesOneLoadsAgain) {
  SqlCatalogue first(*db_), second(*db_);
  ASSERT_TRUE(first.load());
  ASSERT_TRUE(second.load());
  EXPECT_FALSE(second.changed().value());
  ASSERT_TRUE(first.commit({.removed = {}, .put = {file("x")}}));
  EXPECT_FALSE(first.changed().value()) << "its own commit is no news";
  EXPECT_TRUE(second.changed().value());
  const auto refused = second.commit({.removed = {}, .put = {file("y")}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_THAT(second.load().value(), ElementsAre(file("x"))) << "nothing of the refused is there";
  EXPECT_TRUE(second.commit({.removed = {}, .put = {file("y")}}));
}

TEST_P(SqlCatalogueTest, TwoTiersOverOneCatalogueSeeEachOthersMemories) {
  const auto folder = columnar::PrivateFolder::make("").value();
  const auto objects = object::FolderStore::open(folder.path() + "/objects").value();
  ManualClock clock{parse_rfc3339("2026-11-22T10:00:00Z").value()};
  SqlCatalogue first_catalogue(*db_), second_catalogue(*db_);
  const ColdOptions shared{.abandoned_after = std::chrono::hours(1)};
  auto first = ColdTier::open(*objects, first_catalogue, clock, shared).value();
  auto second = ColdTier::open(*objects, second_catalogue, clock, shared).value();
  ASSERT_TRUE(first->upsert({memory("1", "one")}));
  ASSERT_TRUE(second->upsert({memory("2", "two")}));
  ASSERT_TRUE(second->erase({memory("1", "").key}));
  ASSERT_TRUE(first->refresh());
  EXPECT_EQ(first->get({memory("1", "").key}).front().value(), std::nullopt);
  EXPECT_EQ(first->get({memory("2", "").key}).front().value()->content, "two");
  EXPECT_EQ(first->stats("").records, 1U);
}

INSTANTIATE_TEST_SUITE_P(Engines, SqlCatalogueTest,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::cold
