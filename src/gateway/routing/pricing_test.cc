#include "gateway/routing/pricing.h"

#include <gtest/gtest.h>

#include <limits>

namespace asahi::gateway {
namespace {

/// Prices per 1,000 tokens that tell the kinds of tokens apart.
ModelProfile model() {
  ModelProfile m;
  m.name = m.vendor_model = "m";
  m.input = TokenPrice::per_1k(0.003);
  m.output = TokenPrice::per_1k(0.015);
  m.cached_input = TokenPrice::per_1k(0.0003);
  m.cache_write = TokenPrice::per_1k(0.00375);
  m.cache_write_1h = TokenPrice::per_1k(0.006);
  m.audio_input = TokenPrice::per_1k(0.04);
  m.audio_output = TokenPrice::per_1k(0.08);
  return m;
}

constexpr BaselineRates kBaseline{TokenPrice{10'000'000}, TokenPrice{30'000'000}};

TEST(Pricing, TokensTimesPricePerThousand) {
  EXPECT_EQ(cost_of({.input = 1000, .output = 500}, model()).nanos, 3'000'000 + 7'500'000);
  EXPECT_EQ(cost_of({.input = 1, .output = 0}, model()).nanos, 3'000);
  EXPECT_EQ(cost_of({}, model()).nanos, 0);
}

TEST(Pricing, PaysEachTokenOnceAtThePriceOfItsKind) {
  const llm::Usage usage{.input = 1000,
                         .cached_input = 400,
                         .cache_write_input = 200,
                         .cache_write_1h_input = 100,
                         .audio_input = 50,
                         .output = 300,
                         .reasoning_output = 200,
                         .audio_output = 100};
  // 400·0.3 + 200·3.75 + 100·6 + 50·40 + 250·3 + 100·80 + 200·15 micro-dollars
  EXPECT_EQ(cost_of(usage, model()).nanos,
            120'000 + 750'000 + 600'000 + 2'000'000 + 750'000 + 8'000'000 + 3'000'000);
}

TEST(Pricing, ReasoningIsPartOfTheOutput) {
  EXPECT_EQ(cost_of({.output = 100, .reasoning_output = 90}, model()),
            cost_of({.output = 100}, model()));
}

TEST(Pricing, CutsDetailsThatExceedTheirTotal) {
  EXPECT_EQ(cost_of({.input = 10, .cached_input = 50}, model()).nanos, 10 * 300);
  EXPECT_EQ(cost_of({.input = 10, .cached_input = 6, .cache_write_input = 9}, model()).nanos,
            6 * 300 + 4 * 3'750);
  EXPECT_EQ(cost_of({.output = 5, .audio_output = 9}, model()).nanos, 5 * 80'000);
}

TEST(Pricing, TreatsNegativeCountsAsZero) {
  EXPECT_EQ(cost_of({.input = -5, .output = -7}, model()).nanos, 0);
  EXPECT_EQ(cost_of({.input = 10, .cached_input = -4}, model()).nanos, 10 * 3'000);
}

TEST(Pricing, AbsurdCountsDoNotOverflow) {
  constexpr auto kHuge = std::numeric_limits<std::int64_t>::max();
  ModelProfile dear = model();
  dear.input = dear.output = TokenPrice::per_1k(10);
  const NanoUsd cost = cost_of({.input = kHuge, .cached_input = kHuge, .output = kHuge}, dear);
  EXPECT_GT(cost.nanos, 0);
  EXPECT_GT(baseline_cost(kHuge, kHuge, kBaseline).nanos, 0);
  EXPECT_GT(estimate_cost(dear, kHuge).nanos, 0);
}

TEST(Pricing, SumsOfTinyCostsStayExact) {
  ModelProfile cheap = model();
  cheap.input = TokenPrice::per_1k(0.000075);
  cheap.cached_input = TokenPrice{18'750};
  // 1 token at $0.00000001875 is 18.75 nano-dollars: rounded once, half up, at the end.
  EXPECT_EQ(cost_of({.input = 1, .cached_input = 1}, cheap).nanos, 19);
  EXPECT_EQ(cost_of({.input = 4, .cached_input = 4}, cheap).nanos, 75);
}

TEST(Pricing, BaselineAndSavings) {
  const ModelProfile m = model();
  const CallCost call = price_call({.input = 1000, .output = 1000}, &m, kBaseline);
  EXPECT_EQ(call.cost.nanos, 18'000'000);
  EXPECT_EQ(call.baseline.nanos, 40'000'000);
  EXPECT_EQ(call.savings.nanos, 22'000'000);
  EXPECT_DOUBLE_EQ(call.savings_percent, 55.0);
}

TEST(Pricing, ADearerModelSavesANegativeAmount) {
  ModelProfile m = model();
  m.input = m.cached_input = TokenPrice::per_1k(0.015);
  m.output = TokenPrice::per_1k(0.075);
  const CallCost call = price_call({.input = 1000, .output = 1000}, &m, kBaseline);
  EXPECT_EQ(call.savings.nanos, -50'000'000);
  EXPECT_DOUBLE_EQ(call.savings_percent, -125.0);
}

TEST(Pricing, AnUnknownModelCostsNothing) {
  const CallCost call = price_call({.input = 1000, .output = 1000}, nullptr, kBaseline);
  EXPECT_EQ(call.cost.nanos, 0);
  EXPECT_EQ(call.savings, call.baseline);
}

TEST(Pricing, OutputEstimateIsSixTenthsButAtLeastTwenty) {
  const struct {
    std::int64_t input, output;
  } rows[] = {{-3, 20}, {0, 20}, {33, 20}, {34, 20}, {35, 21}, {36, 21}, {100, 60}, {101, 60}};
  for (const auto& row : rows) {
    EXPECT_EQ(estimate_output_tokens(row.input), row.output) << row.input;
  }
}

TEST(Pricing, EstimateBeforeACall) {
  EXPECT_EQ(estimate_cost(model(), 100).nanos, 100 * 3'000 + 60 * 15'000);
  EXPECT_EQ(estimate_cost(model(), 0).nanos, 20 * 15'000);
}

TEST(Pricing, PercentSavedHasOneDecimal) {
  EXPECT_DOUBLE_EQ(percent_saved({3'000}, {1'000}), 66.7);
  EXPECT_DOUBLE_EQ(percent_saved({1'000}, {3'000}), -200.0);
  EXPECT_DOUBLE_EQ(percent_saved({0}, {1'000}), 0.0);
}

}  // namespace
}  // namespace asahi::gateway
