#include "gateway/batching/cost_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "gateway/routing/pricing.h"

namespace asahi::gateway {
namespace {

using ::testing::ElementsAre;

std::vector<std::int64_t> split(std::int64_t total, std::vector<std::int64_t> weights) {
  return split_exactly(total, weights);
}

TEST(SplitExactly, GivesTheRestToTheLargestRemainders) {
  EXPECT_THAT(split(100, {1, 1, 1}), ElementsAre(34, 33, 33));
  EXPECT_THAT(split(10, {1, 2, 4}), ElementsAre(1, 3, 6));
  EXPECT_THAT(split(7, {0, 0}), ElementsAre(4, 3)) << "no weights: equal parts";
  EXPECT_THAT(split(5, {0, 3}), ElementsAre(0, 5));
  EXPECT_THAT(split(0, {3, 4}), ElementsAre(0, 0));
}

TEST(SplitExactly, StaysExactForSumsThatOverflowAProduct) {
  const std::int64_t much = 4'000'000'000'000'000'000;
  const auto parts = split(much, {much / 2, much / 4, 1});
  EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), std::int64_t{0}), much);
}

TEST(SplitCall, TokensAndNanoDollarsAddUpToTheCallExactly) {
  std::mt19937_64 random(7);
  const auto upto = [&](std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(0, most)(random);
  };
  ModelProfile model;
  model.name = "m";
  model.input.pico_per_token = 2'500'333;
  model.output.pico_per_token = 10'000'777;
  model.cached_input.pico_per_token = 250'019;
  model.cache_write.pico_per_token = 3'125'111;
  for (int round = 0; round < 2'000; ++round) {
    llm::Usage usage;
    usage.input = upto(5'000);
    usage.cached_input = upto(usage.input);
    usage.cache_write_input = upto(usage.input - usage.cached_input);
    usage.output = upto(3'000);
    usage.reasoning_output = upto(usage.output);
    std::vector<std::int64_t> texts, answers;
    for (std::int64_t i = 2 + upto(8); i > 0; --i) {
      texts.push_back(upto(400));
      answers.push_back(upto(300));
    }
    llm::Usage sum;
    NanoUsd cost;
    for (const CallShare& share : split_call(usage, model, texts, answers)) {
      EXPECT_LE(share.usage.cached_input, share.usage.input);
      EXPECT_LE(share.usage.reasoning_output, share.usage.output);
      EXPECT_GE(share.cost.nanos, 0);
      sum.input += share.usage.input;
      sum.cached_input += share.usage.cached_input;
      sum.cache_write_input += share.usage.cache_write_input;
      sum.output += share.usage.output;
      sum.reasoning_output += share.usage.reasoning_output;
      cost += share.cost;
    }
    EXPECT_EQ(sum, usage);
    EXPECT_EQ(cost, cost_of(usage, model));
  }
}

TEST(SplitCall, EveryonePaysHisOwnTextAndAnEqualPartOfTheRest) {
  ModelProfile model;
  model.input = TokenPrice::per_1k(0.001);
  model.output = TokenPrice::per_1k(0.002);
  const auto shares =
      split_call({.input = 1'000, .output = 400, .reported = true}, model,
                 std::vector<std::int64_t>{100, 300}, std::vector<std::int64_t>{30, 10});
  EXPECT_EQ(shares[0].usage.input, 400) << "100 and half of the 600 in common";
  EXPECT_EQ(shares[1].usage.input, 600);
  EXPECT_EQ(shares[0].usage.output, 300);
  EXPECT_EQ(shares[0].cost.nanos, 400'000 + 600'000);
  EXPECT_EQ(shares[1].cost.nanos, 600'000 + 200'000);
}

}  // namespace
}  // namespace asahi::gateway
