// What is written here is Parquet: DuckDB reads every value of it, and prunes by its statistics.
#include <gtest/gtest.h>

#include <filesystem>

#include "storage/columnar/database.h"
#include "storage/columnar/parquet/file.h"
#include "storage/columnar/parquet/testing/sample.h"
#include "storage/columnar/private_folder.h"

namespace asahi::columnar::parquet {
namespace {

using namespace std::chrono_literals;

class ParquetInterchange : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(ASAHI_DUCKDB_LIBRARY))
      GTEST_SKIP() << ASAHI_DUCKDB_LIBRARY << " is missing: build the target duckdb_library";
    database_ = Database::open({.library = ASAHI_DUCKDB_LIBRARY, .other_files = true}).value();
  }
  template <class Work>
  void read(const std::string& sql, Work work) {
    const auto done = database_->run_here(std::chrono::steady_clock::now() + 30s,
                                          [&](Connection& c) -> Result<void> {
                                            ASAHI_TRY(Statement * statement, c.prepare(sql));
                                            ASAHI_TRY(Rows rows, statement->query());
                                            Chunk chunk;
                                            for (;;) {
                                              ASAHI_TRY(const bool more, rows.next(chunk));
                                              if (!more) return {};
                                              work(chunk);
                                            }
                                          });
    EXPECT_TRUE(done) << done.error().message;
  }

  PrivateFolder folder_ = PrivateFolder::make("").value();
  std::unique_ptr<Database> database_;
};

TEST_F(ParquetInterchange, DuckDbReadsEveryValue) {
  const std::string path = folder_.file(".parquet");
  ASSERT_TRUE(write_sample(path, 5'003, {.group_rows = 1'000, .page_rows = 128}));
  std::size_t i = 0;
  read("select id, \"group\", note, extra::varchar, blob, code, count, \"at\", scale from '" +
           path + "'",
       [&](const Chunk& chunk) {
         EXPECT_EQ(chunk.column(4).type(), Type::kBlob);
         EXPECT_EQ(chunk.column(6).type(), Type::kInt64);
         const auto at_time = chunk.column(7).values<std::int64_t>();
         for (std::size_t row = 0; row < chunk.rows(); ++row, ++i) {
           const SampleRow expected(i);
           EXPECT_EQ(chunk.column(0).text(row), expected.id);
           EXPECT_EQ(chunk.column(1).text(row), expected.group);
           EXPECT_EQ(chunk.column(2).null(row), !expected.has_note);
           EXPECT_EQ(chunk.column(2).text(row), expected.has_note ? expected.note : "");
           EXPECT_EQ(chunk.column(3).text(row), expected.has_extra ? expected.extra : "");
           EXPECT_EQ(chunk.column(4).text(row), expected.blob);
           EXPECT_EQ(chunk.column(5).null(row), !expected.has_code);
           EXPECT_EQ(chunk.column(5).text(row), expected.has_code ? expected.code : "");
           EXPECT_EQ(chunk.column(6).values<std::int64_t>()[row], expected.count);
           EXPECT_EQ(chunk.column(7).null(row), !expected.has_at);
           if (expected.has_at && chunk.column(7).type() == Type::kTimestampNs) {
             EXPECT_EQ(at_time[row], expected.at);
           }
           EXPECT_EQ(chunk.column(8).null(row), !expected.has_scale);
         }
       });
  EXPECT_EQ(i, 5'003U);
}

TEST_F(ParquetInterchange, DuckDbBelievesTheStatistics) {
  const std::string path = folder_.file(".parquet");
  ASSERT_TRUE(write_sample(path, 4'000, {.group_rows = 1'000, .page_rows = 100}));
  std::size_t found = 0;
  read("select id from '" + path + "' where id = 'id-002345' and count between 1345 and 1345",
       [&](const Chunk& chunk) { found += chunk.rows(); });
  EXPECT_EQ(found, 1U);
  std::vector<std::string> ranges;
  read(
      "select stats_min_value || ' ' || stats_max_value || ' ' || stats_null_count from "
      "parquet_metadata('" +
          path + "') where path_in_schema = 'id' order by row_group_id",
      [&](const Chunk& chunk) {
        for (std::size_t row = 0; row < chunk.rows(); ++row)
          ranges.emplace_back(chunk.column(0).text(row));
      });
  ASSERT_EQ(ranges.size(), 4U);
  EXPECT_EQ(ranges[1], "id-001000 id-001999 0");
}

TEST_F(ParquetInterchange, SaysWhatItDoesNotReadOfOthers) {
  const std::string path = folder_.file(".parquet");
  read("copy (select i as id, [i] as list from range(10) t(i)) to '" + path + "' (format parquet)",
       [](const Chunk&) {});
  LocalSource source = LocalSource::open(path).value();
  EXPECT_EQ(read_layout(source).error().code, Errc::kInvalidArgument);
}

}  // namespace
}  // namespace asahi::columnar::parquet
