#include "gateway/analytics/compute/trends.h"

#include <gtest/gtest.h>

#include "gateway/analytics/testing/events.h"

namespace asahi::gateway::analytics {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::answered;
using testing::at;

const Window kDay{.period = "day",
                  .from = at("2026-11-21T10:00:00Z"),
                  .to = at("2026-11-22T10:00:00Z"),
                  .unit = Unit::kMinute};

Bucket bucket(Clock::Time start, std::vector<InferenceEvent> events) {
  return {.start = start, .key = {}, .sums = testing::sums_of(events)};
}

TEST(Trends, BucketsAreEqualAndHalfOpen) {
  const std::vector<Bucket> buckets = {
      bucket(kDay.from, {answered(kDay.from)}),
      bucket(kDay.from + minutes(479), {answered(kDay.from)}),
      bucket(kDay.from + minutes(480), {answered(kDay.from), answered(kDay.from)}),
      bucket(kDay.to - minutes(1), {answered(kDay.from)}),
      bucket(kDay.to, {answered(kDay.from)}),
      bucket(kDay.from - minutes(1), {answered(kDay.from)})};
  const auto points = trend(equal_intervals(buckets, kDay, 3), Metric::kRequests);
  ASSERT_EQ(points.size(), 3U);
  EXPECT_EQ(points[0].start, kDay.from);
  EXPECT_EQ(points[1].start, kDay.from + hours(8));
  EXPECT_EQ(points[0].value, 2);
  EXPECT_EQ(points[1].value, 2);
  EXPECT_EQ(points[2].value, 1);
}

TEST(Trends, ThereAreAsManyAsAskedForAndNothingIsLost) {
  std::vector<Bucket> buckets;
  for (int i = 0; i < 1'440; ++i)
    buckets.push_back(bucket(kDay.from + minutes(i), {answered(kDay.from)}));
  for (const std::size_t count : {1UL, 7UL, 30UL, 999UL, 1'000UL}) {
    const auto points = trend(equal_intervals(buckets, kDay, count), Metric::kCost);
    ASSERT_EQ(points.size(), count);
    double sum = 0;
    for (const TrendPoint& point : points) sum += point.value;
    EXPECT_NEAR(sum, 14.40, 1e-9) << count;
  }
}

TEST(Trends, AYearInAThousandPartsDoesNotOverflow) {
  const Window year{.period = {},
                    .from = at("2025-10-18T00:00:00Z"),
                    .to = at("2026-11-22T00:00:00Z"),
                    .unit = Unit::kDay};
  const std::vector<Bucket> buckets = {bucket(year.to - hours(24), {answered(year.from)})};
  const auto points = trend(equal_intervals(buckets, year, 1'000), Metric::kRequests);
  EXPECT_LT(points.back().start, year.to);
  EXPECT_EQ(points[997].value, 1);
}

TEST(Trends, GapsAreZeroWithoutRequests) {
  for (const auto metric :
       {Metric::kCost, Metric::kLatency, Metric::kRequests, Metric::kCacheHitRate,
        Metric::kErrorRate, Metric::kQuality, Metric::kLatencyP95}) {
    const auto points = trend(equal_intervals({}, kDay, 2), metric);
    EXPECT_EQ(points[1].value, 0);
    EXPECT_EQ(points[1].requests, 0);
  }
}

TEST(Trends, MetricsFollowTheirFormulas) {
  const auto t = kDay.from;
  const Sums sums =
      testing::sums_of({answered(t), answered(t), testing::hit(t), testing::failed(t)});
  EXPECT_EQ(value_of(sums, Metric::kCost), 0.02);
  EXPECT_EQ(value_of(sums, Metric::kRequests), 4);
  EXPECT_EQ(value_of(sums, Metric::kErrors), 1);
  EXPECT_EQ(value_of(sums, Metric::kErrorRate), 0.25);
  EXPECT_EQ(value_of(sums, Metric::kCacheHitRate), 0.3333);
  EXPECT_EQ(value_of(sums, Metric::kLatency), 534);
  EXPECT_EQ(value_of(sums, Metric::kTokens), 2 * 150 + 150);
  EXPECT_EQ(value_of(sums, Metric::kSavings), 0.07);
  EXPECT_EQ(value_of(sums, Metric::kQuality), 4.5);
  EXPECT_NEAR(value_of(sums, Metric::kLatencyP50), 800, 8);
}

TEST(Trends, EveryWordIsAMetric) {
  for (const char* word :
       {"cost", "latency", "requests", "cache_hit_rate", "savings", "errors", "error_rate",
        "tokens", "quality", "latency_p50", "latency_p95", "latency_p99"}) {
    EXPECT_TRUE(parse_metric(word)) << word;
  }
  EXPECT_FALSE(parse_metric("speed"));
}

TEST(Trends, ReadsRollupsAsWideAsFits) {
  EXPECT_EQ(reading_step(kDay, 24), hours(1));
  EXPECT_EQ(reading_step(kDay, 30), minutes(48));
  EXPECT_EQ(reading_step(kDay, 7), minutes(1));
  const Window week{.period = "week",
                    .from = at("2026-11-15T10:00:00Z"),
                    .to = at("2026-11-22T10:00:00Z"),
                    .unit = Unit::kHour};
  EXPECT_EQ(reading_step(week, 7), hours(24));
  EXPECT_EQ(reading_step(week, 30), hours(1));
}

}  // namespace
}  // namespace asahi::gateway::analytics
