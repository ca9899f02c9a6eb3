// The migrator's promises, on real engines.
#include "storage/sql/migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::sql {
namespace {

using ::testing::ElementsAre;
using testing::Engine;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<Migration> library() {
  return {
      {.version = 2,
       .name = "loans",
       .up = {.sqlite =
                  "CREATE TABLE loans (id INTEGER PRIMARY KEY, book INTEGER REFERENCES books (id));"
                  "CREATE INDEX loans_by_book ON loans (book);",
              .postgres =
                  "CREATE TABLE loans (id BIGSERIAL PRIMARY KEY, book BIGINT REFERENCES books "
                  "(id));"
                  "CREATE INDEX loans_by_book ON loans (book);"},
       .down = {.sqlite = "DROP TABLE loans;", .postgres = "DROP TABLE loans;"}},
      {.version = 1,
       .name = "books",
       .up = {.sqlite =
                  "CREATE TABLE books (id INTEGER PRIMARY KEY, price NUMERIC(18,9), added TEXT);"
                  "INSERT INTO books (id) VALUES (1);",
              .postgres =
                  "CREATE TABLE books (id BIGSERIAL PRIMARY KEY, price NUMERIC(18,9), added "
                  "TIMESTAMPTZ);"
                  "INSERT INTO books (id) VALUES (1);"},
       .down = {.sqlite = "DROP TABLE books;", .postgres = "DROP TABLE books;"}},
  };
}

class MigratorContract : public ::testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    auto made = testing::TestDatabase::make(GetParam());
    if (!made && made.error().code == Errc::kNotFound) GTEST_SKIP() << made.error().message;
    ASSERT_TRUE(made) << made.error().message;
    place_ = std::move(*made);
    auto opened = open_database(place_->options());
    ASSERT_TRUE(opened) << opened.error().message;
    db_ = std::move(*opened);
  }

  /// Every table, column, index and constraint as text.
  std::string schema() {
    const bool sqlite = db_->dialect() == Dialect::kSqlite;
    auto rows = db_->query_blocking(
        {sqlite ? "SELECT sql AS line FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
                : "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || "
                  "is_nullable || ' ' ||"
                  " COALESCE(column_default, '') || ' ' || ordinal_position AS line"
                  " FROM information_schema.columns WHERE table_schema = 'public'"
                  " UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
                  " UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid)"
                  " FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY line",
         {}});
    EXPECT_TRUE(rows) << rows.error().message;
    std::string all;
    for (std::size_t i = 0; rows && i < rows->size(); ++i) all += rows->text(i, "line") + "\n";
    return all;
  }

  bool has_table(const std::string& name) {
    return db_->query_blocking({"SELECT * FROM " + name, {}}).has_value();
  }

  std::unique_ptr<testing::TestDatabase> place_;
  std::unique_ptr<Database> db_;
};

TEST_P(MigratorContract, UpDownUpLeavesTheSameSchema) {
  Migrator migrator(*db_, library());
  auto up = migrator.upgrade();
  ASSERT_TRUE(up) << up.error().message;
  EXPECT_THAT(*up, ElementsAre(1, 2));
  const std::string first = schema();
  EXPECT_THAT(first, HasSubstr("loans_by_book"));

  auto again = migrator.upgrade();
  ASSERT_TRUE(again);
  EXPECT_THAT(*again, IsEmpty());

  auto down = migrator.downgrade(1);
  ASSERT_TRUE(down) << down.error().message;
  EXPECT_THAT(*down, ElementsAre(2));
  EXPECT_FALSE(has_table("loans"));
  ASSERT_TRUE(migrator.upgrade());
  EXPECT_EQ(schema(), first);

  auto all = migrator.downgrade(100);
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_THAT(*all, ElementsAre(2, 1));
  ASSERT_TRUE(migrator.upgrade());
  EXPECT_EQ(schema(), first);
}

TEST_P(MigratorContract, ReportsWhatIsAppliedAndWhen) {
  Migrator migrator(*db_, library());
  auto before = migrator.status();
  ASSERT_TRUE(before) << before.error().message;
  ASSERT_EQ(before->size(), 2u);
  EXPECT_EQ((*before)[0].name, "books");
  EXPECT_FALSE((*before)[0].applied);
  EXPECT_FALSE(has_table("schema_migrations"));  // looking changes nothing

  ASSERT_TRUE(migrator.upgrade());
  ASSERT_TRUE(migrator.downgrade(1));
  auto after = migrator.status();
  ASSERT_TRUE(after);
  EXPECT_TRUE((*after)[0].applied);
  EXPECT_FALSE((*after)[0].changed);
  EXPECT_TRUE(parse_rfc3339((*after)[0].applied_at)) << (*after)[0].applied_at;
  EXPECT_FALSE((*after)[1].applied);
}

TEST_P(MigratorContract, RefusesAScriptThatWasEditedAfterItRan) {
  ASSERT_TRUE(Migrator(*db_, library()).upgrade());
  auto edited = library();
  edited[0].up.sqlite = edited[0].up.postgres = "CREATE TABLE loans (id INTEGER)";
  Migrator migrator(*db_, edited);
  for (const auto& refused : {migrator.upgrade(), migrator.downgrade(1)}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kCorrupt);
    EXPECT_THAT(refused.error().message, HasSubstr("migration 2 'loans' was edited"));
  }
  auto status = migrator.status();
  ASSERT_TRUE(status);
  EXPECT_FALSE((*status)[0].changed);
  EXPECT_TRUE((*status)[1].changed);
  EXPECT_TRUE(has_table("loans"));
}

TEST_P(MigratorContract, RefusesADatabaseOfANewerProgram) {
  ASSERT_TRUE(Migrator(*db_, library()).upgrade());
  Migrator older(*db_, {library()[1]});
  auto refused = older.upgrade();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
  EXPECT_THAT(refused.error().message, HasSubstr("migration 2 'loans'"));
  auto status = older.status();
  ASSERT_TRUE(status);
  ASSERT_EQ(status->size(), 2u);
  EXPECT_TRUE((*status)[1].changed);
}

TEST_P(MigratorContract, AFailingScriptLeavesNothingBehind) {
  auto broken = library();
  broken[0].up.sqlite = broken[0].up.postgres =
      "CREATE TABLE half (id INTEGER); CREATE TABLE half (id INTEGER)";
  auto failed = Migrator(*db_, broken).upgrade();
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("migration 2 'loans' up"));
  EXPECT_TRUE(has_table("books"));
  EXPECT_FALSE(has_table("half"));
  auto mended = Migrator(*db_, library()).upgrade();
  ASSERT_TRUE(mended) << mended.error().message;
  EXPECT_THAT(*mended, ElementsAre(2));
}

TEST_P(MigratorContract, TwoAtOnceApplyEachScriptOnce) {
  // Separate handles stand for separate replicas; a database in memory cannot be shared between
  // them.
  std::unique_ptr<Database> other;
  if (GetParam() != Engine::kSqliteMemory) {
    auto opened = open_database(place_->options());
    ASSERT_TRUE(opened) << opened.error().message;
    other = std::move(*opened);
  }
  std::array<Result<std::vector<int>>, 2> applied;
  {
    std::jthread first([&] { applied[0] = Migrator(*db_, library()).upgrade(); });
    std::jthread second([&] { applied[1] = Migrator(other ? *other : *db_, library()).upgrade(); });
  }
  std::vector<int> all;
  for (const auto& part : applied) {
    ASSERT_TRUE(part) << part.error().message;
    all.insert(all.end(), part->begin(), part->end());
  }
  EXPECT_THAT(all, ::testing::UnorderedElementsAre(1, 2));
  auto books = db_->query_blocking({"SELECT id FROM books", {}});
  ASSERT_TRUE(books);
  EXPECT_EQ(books->size(), 1u);
}

TEST_P(MigratorContract, RefusesNumbersUsedTwice) {
  auto twice = library();
  twice[0].version = 1;
  auto refused = Migrator(*db_, twice).upgrade();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Engines, MigratorContract, ::testing::ValuesIn(testing::all_engines()),
                         testing::engine_name);

}  // namespace
}  // namespace asahi::sql
