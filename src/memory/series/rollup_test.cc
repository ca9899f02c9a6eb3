#include "memory/series/rollup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace asahi::memory::series {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const Time kStart{days{20'000}};

TEST(Rollups, ARangeIsDrawnAsFinelyAsItIsKept) {
  EXPECT_EQ(resolution_for(hours{24} - seconds{1}), Resolution::kRaw);
  EXPECT_EQ(resolution_for(hours{24}), Resolution::kFiveMinutes);
  EXPECT_EQ(resolution_for(days{30} - seconds{1}), Resolution::kFiveMinutes);
  EXPECT_EQ(resolution_for(days{30}), Resolution::kHour);
}

TEST(Rollups, AreKeptLongerTheCoarserTheyAre) {
  const Retention usual;
  EXPECT_EQ(usual.cutoff(Resolution::kRaw, kStart), kStart - days{7});
  EXPECT_EQ(usual.cutoff(Resolution::kFiveMinutes, kStart), kStart - days{90});
  EXPECT_EQ(usual.cutoff(Resolution::kHour, kStart), kStart - days{365});
  const Retention brief{.five_minutes = days{3}};
  EXPECT_EQ(brief.cutoff(Resolution::kRaw, kStart), kStart - days{3});
  EXPECT_EQ(brief.cutoff(Resolution::kFiveMinutes, kStart), kStart - days{3});
}

TEST(Rollups, KeepMeanLeastGreatestAndCount) {
  const std::vector<Point> points{{.at = kStart + minutes{1}, .value = 4, .system_id = "a"},
                                  {.at = kStart + minutes{4}, .value = 8, .system_id = "a"},
                                  {.at = kStart + minutes{5}, .value = 1, .system_id = "a"},
                                  {.at = kStart, .value = 9, .system_id = "b"}};
  const auto out = rolled(points, width(Resolution::kFiveMinutes));
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0], (Bucket{kStart, "a", 12, 4, 8, 2}));
  EXPECT_DOUBLE_EQ(out[0].mean(), 6);
  EXPECT_EQ(out[1].system_id, "b");
  EXPECT_EQ(out[2].at, kStart + minutes{5});
  EXPECT_DOUBLE_EQ(points_of(out)[0].value, 6);
}

TEST(Rollups, InTwoStepsGiveWhatOneStepGives) {
  std::mt19937 random(1);
  std::vector<Point> points;
  for (int i = 0; i < 3000; ++i)
    points.push_back({.at = Time{seconds{static_cast<std::int64_t>(random() % 200'000) - 100'000}},
                      .value = static_cast<double>(random() % 1000),
                      .system_id = random() % 2 == 0 ? "a" : "b"});
  const auto fine = rolled(points, minutes{5});
  EXPECT_EQ(rolled(fine, hours{1}), rolled(points, hours{1}));
  for (const Bucket& bucket : fine)
    EXPECT_EQ(bucket.at.time_since_epoch() % minutes{5}, std::chrono::nanoseconds{0});
}

TEST(HourlyCounts, AddUpWhatIngestionTells) {
  HourlyCounts counts;
  EXPECT_TRUE(counts.add({"a", kStart + minutes{5}, 100, false, 1}));
  EXPECT_TRUE(counts.add({"a", kStart + minutes{50}, 50, true, 0}));
  EXPECT_TRUE(counts.add({"b", kStart + minutes{59}, 10, false, 0.5}));
  EXPECT_TRUE(counts.add({"b", kStart + minutes{60}, 1, false, 0.5}));
  const auto hours_counted = counts.take();
  EXPECT_EQ(counts.size(), 0U);
  const auto all = measured(hours_counted);
  const auto value = [&](std::string_view metric, std::string_view system, Time at) {
    for (const Measured& one : all)
      if (one.metric == metric && one.point.system_id == system && one.point.at == at)
        return one.point.value;
    return -1.0;
  };
  EXPECT_EQ(value("conversation_count", "a", kStart), 2);
  EXPECT_EQ(value("bytes", "a", kStart), 150);
  EXPECT_EQ(value("duplicates", "a", kStart), 1);
  EXPECT_EQ(value("mean_vector_norm", "a", kStart), 1) << "of those that have a vector";
  EXPECT_EQ(value("active_systems", "", kStart), 2);
  EXPECT_EQ(value("active_systems", "", kStart + hours{1}), 1);
  EXPECT_EQ(value("conversation_count", "b", kStart + hours{1}), 1);
}

TEST(HourlyCounts, AreBounded) {
  HourlyCounts counts(2);
  EXPECT_TRUE(counts.add({"a", kStart}));
  EXPECT_TRUE(counts.add({"b", kStart}));
  EXPECT_FALSE(counts.add({"c", kStart}));
  EXPECT_TRUE(counts.add({"a", kStart + minutes{1}})) << "known ones go on";
  counts.take();
  EXPECT_TRUE(counts.add({"c", kStart}));
}

}  // namespace
}  // namespace asahi::memory::series
