#include "gateway/analytics/compute/forecast.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace asahi::gateway::analytics {
namespace {

constexpr std::size_t kFewestDays = 3;
constexpr int kNearDays = 7, kFarDays = 14;
constexpr double kStableSlope = 0.05;  // of the mean, per day

struct Line {
  double start = 0, slope = 0;  ///< the value of day 0, and per day
  double at(double day) const { return start + slope * day; }
};

Line least_squares(std::span<const double> daily, double mean) {
  const double middle = static_cast<double>(daily.size() - 1) / 2;
  double together = 0, spread = 0;
  for (std::size_t day = 0; day < daily.size(); ++day) {
    const double x = static_cast<double>(day) - middle;
    together += x * (daily[day] - mean);
    spread += x * x;
  }
  const double slope = spread == 0 ? 0 : together / spread;
  return {.start = mean - slope * middle, .slope = slope};
}

}  // namespace

double moving_average(std::span<const double> values) {
  if (values.empty()) return 0;
  const double alpha = 2.0 / (static_cast<double>(std::min<std::size_t>(7, values.size())) + 1);
  double average = values.front();
  for (const double value : values.subspan(1)) average += alpha * (value - average);
  return average;
}

Confidence nearest_confidence(double wanted) {
  static constexpr std::array<Confidence, 5> kKnown = {
      {{0.80, 1.282}, {0.85, 1.440}, {0.90, 1.645}, {0.95, 1.960}, {0.99, 2.576}}};
  return *std::ranges::min_element(
      kKnown, {}, [&](const Confidence& known) { return std::abs(known.level - wanted); });
}

std::string_view to_string(Trend trend) {
  return trend == Trend::kRising ? "rising" : trend == Trend::kFalling ? "falling" : "stable";
}

std::string_view to_string(ForecastMethod method) {
  return method == ForecastMethod::kEma      ? "ema"
         : method == ForecastMethod::kLinear ? "linear"
                                             : "none";
}

Forecast forecast(std::span<const double> daily, int horizon, double confidence) {
  const Confidence chosen = nearest_confidence(confidence);
  Forecast result;
  result.confidence = chosen.level;
  result.days.resize(static_cast<std::size_t>(horizon));
  if (daily.size() < kFewestDays) {
    result.warning =
        fmt::format("There are {} whole days of data so far; a forecast needs at least {}.",
                    daily.size(), kFewestDays);
    return result;
  }
  const double count = static_cast<double>(daily.size());
  const double mean = std::accumulate(daily.begin(), daily.end(), 0.0) / count;
  double squares = 0;
  for (const double value : daily) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / (count - 1));
  const Line line = least_squares(daily, mean);
  const double near = moving_average(daily);

  result.method = horizon <= kNearDays ? ForecastMethod::kEma : ForecastMethod::kLinear;
  for (std::size_t i = 0; i < result.days.size(); ++i) {
    DayForecast& day = result.days[i];
    day.value = result.method == ForecastMethod::kEma
                    ? near
                    : std::max(0.0, line.at(count + static_cast<double>(i)));
    day.low = std::max(0.0, day.value - chosen.z * deviation);
    day.high = day.value + chosen.z * deviation;
    result.predicted += day.value;
  }
  const double margin = chosen.z * deviation * std::sqrt(static_cast<double>(horizon));
  result.low = std::max(0.0, result.predicted - margin);
  result.high = result.predicted + margin;
  // A slope lost in rounding is none.
  if (mean > 0 && std::abs(line.slope) / mean >= kStableSlope) {
    result.trend = line.slope > 0 ? Trend::kRising : Trend::kFalling;
  }
  if (result.trend == Trend::kRising && horizon >= kFarDays) {
    result.warning = fmt::format(
        "Costs rise by {:.1f} % of their mean per day; a straight line over {} days is uncertain.",
        100 * line.slope / mean, horizon);
  }
  return result;
}

}  // namespace asahi::gateway::analytics
