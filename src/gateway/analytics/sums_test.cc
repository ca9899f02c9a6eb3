#include "gateway/analytics/sums.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "gateway/analytics/rollup_cells.h"
#include "gateway/analytics/varint.h"

namespace asahi::gateway::analytics {
namespace {

TEST(LatencyHistogram, KnowsValuesToWithinOnePercent) {
  for (double ms = 0.004; ms < 1e7; ms *= 1.0173) {
    LatencyHistogram histogram;
    histogram.add(ms);
    EXPECT_LE(std::abs(histogram.percentile(50) - ms), std::max(0.01, ms * 0.01)) << ms;
  }
}

TEST(LatencyHistogram, GivesPercentilesByNearestRank) {
  std::mt19937 random(1);
  std::lognormal_distribution<double> latencies(5, 1.2);
  std::vector<double> values;
  LatencyHistogram histogram;
  for (int i = 0; i < 5'000; ++i) {
    values.push_back(latencies(random));
    histogram.add(values.back());
  }
  std::ranges::sort(values);
  for (const double p : {0.0, 1.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0}) {
    const auto rank = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(p * 50 - 1e-9)));
    const double exact = values[rank - 1];
    EXPECT_NEAR(histogram.percentile(p), exact, exact * 0.01) << p;
  }
}

TEST(LatencyHistogram, IsZeroWhenEmptyAndTheValueItselfForOne) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile(99), 0);
  histogram.add(0.25);
  for (const double p : {0.0, 50.0, 100.0}) EXPECT_DOUBLE_EQ(histogram.percentile(p), 0.25);
}

TEST(LatencyHistogram, TakesWhatClocksMayGive) {
  LatencyHistogram histogram;
  histogram.add(-3);
  histogram.add(std::numeric_limits<double>::quiet_NaN());
  histogram.add(std::numeric_limits<double>::infinity());
  EXPECT_EQ(histogram.count(), 3);
  EXPECT_EQ(histogram.percentile(50), 0);
  const auto again = LatencyHistogram::decode(histogram.encode());
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, histogram);
}

TEST(LatencyHistogram, OfTwoSetsIsTheSumOfTheirs) {
  std::mt19937 random(2);
  std::exponential_distribution<double> latencies(0.01);
  LatencyHistogram one, two, both;
  for (int i = 0; i < 1'000; ++i) {
    const double ms = latencies(random);
    (i % 3 == 0 ? one : two).add(ms);
    both.add(ms);
  }
  one += two;
  EXPECT_EQ(one, both);
  one += LatencyHistogram{};
  EXPECT_EQ(one, both);
}

TEST(LatencyHistogram, IsStoredInFewBytesAndRefusesOthers) {
  LatencyHistogram histogram;
  for (int i = 0; i < 10'000; ++i) histogram.add(100 + i % 400);
  const std::string bytes = histogram.encode();
  EXPECT_LT(bytes.size(), 600U);
  EXPECT_EQ(*LatencyHistogram::decode(bytes), histogram);
  for (const std::string& bad :
       {std::string("\x80"), std::string("\x05"), std::string("\x05\x02\x00\x02", 4),
        std::string("\xff\xff\xff\xff\x7f\x02")}) {
    EXPECT_FALSE(LatencyHistogram::decode(bad)) << bad.size();
  }
}

InferenceEvent answered() {
  InferenceEvent event;
  event.cost = {1'000};
  event.baseline_cost = {5'000};
  event.latency_ms = 12.345;
  event.input_tokens = 30;
  event.output_tokens = 10;
  event.quality_score = 4.5;
  return event;
}

TEST(Savings, AreDividedAmongWhatBroughtThem) {
  InferenceEvent event = answered();
  event.trim_savings = {300};
  event.batching_savings = {200};
  Savings parts = divide_savings(event);
  EXPECT_EQ(parts, (Savings{NanoUsd{3'500}, {}, {}, {}, NanoUsd{300}, NanoUsd{200}}));
  event.cache_hit = true;
  event.cache_tier = 2;
  parts = divide_savings(event);
  EXPECT_EQ(parts, (Savings{NanoUsd{}, {}, NanoUsd{3'500}, {}, NanoUsd{300}, NanoUsd{200}}));
  event = answered();
  event.cost = {9'000};  // a dearer model was asked for
  EXPECT_EQ(divide_savings(event)[0].nanos, -4'000);
}

TEST(Sums, CountAnsweredAndFailedRequests) {
  Sums sums;
  sums.add(answered());
  InferenceEvent hit = answered();
  hit.cache_hit = true;
  hit.cache_tier = 1;
  hit.cost = {};
  hit.input_tokens = hit.output_tokens = 0;
  hit.tokens_saved = 40;
  hit.latency_ms = 1;
  sums.add(hit);
  InferenceEvent failed = answered();
  failed.error_code = "timeout";
  failed.baseline_cost = failed.cost;
  sums.add(failed);
  InferenceEvent embedding = answered();
  embedding.event_type = "embedding";
  embedding.quality_score = 0;
  sums.add(embedding);
  EXPECT_EQ(sums.requests, 4);
  EXPECT_EQ(sums.errors, 1);
  EXPECT_EQ(sums.answered(), 3);
  EXPECT_EQ(sums.lookups, 2) << "embeddings do not look the cache up";
  EXPECT_EQ(sums.hits(), 1);
  EXPECT_DOUBLE_EQ(sums.hit_rate(), 0.5);
  EXPECT_EQ(sums.cost.nanos, 3'000) << "what broke off was paid for";
  EXPECT_EQ(sums.total_savings().nanos, 4'000 + 5'000 + 4'000);
  NanoUsd parts;
  for (const NanoUsd part : sums.savings) parts += part;
  EXPECT_EQ(parts, sums.total_savings());
  EXPECT_EQ(sums.tokens_saved, 40);
  EXPECT_EQ(sums.latency.count(), 3);
  EXPECT_NEAR(sums.mean_latency_ms(), (12.345 * 2 + 1) / 3, 1e-9);
  EXPECT_DOUBLE_EQ(sums.lookup_ms_sum[1], 1);
  EXPECT_DOUBLE_EQ(sums.mean_quality(), 4.5);
  EXPECT_DOUBLE_EQ(sums.tokens_sum_of_squares, 2 * 1'600);
}

TEST(Sums, OfNothingDivideByNothing) {
  const Sums sums;
  EXPECT_EQ(sums.mean_latency_ms(), 0);
  EXPECT_EQ(sums.hit_rate(), 0);
  EXPECT_EQ(sums.mean_quality(), 0);
}

TEST(Sums, ReadBackWhatWasStored) {
  Sums sums;
  for (int i = 0; i < 50; ++i) {
    InferenceEvent event = answered();
    event.latency_ms = i * 7.125;
    event.cost = {i * 1'000'003LL - 25'000'000};
    event.fallback_used = i % 3 == 0;
    event.cache_hit = i % 4 == 0;
    event.cache_tier = event.cache_hit ? 1 + i % 3 : 0;
    sums.add(event);
  }
  std::string bytes;
  append_sums(bytes, sums, Latencies::kKept);
  const auto again = parse_sums(bytes);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->cost, sums.cost);
  EXPECT_EQ(again->savings, sums.savings);
  EXPECT_EQ(again->latency, sums.latency);
  EXPECT_EQ(again->hits_by_tier, sums.hits_by_tier);
  EXPECT_NEAR(again->latency_ms_sum, sums.latency_ms_sum, 1e-6);
  std::string second;
  append_sums(second, *again, Latencies::kKept);
  EXPECT_EQ(second, bytes) << "rewriting changes nothing";

  std::string lean;
  append_sums(lean, sums, Latencies::kLeftOut);
  EXPECT_TRUE(parse_sums(lean)->latency.empty());
  EXPECT_EQ(parse_sums(lean)->cost, sums.cost);
  EXPECT_FALSE(parse_sums(bytes.substr(0, 3)));
  EXPECT_FALSE(parse_sums(lean + "x"));
  EXPECT_EQ(parse_sums(std::string(1, '\0'))->requests, 0);
}

TEST(Pages, HoldNeighbouringKeys) {
  Page page;
  for (const std::int64_t number : {64, 65, 95}) {
    Sums sums;
    sums.requests = number;
    page.emplace_back(number, sums);
  }
  const std::string bytes = encode_page(page, 64, Latencies::kLeftOut);
  const auto again = parse_page(bytes, 64);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, page);
  EXPECT_FALSE(parse_page(bytes.substr(1), 64));
}

TEST(Pages, OfDamagedBytesAreRefused) {
  // A gap to a key beyond all numbers, a histogram whose counts no number holds.
  std::string gap("\x70", 1);
  gap += std::string("\x00", 1);
  append_varint(gap, std::numeric_limits<std::int64_t>::max());
  gap += std::string("\x00", 1);
  std::vector<NanoUsd> costs;
  std::vector<bool> seen;
  EXPECT_FALSE(parse_page(gap, 0));
  EXPECT_FALSE(merge_page(gap, {}, 0, Latencies::kKept));
  EXPECT_FALSE(add_costs(gap, 0, costs, seen));
  EXPECT_TRUE(costs.size() < 1'000);
  std::string histogram;
  for (int i = 0; i < 2; ++i) {
    append_varint(histogram, 1);
    append_signed(histogram, std::numeric_limits<std::int64_t>::max());
  }
  EXPECT_FALSE(LatencyHistogram::decode(histogram));
}

TEST(Starts, AreRoundedDownAlsoBefore1970) {
  EXPECT_EQ(rounded(61, Grain::kHour), 60);
  EXPECT_EQ(rounded(-1, Grain::kHour), -60);
  EXPECT_EQ(rounded(-1'440, Grain::kDay), -1'440);
}

}  // namespace
}  // namespace asahi::gateway::analytics
