// Breakdowns, cache figures, percentiles, savings, overview, leaderboard: what follows from sums.
#include <gtest/gtest.h>

#include "gateway/analytics/compute/breakdown.h"
#include "gateway/analytics/compute/cache_figures.h"
#include "gateway/analytics/compute/leaderboard.h"
#include "gateway/analytics/compute/overview.h"
#include "gateway/analytics/compute/percentiles.h"
#include "gateway/analytics/compute/rounding.h"
#include "gateway/analytics/compute/savings.h"
#include "gateway/analytics/testing/events.h"

namespace asahi::gateway::analytics {
namespace {

using testing::answered;
using testing::at;
using testing::failed;
using testing::hit;

const Clock::Time kThen = at("2026-11-22T10:00:00Z");

Bucket of(std::string key, std::vector<InferenceEvent> events) {
  return {.start = kThen, .key = std::move(key), .sums = testing::sums_of(events)};
}

TEST(Breakdown, HighestCostFirstAndUnknownForWhatLacksTheKey) {
  const auto keys = by_key({of("cheap", {answered(kThen, 0.001)}), of("", {answered(kThen, 0.5)}),
                            of("dear", {answered(kThen, 2)}), of("other", {answered(kThen, 9)}),
                            of("dear", {answered(kThen, 1)}), of("free", {hit(kThen)}),
                            of("often free", {hit(kThen), hit(kThen)})});
  std::vector<std::string> names;
  for (const KeySums& key : keys) names.push_back(key.key);
  EXPECT_EQ(names,
            (std::vector<std::string>{"dear", "unknown", "cheap", "often free", "free", "other"}));
  EXPECT_EQ(keys[0].sums.cost, nano_usd_from_dollars(3));
  EXPECT_EQ(total_of(keys).requests, 8);
  EXPECT_TRUE(by_key({}).empty());
}

TEST(CostDrivers, ArePairsOfModelAndTask) {
  const auto drivers =
      cost_drivers({of("gpt-4o\x1f"
                       "faq",
                       {answered(kThen, 3)}),
                    of("gpt-4o\x1f", {answered(kThen, 1)}), of("other", {answered(kThen, 12)}),
                    of("\x1f"
                       "legal",
                       {answered(kThen, 4)})},
                   3);
  ASSERT_EQ(drivers.size(), 3U);
  EXPECT_EQ(drivers[0].model, "unknown");
  EXPECT_EQ(drivers[0].task_type, "legal");
  EXPECT_EQ(drivers[0].share_pct, 20);
  EXPECT_EQ(drivers[1].model, "gpt-4o");
  EXPECT_EQ(drivers[1].task_type, "faq");
  EXPECT_EQ(drivers[2].task_type, "unknown");
}

TEST(CacheFigures, WhatATierMissedTheNextOneWasAsked) {
  const Sums sums = testing::sums_of({hit(kThen, 1), hit(kThen, 1), hit(kThen, 2), hit(kThen, 3),
                                      answered(kThen), answered(kThen), failed(kThen)});
  const CacheFigures figures = cache_figures(sums, {false, true, true, true});
  EXPECT_EQ(figures.lookups, 6);
  EXPECT_EQ(figures.hits, 4);
  EXPECT_EQ(figures.misses, 2);
  EXPECT_EQ(figures.hit_rate, 0.6667);
  EXPECT_EQ(figures.tiers[1].hits, 2);
  EXPECT_EQ(figures.tiers[1].misses, 4);
  EXPECT_EQ(figures.tiers[1].hit_rate, 0.3333);
  EXPECT_EQ(figures.tiers[2].misses, 3);
  EXPECT_EQ(figures.tiers[2].hit_rate, 0.25);
  EXPECT_EQ(figures.tiers[3].misses, 2);
  EXPECT_EQ(figures.tiers[1].saved, nano_usd_from_dollars(0.06));
  EXPECT_EQ(figures.saved, nano_usd_from_dollars(0.12));
  EXPECT_EQ(figures.tiers[1].avg_latency_ms, 2);
  EXPECT_EQ(figures.avg_hit_ms, 2);
  EXPECT_EQ(figures.avg_miss_ms, 800);
}

TEST(CacheFigures, ATierThatIsOffMissesNothing) {
  const Sums sums = testing::sums_of({answered(kThen), answered(kThen), hit(kThen, 2)});
  const CacheFigures figures = cache_figures(sums, {false, true, false, false});
  EXPECT_EQ(figures.tiers[1].misses, 3);
  EXPECT_EQ(figures.tiers[2].misses, 2) << "switched off since, but it was asked";
  EXPECT_EQ(figures.tiers[3].misses, 0);
  EXPECT_FALSE(figures.tiers[3].enabled);
  EXPECT_EQ(figures.tiers[3].hit_rate, 0);
}

TEST(CacheFigures, OfNothingAreZero) {
  const CacheFigures figures = cache_figures({}, {false, true, true, true});
  EXPECT_EQ(figures.hit_rate, 0);
  EXPECT_EQ(figures.avg_hit_ms, 0);
  EXPECT_EQ(figures.avg_miss_ms, 0);
  EXPECT_EQ(figures.tiers[1].avg_latency_ms, 0);
}

TEST(Percentiles, NearestRankWithinOnePercent) {
  Sums sums;
  for (int ms = 1; ms <= 1'000; ++ms) {
    InferenceEvent event = answered(kThen);
    event.latency_ms = ms;
    sums.add(event);
  }
  const Percentiles found = percentiles(sums);
  EXPECT_EQ(found.count, 1'000);
  EXPECT_EQ(found.mean, 500.5);
  EXPECT_NEAR(found.p50, 500, 5);
  EXPECT_NEAR(found.p75, 750, 7.5);
  EXPECT_NEAR(found.p90, 900, 9);
  EXPECT_NEAR(found.p95, 950, 9.5);
  EXPECT_NEAR(found.p99, 990, 9.9);
}

TEST(Percentiles, OfNothingAreZeroAndOfOneAreIt) {
  EXPECT_EQ(percentiles({}).p99, 0);
  EXPECT_EQ(percentiles({}).mean, 0);
  const Percentiles one = percentiles(testing::sums_of({answered(kThen)}));
  EXPECT_EQ(one.p50, one.p99);
  EXPECT_NEAR(one.p50, 800, 8);
  // A failure is no latency.
  EXPECT_EQ(percentiles(testing::sums_of({failed(kThen)})).count, 0);
}

TEST(Savings, TheWaterfallAddsUpExactly) {
  InferenceEvent trimmed = answered(kThen);
  trimmed.trim_savings = {1'234'567};
  InferenceEvent shared = answered(kThen);
  shared.batching_savings = {7'654'321};
  const Sums sums =
      testing::sums_of({answered(kThen), hit(kThen, 1), hit(kThen, 2), trimmed, shared});
  const auto steps = waterfall(sums);
  ASSERT_EQ(steps.size(), kSavings + 2);
  EXPECT_EQ(steps.front().key, "baseline");
  EXPECT_EQ(steps.back().key, "actual");
  NanoUsd level = steps.front().end;
  for (std::size_t i = 1; i + 1 < steps.size(); ++i) {
    EXPECT_EQ(steps[i].start, level) << steps[i].key;
    EXPECT_EQ(steps[i].end, level - steps[i].amount);
    level = steps[i].end;
  }
  EXPECT_EQ(level, sums.cost);
  EXPECT_EQ(steps.back().end, sums.cost);
}

TEST(Savings, OfNothingIsAFlatWaterfall) {
  for (const WaterfallStep& step : waterfall({})) {
    EXPECT_EQ(step.amount, NanoUsd{});
    EXPECT_EQ(step.share_pct, 0);
  }
}

TEST(Baseline, TheCachesShareIsOfWhatWasSaved) {
  const Sums sums = testing::sums_of({answered(kThen), hit(kThen)});  // 0.02 and 0.03
  const BaselineComparison compared = compare_with_baseline(sums);
  EXPECT_EQ(compared.baseline, nano_usd_from_dollars(0.06));
  EXPECT_EQ(compared.actual, nano_usd_from_dollars(0.01));
  EXPECT_EQ(compared.savings, nano_usd_from_dollars(0.05));
  EXPECT_EQ(compared.savings_pct, 83.33);
  EXPECT_EQ(compared.cache_contribution_pct, 60);
  EXPECT_EQ(compare_with_baseline({}).savings_pct, 0);
}

TEST(Overview, DeltasAreOfThePeriodBefore) {
  EXPECT_EQ(delta_pct(150, 100), 50);
  EXPECT_EQ(delta_pct(0, 100), -100);
  EXPECT_EQ(delta_pct(-1, -2), 50);
  EXPECT_EQ(delta_pct(1, 0), std::nullopt);
  const auto figures = overview_figures(testing::sums_of({answered(kThen), failed(kThen)}));
  EXPECT_EQ(figures[0].value, 2);
  EXPECT_EQ(figures[2].name, "error_rate");
  EXPECT_EQ(figures[2].value, 0.5);
  for (const Figure& figure : overview_figures({})) EXPECT_EQ(figure.value, 0) << figure.name;
}

TEST(Leaderboard, RanksLatencyUpwardsAndTheRestDownwards) {
  InferenceEvent slow = answered(kThen, 1);
  slow.latency_ms = 2'000;
  InferenceEvent fast = answered(kThen, 0.1);
  fast.latency_ms = 100;
  const std::vector<KeySums> models = {{"slow", testing::sums_of({slow, slow})},
                                       {"fast", testing::sums_of({fast})},
                                       {"broken", testing::sums_of({failed(kThen)})}};
  const auto order = [&](RankBy by) {
    std::string names;
    for (const ModelUse& use : rank_models(models, by))
      names += use.model + std::to_string(use.rank) + " ";
    return names;
  };
  EXPECT_EQ(order(RankBy::kLatency), "fast1 slow2 broken3 ");
  EXPECT_EQ(order(RankBy::kCost), "slow1 fast2 broken3 ");
  EXPECT_EQ(order(RankBy::kRequests), "slow1 broken2 fast2 ");
  EXPECT_EQ(order(RankBy::kErrorRate), "broken1 fast2 slow2 ");
  EXPECT_EQ(order(RankBy::kHallucinationRate), "broken1 fast1 slow1 ") << "none was looked at";
  const auto ranked = rank_models(models, RankBy::kCost);
  EXPECT_EQ(ranked[0].share_pct, 50);
  EXPECT_EQ(ranked[0].avg_cost, 1);
  EXPECT_EQ(ranked[0].avg_saving_pct, 66.67);
  EXPECT_TRUE(rank_models({}, RankBy::kCost).empty());

  InferenceEvent sound = answered(kThen, 1), invented = sound;
  sound.hallucination = false;
  invented.hallucination = true;
  const std::vector<KeySums> looked_at = {{"unseen", testing::sums_of({slow})},
                                          {"doubtful", testing::sums_of({sound, invented, slow})},
                                          {"sound", testing::sums_of({sound})}};
  const auto by_rate = rank_models(looked_at, RankBy::kHallucinationRate);
  EXPECT_EQ(by_rate[0].model, "sound");
  EXPECT_EQ(by_rate[1].sums.hallucination_rate(), 0.5);
  EXPECT_EQ(by_rate[2].sums.hallucination_rate(), std::nullopt);
}

TEST(Rounding, GivesNoMinusZeroAndNoInfinity) {
  EXPECT_FALSE(std::signbit(rounded(-0.00001, 2)));
  EXPECT_EQ(rounded(std::numeric_limits<double>::infinity(), 2), 0);
  EXPECT_EQ(rounded(2.345, 2), 2.35);
  EXPECT_EQ(share(1.0, 0.0), 0);
}

}  // namespace
}  // namespace asahi::gateway::analytics
