#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::gateway::analytics {

/// α = 2 ÷ (min(7, n) + 1), from the first value on; 0 without values (spec §8).
double moving_average(std::span<const double> values);

/// The z value of the nearest of the confidences 0.80, 0.85, 0.90, 0.95 and 0.99.
struct Confidence {
  double level = 0.95, z = 1.960;
};
Confidence nearest_confidence(double wanted);

enum class Trend { kStable, kRising, kFalling };
std::string_view to_string(Trend trend);
enum class ForecastMethod { kNone, kEma, kLinear };
std::string_view to_string(ForecastMethod method);

struct DayForecast {
  double value = 0, low = 0, high = 0;
};
struct Forecast {
  ForecastMethod method = ForecastMethod::kNone;
  double predicted = 0, low = 0, high = 0;  ///< over the whole horizon; low ≥ 0
  double confidence = 0.95;
  Trend trend = Trend::kStable;
  std::string warning;            ///< empty: none
  std::vector<DayForecast> days;  ///< of the horizon
};

/// What the next `horizon` days cost, from the totals of days, oldest first (spec §8). Fewer than
/// three: zeros. Up to seven days ahead the moving average of each; further a straight line by
/// least squares, each day at least 0. The interval is ± z·s·√horizon with s the sample deviation.
Forecast forecast(std::span<const double> daily, int horizon, double confidence);

}  // namespace asahi::gateway::analytics
