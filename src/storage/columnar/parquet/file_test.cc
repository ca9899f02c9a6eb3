#include "storage/columnar/parquet/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include <fstream>
#include <sstream>

#include "storage/columnar/parquet/testing/sample.h"
#include "storage/columnar/private_folder.h"

namespace asahi::columnar::parquet {
namespace {

class ParquetFile : public ::testing::Test {
 protected:
  PrivateFolder folder_ = PrivateFolder::make("").value();

  std::string path_ = folder_.file(".parquet");
  std::string content() const {
    std::ostringstream out;
    out << std::ifstream(path_, std::ios::binary).rdbuf();
    return out.str();
  }
};

TEST_F(ParquetFile, GivesBackEveryKindOfValue) {
  for (const std::size_t rows : {1UL, 8UL, 100UL, 1'003UL, 2'500UL}) {
    path_ = folder_.file(".parquet");
    const auto written = write_sample(
        path_, rows, {.group_rows = 1'000, .page_rows = 100, .metadata = {{"a", "b"}}});
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(written->rows, rows);
    const std::string bytes = content();
    EXPECT_EQ(written->bytes, bytes.size());
    EXPECT_EQ(written->sha256, sha256(bytes));
    LocalSource source = LocalSource::open(path_).value();
    const auto layout = read_layout(source).value();
    EXPECT_EQ(layout->rows, rows);
    EXPECT_EQ(layout->metadata, (std::vector<std::pair<std::string, std::string>>{{"a", "b"}}));
    std::size_t i = 0;
    for (std::size_t group = 0; group < layout->groups.size(); ++group) {
      std::vector<Values> columns;
      for (std::size_t column = 0; column < 9; ++column)
        columns.push_back(read_column(source, *layout, group, column).value());
      for (std::size_t row = 0; row < layout->groups[group].rows; ++row, ++i) {
        const SampleRow expected(i);
        EXPECT_EQ(columns[0].bytes(row), expected.id);
        EXPECT_EQ(columns[1].bytes(row), expected.group);
        EXPECT_EQ(columns[2].null(row), !expected.has_note) << i;
        EXPECT_EQ(columns[2].bytes(row), expected.has_note ? expected.note : "");
        EXPECT_EQ(columns[3].null(row), !expected.has_extra);
        EXPECT_EQ(columns[3].bytes(row), expected.has_extra ? expected.extra : "");
        EXPECT_EQ(columns[4].bytes(row), expected.blob);
        EXPECT_EQ(columns[5].null(row), !expected.has_code);
        EXPECT_EQ(columns[5].bytes(row), expected.has_code ? expected.code : "");
        EXPECT_EQ(columns[6].number(row), expected.count);
        EXPECT_EQ(columns[7].null(row), !expected.has_at);
        EXPECT_EQ(columns[7].number(row), expected.has_at ? expected.at : 0);
        EXPECT_EQ(columns[8].null(row), !expected.has_scale);
        EXPECT_EQ(columns[8].real(row), expected.has_scale ? expected.scale : 0);
      }
    }
    EXPECT_EQ(i, rows);
  }
}

TEST_F(ParquetFile, FindsOneRowByItsKey) {
  ASSERT_TRUE(write_sample(path_, 5'000, {.group_rows = 1'000, .page_rows = 64}));
  LocalSource source = LocalSource::open(path_).value();
  const auto layout = read_layout(source).value();
  for (const std::size_t i : {0UL, 1UL, 63UL, 64UL, 999UL, 1'000UL, 2'345UL, 4'999UL}) {
    const SampleRow expected(i);
    const auto place = find_row(source, *layout, expected.id);
    ASSERT_TRUE(place && *place) << i;
    EXPECT_EQ((*place)->group, i / 1'000);
    EXPECT_EQ((*place)->row, i % 1'000);
    const Values page = read_page(source, *layout, (*place)->group, 5, (*place)->row).value();
    EXPECT_LE(page.rows(), 64U);
    EXPECT_EQ(page.bytes((*place)->row - page.first_row()), expected.has_code ? expected.code : "");
    const Values note = read_page(source, *layout, (*place)->group, 2, (*place)->row).value();
    EXPECT_EQ(note.bytes((*place)->row - note.first_row()), expected.has_note ? expected.note : "");
  }
  for (const std::string absent : {"", "id-", "id-000063x", "id-009999", "zz"})
    EXPECT_FALSE(find_row(source, *layout, absent).value()) << absent;
}

TEST_F(ParquetFile, IsPrivateAndNeverWrittenOver) {
  ASSERT_TRUE(write_sample(path_, 10, {}));
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(write_sample(path_, 10, {}).error().code, Errc::kUnavailable);
}

TEST_F(ParquetFile, RefusesRowsThatAreNotWhole) {
  const std::vector<ColumnSpec> columns = {{.name = "a"},
                                           {.name = "b", .kind = Kind::kFixed, .length = 2}};
  const auto writer = Writer::create(path_, columns).value();
  writer->bytes(0, "x");
  EXPECT_EQ(writer->end_row().error().code, Errc::kInvalidArgument);
  const auto second = Writer::create(folder_.file(".p"), columns).value();
  second->bytes(0, "x");
  second->bytes(1, "too long");
  EXPECT_EQ(second->end_row().error().code, Errc::kInvalidArgument);
  const auto third = Writer::create(folder_.file(".p"), columns).value();
  third->null(0);
  EXPECT_EQ(third->end_row().error().code, Errc::kInvalidArgument);
  const auto empty = Writer::create(folder_.file(".p"), columns).value();
  EXPECT_EQ(empty->finish().error().code, Errc::kInvalidArgument);
  EXPECT_EQ(Writer::create(folder_.file(".p"), {}).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(Writer::create(folder_.file(".p"), columns, {.sorted_by = "c"}).error().field,
            "sorted_by");
}

TEST_F(ParquetFile, SaysThatItCannotGrow) {
  struct rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit small = before;
  small.rlim_cur = 8'192;
  const auto old = ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = write_sample(path_, 5'000, {.group_rows = 500});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, old);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::kUnavailable);
}

TEST_F(ParquetFile, TellsAnyDamageOrComesBack) {
  ASSERT_TRUE(write_sample(path_, 300, {.group_rows = 150, .page_rows = 50}));
  const std::string bytes = content();
  const auto read_all = [](const std::string& file) -> Result<void> {
    MemorySource source(std::make_shared<const std::string>(file));
    ASAHI_TRY(const auto layout, read_layout(source));
    for (std::size_t group = 0; group < layout->groups.size(); ++group) {
      for (std::size_t column = 0; column < layout->columns.size(); ++column) {
        ASAHI_TRY([[maybe_unused]] const auto values, read_column(source, *layout, group, column));
      }
    }
    if (layout->sorted_by) {
      ASAHI_TRY([[maybe_unused]] const auto place, find_row(source, *layout, "id-000123"));
    }
    return {};
  };
  ASSERT_TRUE(read_all(bytes));
  for (std::size_t length = 0; length < bytes.size(); length += 29) {
    const auto cut = read_all(bytes.substr(0, length));
    ASSERT_FALSE(cut) << length;
    EXPECT_EQ(cut.error().code, Errc::kCorrupt);
  }
  // A flipped bit is told, or falls into what nobody reads or checks: it never does worse.
  for (std::size_t at = 0; at < bytes.size(); at += 13) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    (void)read_all(damaged);
  }
}

}  // namespace
}  // namespace asahi::columnar::parquet
