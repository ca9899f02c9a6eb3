#include "memory/cold/merge_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace asahi::memory::cold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Listing::File file(std::uint64_t rows, std::size_t tombstones = 0) {
  static int made = 0;
  ColdFile out;
  out.key = std::to_string(++made);
  out.rows = rows;
  for (std::size_t i = 0; i < tombstones; ++i) out.tombstones.push_back(std::to_string(i));
  return std::make_shared<const ColdFile>(std::move(out));
}
std::vector<std::uint64_t> rows_of(const std::vector<Listing::File>& files) {
  std::vector<std::uint64_t> out;
  for (const auto& one : files) out.push_back(one->rows);
  return out;
}

TEST(MergePlan, FilesAreRipeWhenEightOfOneSizeHaveGathered) {
  std::vector<Listing::File> files;
  for (int i = 0; i < 7; ++i) files.push_back(file(10));
  files.push_back(file(1));
  files.push_back(file(5'000));
  EXPECT_THAT(next_merge(files, MergeNeed::kRipe, {}), IsEmpty());
  files.push_back(file(12));
  EXPECT_THAT(rows_of(next_merge(files, MergeNeed::kRipe, {})),
              ElementsAre(1, 10, 10, 10, 10, 10, 10, 10, 12))
      << "smaller ones come along, larger ones stay";
}

TEST(MergePlan, TheClockMergesAllButWhatIsLargeAlready) {
  EXPECT_THAT(rows_of(next_merge({file(300), file(1)}, MergeNeed::kAny, {})), ElementsAre(1, 300));
  EXPECT_THAT(next_merge({file(300'000), file(1)}, MergeNeed::kAny, {}), IsEmpty())
      << "300,000 rows are not written anew for one";
  EXPECT_THAT(next_merge({file(1'000'000), file(900'000)}, MergeNeed::kAny, {}), IsEmpty());
  EXPECT_THAT(next_merge({file(100)}, MergeNeed::kAny, {}), IsEmpty());
}

TEST(MergePlan, AFileThatIsDeadForATenthIsWrittenAnew) {
  EXPECT_THAT(next_merge({file(1'000'000, 99'999)}, MergeNeed::kAny, {}), IsEmpty());
  EXPECT_THAT(next_merge({file(1'000'000, 100'000)}, MergeNeed::kAny, {}), SizeIs(1));
}

TEST(MergePlan, WhatIsOpenAtATimeIsBounded) {
  EXPECT_THAT(next_merge(std::vector(500, file(1)), MergeNeed::kRipe, {}), SizeIs(64));
  EXPECT_THAT(next_merge(std::vector(500, file(60'000)), MergeNeed::kRipe, {}), SizeIs(4));
}

TEST(MergePlan, ARowIsWrittenAnewAFewTimesHoweverManyBatchesCome) {
  std::vector<Listing::File> files;
  std::mt19937 random(1);
  std::uint64_t rows = 0, rewritten = 0;
  std::size_t most = 0;
  for (int batch = 0; batch < 5'000; ++batch) {
    files.push_back(file(1 + random() % 20));
    rows += files.back()->rows;
    for (auto chosen = next_merge(files, MergeNeed::kRipe, {}); !chosen.empty();
         chosen = next_merge(files, MergeNeed::kRipe, {})) {
      std::uint64_t merged = 0;
      for (const auto& one : chosen) {
        merged += one->rows;
        std::erase(files, one);
      }
      rewritten += merged;
      files.push_back(file(merged));
    }
    most = std::max(most, files.size());
  }
  EXPECT_LE(most, 48U);
  EXPECT_LE(rewritten, 7 * rows);
}

TEST(MergePlan, AFileGoesToTheArchiveAYearAfterItsNewestMemory) {
  const Clock::Time now = parse_rfc3339("2026-11-22T10:00:00Z").value();
  const auto aged = [now](int days, const std::string& storage_class) {
    ColdFile out = *file(1);
    out.newest = now - std::chrono::days(days);
    out.storage_class = storage_class;
    return std::make_shared<const ColdFile>(std::move(out));
  };
  const ArchiveRules rules{.storage_class = "GLACIER_IR"};
  const auto old = aged(365, "");
  EXPECT_EQ(next_to_archive({aged(364, ""), aged(400, "GLACIER_IR"), old}, rules, now), old);
  EXPECT_EQ(next_to_archive({aged(364, ""), aged(400, "GLACIER_IR")}, rules, now), nullptr);
  EXPECT_EQ(next_to_archive({old}, {}, now), nullptr) << "there is no such class";
}

TEST(MergePlan, APartitionIsAMonth) {
  using namespace std::chrono;
  EXPECT_EQ(partition_of(parse_rfc3339("2026-02-28T23:59:59Z").value()), 2026y / February);
  EXPECT_EQ(partition_of(parse_rfc3339("2026-03-01T00:00:00Z").value()), 2026y / March);
}

}  // namespace
}  // namespace asahi::memory::cold
