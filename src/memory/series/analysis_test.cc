#include "memory/series/analysis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace asahi::memory::series {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

const Time kStart{days{20'000}};

std::vector<Point> series(const std::vector<double>& values, std::string system = "a",
                          std::chrono::nanoseconds step = hours{1}) {
  std::vector<Point> out;
  for (std::size_t i = 0; i < values.size(); ++i)
    out.push_back({.at = kStart + step * static_cast<std::int64_t>(i),
                   .value = values[i],
                   .system_id = system});
  return out;
}

TEST(Trend, IsALineOverTheSamples) {
  const Trend up = trend(series({1, 2, 3, 4})).value();
  EXPECT_EQ(up.direction, Direction::kIncreasing);
  EXPECT_DOUBLE_EQ(up.slope, 1);
  EXPECT_DOUBLE_EQ(up.strength, 1);
  EXPECT_DOUBLE_EQ(up.percent_change, 300);
  EXPECT_DOUBLE_EQ(up.confidence, 0.04);
  EXPECT_EQ(up.from, kStart);
  EXPECT_EQ(up.to, kStart + hours{3});
  EXPECT_EQ(trend(series({3, 2})).value().direction, Direction::kDecreasing);
}

TEST(Trend, WithinAHundredthIsStable) {
  EXPECT_EQ(trend(series({0, 0.01})).value().direction, Direction::kStable);
  EXPECT_EQ(trend(series({0, 0.0101})).value().direction, Direction::kIncreasing);
  EXPECT_EQ(trend(series({0, -0.0101})).value().direction, Direction::kDecreasing);
}

TEST(Trend, HasNoStrengthWithoutVarianceAndNoPercentFromZero) {
  const Trend flat = trend(series({5, 5, 5})).value();
  EXPECT_EQ(flat.strength, 0);
  EXPECT_EQ(flat.direction, Direction::kStable);
  EXPECT_EQ(trend(series({0, 10})).value().percent_change, 0);
  EXPECT_FALSE(trend(series({1})));
  EXPECT_FALSE(trend({}));
}

TEST(Trend, LooksAtPointsByTimeNotByPlace) {
  auto points = series({1, 2, 3, 4});
  std::ranges::reverse(points);
  EXPECT_DOUBLE_EQ(trend(points).value().slope, 1);
}

TEST(Trend, AgreesWithTheNormalEquations) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<double> y(2 + random() % 200);
    for (double& v : y) v = static_cast<double>(random() % 1000) / 7;
    const double n = static_cast<double>(y.size());
    double sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double x = static_cast<double>(i);
      sx += x;
      sy += y[i];
      sxx += x * x;
      sxy += x * y[i];
      syy += y[i] * y[i];
    }
    const double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
    const double r = (n * sxy - sx * sy) / std::sqrt((n * sxx - sx * sx) * (n * syy - sy * sy));
    const Trend found = trend(series(y)).value();
    EXPECT_NEAR(found.slope, slope, 1e-9);
    EXPECT_NEAR(found.strength, r * r, 1e-9);
    EXPECT_DOUBLE_EQ(found.confidence, std::min(1.0, n / 100));
  }
}

TEST(Anomalies, AreFurtherFromTheMeanThanTheThreshold) {
  std::vector<double> values(20, 10);
  values[7] = 30;
  const Anomalies found = anomalies(series(values), 3).value();
  ASSERT_EQ(found.list.size(), 1U);
  // Mean 11, deviation sqrt(19 · 1 + 361) / 20.
  const double deviation = std::sqrt((19.0 + 361.0) / 20);
  EXPECT_NEAR(found.list[0].z_score, 19 / deviation, 1e-12);
  EXPECT_NEAR(found.list[0].deviation, 19, 1e-12);
  EXPECT_EQ(found.list[0].point.at, kStart + hours{7});
  EXPECT_EQ(found.total_points, 20U);
  EXPECT_DOUBLE_EQ(found.rate(), 0.05);
  EXPECT_TRUE(anomalies(series(values), 19 / deviation).value().list.empty()) << "above, not at";
}

TEST(Anomalies, NeedTenPointsAndSomeVariance) {
  EXPECT_FALSE(anomalies(series(std::vector<double>(9, 1))));
  EXPECT_TRUE(anomalies(series(std::vector<double>(10, 0.1)), 1).value().list.empty());
}

TEST(Correlations, AreOfHourlyMeansJoinedOnTheHour) {
  std::vector<Point> points;
  std::mt19937 random(2);
  for (int hour = 0; hour < 20; ++hour) {
    const double value = static_cast<double>(random() % 100);
    // Two points an hour, whose mean counts.
    for (const double part : {-5.0, 5.0}) {
      const Time at = kStart + hours{hour} + minutes{part < 0 ? 5 : 50};
      points.push_back({.at = at, .value = value + part, .system_id = "a"});
      points.push_back({.at = at, .value = 3 - 2 * (value + part), .system_id = "b"});
      points.push_back({.at = at, .value = 7, .system_id = "still"});
    }
    if (hour < 4)
      points.push_back({.at = kStart + hours{hour}, .value = value, .system_id = "few"});
  }
  const Correlations found = correlations(points).value();
  EXPECT_EQ(found.systems, 3U);
  ASSERT_EQ(found.list.size(), 1U);
  EXPECT_EQ(found.list[0].system_a, "a");
  EXPECT_EQ(found.list[0].system_b, "b");
  EXPECT_NEAR(found.list[0].r, -1, 1e-12);
  EXPECT_EQ(found.list[0].hours, 20U);
  EXPECT_TRUE(found.list[0].strong());
}

TEST(Correlations, LookAtTheLastHundredHours) {
  std::vector<Point> points;
  for (int hour = 0; hour < 300; ++hour) {
    const double value = std::sin(hour);
    points.push_back({.at = kStart + hours{hour}, .value = value, .system_id = "a"});
    // Against each other at first, alike in the last hundred hours.
    points.push_back(
        {.at = kStart + hours{hour}, .value = hour < 200 ? -value : value, .system_id = "b"});
  }
  const Correlations found = correlations(points).value();
  ASSERT_EQ(found.list.size(), 1U);
  EXPECT_NEAR(found.list[0].r, 1, 1e-9);
  EXPECT_EQ(found.list[0].hours, 100U);
}

TEST(Correlations, NeedTwoSystemsWithFivePointsEach) {
  EXPECT_FALSE(correlations(series(std::vector<double>(30, 1))));
  auto points = series({1, 2, 3, 4, 5, 6});
  const auto others = series({1, 2, 3, 4}, "b");
  points.insert(points.end(), others.begin(), others.end());
  EXPECT_FALSE(correlations(points));
}

TEST(Changepoints, ALineIsOneStretch) {
  std::vector<double> values;
  for (int i = 0; i < 60; ++i) values.push_back(2 * i);
  const Changepoints found = changepoints(series(values, "a", days{1})).value();
  ASSERT_EQ(found.segments.size(), 1U);
  EXPECT_EQ(found.latest().direction, "up");
  EXPECT_EQ(found.latest().trend_class, TrendClass::kGradual);
  EXPECT_NEAR(found.latest().total_change, 118, 1e-6);
  EXPECT_DOUBLE_EQ(found.latest().days, 59);
  EXPECT_EQ(found.latest().change_rank, 1U);
  EXPECT_EQ(found.abrupt, 0U);
}

TEST(Changepoints, AStepIsAbruptBetweenTwoFlatStretches) {
  std::mt19937 random(3);
  std::normal_distribution<double> noise(0, 1);
  std::vector<double> values;
  for (int i = 0; i < 80; ++i) values.push_back((i < 50 ? 100 : 160) + noise(random));
  const Changepoints found = changepoints(series(values, "a", days{1})).value();
  ASSERT_EQ(found.segments.size(), 3U);
  EXPECT_EQ(found.segments[0].direction, "flat");
  EXPECT_EQ(found.segments[1].trend_class, TrendClass::kAbrupt);
  EXPECT_EQ(found.segments[1].direction, "up");
  EXPECT_EQ(found.segments[1].start, kStart + days{49});
  EXPECT_EQ(found.segments[1].end, kStart + days{50});
  EXPECT_NEAR(found.segments[1].total_change, 60, 3);
  EXPECT_EQ(found.segments[1].change_rank, 1U);
  EXPECT_EQ(found.segments[2].direction, "flat");
  EXPECT_EQ(found.abrupt, 1U);
}

TEST(Changepoints, AClimbAndAFallAreTwoStretches) {
  std::mt19937 random(4);
  std::normal_distribution<double> noise(0, 0.5);
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) values.push_back((i < 40 ? i : 80 - i) + noise(random));
  const Changepoints found = changepoints(series(values, "a", days{1})).value();
  ASSERT_EQ(found.segments.size(), 2U);
  EXPECT_EQ(found.segments[0].direction, "up");
  EXPECT_EQ(found.segments[1].direction, "down");
  EXPECT_NEAR(static_cast<double>((found.segments[0].end - kStart) / days{1}), 40, 3);
  EXPECT_EQ(found.segments[1].change_rank, 1U) << "falls further than it climbed";
}

TEST(Changepoints, ChanceIsNoTrend) {
  std::mt19937 random(5);
  std::normal_distribution<double> noise(0, 1);
  int wrong = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<double> values;
    for (int i = 0; i < 100; ++i) values.push_back(noise(random));
    const Changepoints found = changepoints(series(values)).value();
    wrong += found.abrupt > 0 || found.segments.size() > 1 ? 1 : 0;
  }
  EXPECT_LE(wrong, 5);
}

TEST(Changepoints, StretchesFollowEachOtherAndRanksAreAll) {
  std::mt19937 random(6);
  for (int round = 0; round < 60; ++round) {
    std::vector<double> values(5 + random() % 700);
    double level = 0;
    for (double& v : values) {
      if (random() % 40 == 0) level += static_cast<double>(random() % 100) - 50;
      v = level + static_cast<double>(random() % 100) / 25;
    }
    const Changepoints found = changepoints(series(values)).value();
    EXPECT_EQ(found.segments.front().start, kStart);
    EXPECT_EQ(found.segments.back().end, kStart + hours{values.size() - 1});
    std::vector<std::size_t> ranks;
    for (std::size_t i = 0; i < found.segments.size(); ++i) {
      ranks.push_back(found.segments[i].change_rank);
      EXPECT_GE(found.segments[i].days, 0);
      if (i > 0) {
        EXPECT_EQ(found.segments[i].start, found.segments[i - 1].end);
      }
    }
    std::ranges::sort(ranks);
    for (std::size_t i = 0; i < ranks.size(); ++i) EXPECT_EQ(ranks[i], i + 1);
  }
}

TEST(Changepoints, NeedFivePointsAndTakeEqualOnes) {
  EXPECT_FALSE(changepoints(series({1, 2, 3, 4})));
  const Changepoints found = changepoints(series({4, 4, 4, 4, 4})).value();
  ASSERT_EQ(found.segments.size(), 1U);
  EXPECT_EQ(found.latest().trend_class, TrendClass::kFlat);
}

}  // namespace
}  // namespace asahi::memory::series
