#include "gateway/analytics/compute/chance.h"

#include <gtest/gtest.h>

#include <cmath>

namespace asahi::gateway::analytics {
namespace {

TEST(Chance, BinomialTailsAreExact) {
  EXPECT_NEAR(binomial_tail(3, 3, 0.5), 0.125, 1e-12);
  EXPECT_NEAR(binomial_tail(2, 3, 0.1), 3 * 0.01 * 0.9 + 0.001, 1e-12);
  EXPECT_NEAR(binomial_tail(10, 10, 0.3), std::pow(0.3, 10), 1e-15);
  EXPECT_EQ(binomial_tail(0, 10, 0.3), 1);
  EXPECT_EQ(binomial_tail(11, 10, 0.3), 0);
  EXPECT_EQ(binomial_tail(1, 10, 0), 0);
  EXPECT_EQ(binomial_tail(5, 10, 1), 1);
}

TEST(Chance, PoissonTailsAreExact) {
  EXPECT_NEAR(poisson_tail(1, 0.5), 1 - std::exp(-0.5), 1e-12);
  EXPECT_NEAR(poisson_tail(3, 1), 1 - std::exp(-1.0) * 2.5, 1e-12);
  EXPECT_EQ(poisson_tail(0, 1), 1);
  EXPECT_EQ(poisson_tail(1, 0), 0);
}

TEST(Chance, LargeNumbersNeitherOverflowNorTakeLong) {
  EXPECT_GT(binomial_tail(5'050'000, 10'000'000, 0.5), 0);
  EXPECT_LT(binomial_tail(5'050'000, 10'000'000, 0.5), 1e-200);
  EXPECT_EQ(binomial_tail(9'000'000, 10'000'000, 0.01), 0);
  EXPECT_LT(poisson_tail(2'000'000, 1'000'000), 1e-300);
  EXPECT_EQ(poisson_tail(1, 1'000'000), 1);
}

}  // namespace
}  // namespace asahi::gateway::analytics
