#include "gateway/analytics/compute/forecast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "gateway/analytics/compute/budget_risk.h"

namespace asahi::gateway::analytics {
namespace {

TEST(Forecast, NeedsThreeDays) {
  for (const std::vector<double>& few : {std::vector<double>{}, {5.0}, {5.0, 6.0}}) {
    const Forecast none = forecast(few, 30, 0.95);
    EXPECT_EQ(none.predicted, 0);
    EXPECT_EQ(none.low, 0);
    EXPECT_EQ(none.high, 0);
    EXPECT_EQ(none.trend, Trend::kStable);
    EXPECT_EQ(none.method, ForecastMethod::kNone);
    EXPECT_FALSE(none.warning.empty());
    EXPECT_EQ(none.days.size(), 30U);
  }
}

TEST(Forecast, UpToSevenDaysIsTheMovingAverageOfEach) {
  const std::vector<double> daily = {1, 2, 3};
  // α = 2 ÷ (3 + 1): 1 → 1.5 → 2.25
  EXPECT_DOUBLE_EQ(moving_average(daily), 2.25);
  const Forecast week = forecast(daily, 7, 0.95);
  EXPECT_EQ(week.method, ForecastMethod::kEma);
  EXPECT_DOUBLE_EQ(week.predicted, 7 * 2.25);
  // s = 1
  EXPECT_DOUBLE_EQ(week.high - week.predicted, 1.960 * std::sqrt(7.0));
  EXPECT_DOUBLE_EQ(week.days[6].value, 2.25);
}

TEST(Forecast, FurtherItIsAStraightLineByLeastSquares) {
  const std::vector<double> daily = {10, 12, 14, 16};
  const Forecast ahead = forecast(daily, 8, 0.99);
  EXPECT_EQ(ahead.method, ForecastMethod::kLinear);
  // 18 + 20 + … + 32
  EXPECT_DOUBLE_EQ(ahead.predicted, 200);
  EXPECT_DOUBLE_EQ(ahead.days[0].value, 18);
  EXPECT_EQ(ahead.confidence, 0.99);
  const double s = std::sqrt(20.0 / 3);
  EXPECT_DOUBLE_EQ(ahead.high, 200 + 2.576 * s * std::sqrt(8.0));
  EXPECT_EQ(ahead.trend, Trend::kRising);
  EXPECT_TRUE(ahead.warning.empty()) << "only from 14 days on";
  EXPECT_FALSE(forecast(daily, 14, 0.95).warning.empty());
}

TEST(Forecast, NoDayIsNegative) {
  const Forecast ahead = forecast(std::vector<double>{9, 6, 3}, 10, 0.95);
  EXPECT_EQ(ahead.predicted, 0);
  EXPECT_EQ(ahead.low, 0);
  EXPECT_EQ(ahead.trend, Trend::kFalling);
  for (const DayForecast& day : ahead.days) EXPECT_GE(day.value, 0);
}

TEST(Forecast, ItsDaysAddUp) {
  for (const int horizon : {1, 7, 8, 30, 365}) {
    const Forecast ahead = forecast(std::vector<double>{3, 1, 4, 1, 5, 9, 2, 6}, horizon, 0.9);
    double sum = 0;
    for (const DayForecast& day : ahead.days) sum += day.value;
    EXPECT_NEAR(sum, ahead.predicted, 1e-9);
    EXPECT_LE(ahead.low, ahead.predicted);
    EXPECT_GE(ahead.high, ahead.predicted);
  }
}

TEST(Forecast, LessThanFivePercentADayIsStable) {
  EXPECT_EQ(forecast(std::vector<double>{100, 104, 108}, 30, 0.95).trend, Trend::kStable);
  EXPECT_EQ(forecast(std::vector<double>{100, 106, 112}, 30, 0.95).trend, Trend::kRising);
  EXPECT_EQ(forecast(std::vector<double>{112, 106, 100}, 3, 0.95).trend, Trend::kFalling);
  EXPECT_EQ(forecast(std::vector<double>{0, 0, 0, 0}, 30, 0.95).trend, Trend::kStable);
}

TEST(Forecast, TakesTheNearestConfidence) {
  EXPECT_EQ(nearest_confidence(0.5).z, 1.282);
  EXPECT_EQ(nearest_confidence(0.84).z, 1.440);
  EXPECT_EQ(nearest_confidence(0.9).z, 1.645);
  EXPECT_EQ(nearest_confidence(0.94).z, 1.960);
  EXPECT_EQ(nearest_confidence(0.999).z, 2.576);
}

/// Costs with a level, a slope, quieter weekends and noise.
std::vector<double> costs(std::mt19937& random, int days, double slope, double weekend) {
  std::normal_distribution<double> noise(1, 0.08);
  std::vector<double> daily;
  for (int day = 0; day < days; ++day) {
    const double level = 100 * (1 + slope * day) * (day % 7 >= 5 ? weekend : 1);
    daily.push_back(std::max(0.0, level * noise(random)));
  }
  return daily;
}

TEST(Forecast, IsWithinTwentyPercentOnHeldOutDays) {
  for (const double slope : {0.0, 0.005, 0.01, -0.004}) {
    for (const double weekend : {1.0, 0.7}) {
      for (const int horizon : {7, 14, 30}) {
        for (unsigned seed = 1; seed <= 20; ++seed) {
          std::mt19937 random(seed);
          constexpr int kKnown = 30;
          const auto days = costs(random, kKnown + horizon, slope, weekend);
          const std::span<const double> all(days);
          const double actual = std::accumulate(days.begin() + kKnown, days.end(), 0.0);
          const double predicted = forecast(all.first(kKnown), horizon, 0.95).predicted;
          EXPECT_LT(std::abs(predicted - actual) / actual, 0.20)
              << "slope " << slope << ", weekend " << weekend << ", horizon " << horizon
              << ", seed " << seed;
        }
      }
    }
  }
}

TEST(BudgetRisk, SaysByHowMuchOrThatItMay) {
  Forecast thirty;
  thirty.method = ForecastMethod::kLinear;
  thirty.predicted = 120;
  thirty.high = 150;
  const auto over = budget_risk(thirty, 100);
  ASSERT_TRUE(over);
  EXPECT_NE(over->find("$20.00 more"), std::string::npos) << *over;
  const auto maybe = budget_risk(thirty, 130);
  ASSERT_TRUE(maybe);
  EXPECT_NE(maybe->find("Caution"), std::string::npos) << *maybe;
  EXPECT_FALSE(budget_risk(thirty, 150));
  EXPECT_FALSE(budget_risk(thirty, 0)) << "no budget";
  EXPECT_FALSE(budget_risk(forecast({}, 30, 0.95), 1)) << "nothing is known";
}

}  // namespace
}  // namespace asahi::gateway::analytics
