// COPY into a real PostgreSQL: every type's form, and what happens when the server refuses.
#include "storage/sql/copy_rows.h"

#include <gtest/gtest.h>

#include <limits>

#include "storage/sql/testing/test_database.h"

namespace asahi::sql {
namespace {

using testing::Engine;

class CopyRowsTest : public ::testing::Test {
 protected:
  void SetUp() override { open(Engine::kPostgres); }
  void open(Engine engine) {
    database_.reset();
    auto made = testing::TestDatabase::make(engine);
    if (!made && made.error().code == Errc::kNotFound) GTEST_SKIP() << made.error().message;
    ASSERT_TRUE(made) << made.error().message;
    place_ = std::move(*made);
    auto opened = open_database(place_->options());
    ASSERT_TRUE(opened) << opened.error().message;
    database_ = std::move(*opened);
  }
  Rows run(std::string sql) {
    auto rows = database_->query_blocking({std::move(sql), {}});
    EXPECT_TRUE(rows) << rows.error().message;
    return rows ? std::move(*rows) : Rows{};
  }
  Result<std::int64_t> stored(CopyRows& rows) {
    std::int64_t count = 0;
    auto done = database_->transaction_blocking([&](Session& session) -> Result<void> {
      ASAHI_TRY(count, copy(session, rows));
      return {};
    });
    if (!done) return std::unexpected(std::move(done.error()));
    return count;
  }
  /// What PostgreSQL makes of a number.
  std::string read_back(std::int64_t units, int decimals) {
    run("DROP TABLE IF EXISTS money");
    run("CREATE TABLE money (amount NUMERIC)");
    constexpr std::string_view kColumns[] = {"amount"};
    CopyRows rows("money", kColumns);
    rows.begin_row();
    rows.numeric(units, decimals);
    auto done = stored(rows);
    EXPECT_TRUE(done) << done.error().message;
    return run("SELECT amount FROM money").text(0, "amount");
  }

  std::unique_ptr<testing::TestDatabase> place_;
  std::unique_ptr<Database> database_;
};

TEST_F(CopyRowsTest, StoresEveryType) {
  run("CREATE TABLE kinds (id BIGINT, small SMALLINT, whole INTEGER, yes BOOLEAN, name "
      "VARCHAR(20), "
      "raw BYTEA, at TIMESTAMPTZ, cost NUMERIC(18,9), nothing TEXT)");
  constexpr std::string_view kColumns[] = {"id",  "small", "whole", "yes",    "name",
                                           "raw", "at",    "cost",  "nothing"};
  CopyRows rows("kinds", kColumns);
  rows.begin_row();
  rows.bigint(std::numeric_limits<std::int64_t>::min());
  rows.smallint(-7);
  rows.integer(123'456);
  rows.boolean(true);
  rows.text("ann \"é\"\t\\N");
  rows.bytea(std::string_view("\0\xff\n", 3));
  rows.timestamptz(Clock::Time{std::chrono::microseconds{1'795'003'200'123'456}});
  rows.numeric(-1'000'000'001, 9);
  rows.null();
  rows.begin_row();
  rows.bigint(2);
  for (int column = 1; column < 9; ++column) rows.null();
  const auto done = stored(rows);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(*done, 2);
  const Rows found = run("SELECT * FROM kinds ORDER BY id");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found.integer(0, "id"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(found.integer(0, "small"), -7);
  EXPECT_EQ(found.integer(0, "whole"), 123'456);
  EXPECT_TRUE(found.boolean(0, "yes"));
  EXPECT_EQ(found.text(0, "name"), "ann \"é\"\t\\N");
  EXPECT_EQ(found.at(0, "raw"), Value(Blob{std::string("\0\xff\n", 3)}));
  EXPECT_EQ(found.text(0, "at"), "2026-11-18T12:00:00.123456Z");
  EXPECT_EQ(found.text(0, "cost"), "-1.000000001");
  EXPECT_TRUE(found.is_null(0, "nothing"));
  EXPECT_TRUE(found.is_null(1, "cost"));
}

TEST_F(CopyRowsTest, WritesNumbersAsPostgresReadsThem) {
  EXPECT_EQ(read_back(0, 0), "0");
  EXPECT_EQ(read_back(0, 9), "0.000000000");
  EXPECT_EQ(read_back(7, 0), "7");
  EXPECT_EQ(read_back(10'000, 0), "10000");
  EXPECT_EQ(read_back(100'000'001, 0), "100000001");
  EXPECT_EQ(read_back(1, 9), "0.000000001");
  EXPECT_EQ(read_back(-10, 9), "-0.000000010");
  EXPECT_EQ(read_back(10'000'000'000, 9), "10.000000000");
  EXPECT_EQ(read_back(460, 2), "4.60");
  EXPECT_EQ(read_back(9'877, 4), "0.9877");
  EXPECT_EQ(read_back(std::numeric_limits<std::int64_t>::min(), 18), "-9.223372036854775808");
  EXPECT_EQ(read_back(std::numeric_limits<std::int64_t>::max(), 0), "9223372036854775807");
}

TEST_F(CopyRowsTest, TakesMoreThanASocketHolds) {
  run("CREATE TABLE blobs (raw BYTEA)");
  constexpr std::string_view kColumns[] = {"raw"};
  CopyRows rows("blobs", kColumns);
  for (int row = 0; row < 8; ++row) {
    rows.begin_row();
    rows.bytea(std::string(1'000'000, static_cast<char>('a' + row)));
  }
  const auto done = stored(rows);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(run("SELECT SUM(LENGTH(raw)) AS n FROM blobs").integer(0, "n"), 8'000'000);
}

TEST_F(CopyRowsTest, OneRefusedRowRefusesAllAndTheConnectionGoesOn) {
  run("CREATE TABLE once (id BIGINT PRIMARY KEY)");
  constexpr std::string_view kColumns[] = {"id"};
  CopyRows twice("once", kColumns);
  for (const std::int64_t id : {1, 2, 1}) {
    twice.begin_row();
    twice.bigint(id);
  }
  const auto refused = stored(twice);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_EQ(refused.error().reason, "unique_violation");
  EXPECT_EQ(run("SELECT COUNT(*) AS n FROM once").integer(0, "n"), 0);

  CopyRows fine("once", kColumns);
  fine.begin_row();
  fine.bigint(1);
  const auto done = stored(fine);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(*done, 1);
}

TEST_F(CopyRowsTest, RefusalsComeAsErrorsOfTheTransaction) {
  run("CREATE TABLE once (id BIGINT PRIMARY KEY)");
  constexpr std::string_view kWrong[] = {"no_such_column"};
  CopyRows unknown("once", kWrong);
  const auto no_column = stored(unknown);
  ASSERT_FALSE(no_column);
  EXPECT_EQ(no_column.error().code, Errc::kInvalidArgument);

  constexpr std::string_view kColumns[] = {"id"};
  CopyRows mistyped("once", kColumns);
  mistyped.begin_row();
  mistyped.text("no eight bytes");
  auto go_on = database_->transaction_blocking([&](Session& session) -> Result<void> {
    const auto refused = copy(session, mistyped);
    EXPECT_FALSE(refused);
    EXPECT_FALSE(session.query({"SELECT 1", {}}));
    return {};  // forgetting the error does not commit what was refused
  });
  ASSERT_FALSE(go_on);
  EXPECT_EQ(go_on.error().code, Errc::kInvalidArgument);
}

TEST_F(CopyRowsTest, SqliteSaysThatItHasNoSuchThing) {
  open(Engine::kSqliteMemory);
  constexpr std::string_view kColumns[] = {"id"};
  CopyRows rows("once", kColumns);
  const auto refused = stored(rows);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
}

}  // namespace
}  // namespace asahi::sql
