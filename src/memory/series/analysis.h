#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

/// Numbers over time, and what can be said about them. Pure: points in, findings out.
namespace asahi::memory::series {

using Time = Clock::Time;

struct Point {
  Time at{};
  double value = 0;  ///< finite
  std::string system_id;
  std::string metadata = "{}";
};

/// Functions take points in any order and look at them by time (then by system); an empty optional
/// says that there are too few.

enum class Direction : std::uint8_t { kIncreasing, kDecreasing, kStable };
std::string_view to_string(Direction direction);

struct Trend {
  Direction direction = Direction::kStable;
  double slope = 0;           ///< per sample
  double strength = 0;        ///< R² of the line: 0 to 1; 0 without variance
  double percent_change = 0;  ///< (last − first) / first · 100; 0 where first is 0
  double confidence = 0;      ///< min(1, n / 100)
  Time from{}, to{};
  std::size_t points = 0;
};
/// Least squares over the sample's index; a slope above 0.01 increases, below −0.01 decreases. At
/// least 2 points.
std::optional<Trend> trend(std::span<const Point> points);

struct Anomaly {
  Point point;
  double z_score = 0;    ///< |value − mean| / standard deviation (of the population)
  double deviation = 0;  ///< value − mean
};
struct Anomalies {
  std::vector<Anomaly> list;  ///< by time
  std::size_t total_points = 0;
  double mean = 0, deviation = 0;
  double rate() const {
    return total_points == 0 ? 0
                             : static_cast<double>(list.size()) / static_cast<double>(total_points);
  }
};
/// Points with a z-score above `threshold`. At least 10 points.
std::optional<Anomalies> anomalies(std::span<const Point> points, double threshold = 3);

struct Correlation {
  std::string system_a, system_b;  ///< in their order
  double r = 0;                    ///< Pearson
  std::size_t hours = 0;           ///< compared
  bool strong() const { return r > 0.7 || r < -0.7; }
};
struct Correlations {
  std::vector<Correlation> list;  ///< |r| > 0.5, strongest first
  std::size_t systems = 0, total_points = 0;
};
/// Between each two systems: means per hour, joined on the hour, the last 100 hours of them; r is 0
/// without variance or with fewer than three hours in common. At least 10 points, and two systems
/// with 5 each; of more than 200 systems the 200 with most points.
std::optional<Correlations> correlations(std::span<const Point> points);

enum class TrendClass : std::uint8_t { kGradual, kAbrupt, kFlat, kNoise };
std::string_view to_string(TrendClass trend_class);

struct Segment {
  /// "up", "down" or "flat" (which noise is, too).
  std::string_view direction;
  Time start{}, end{};
  double days = 0;
  double total_change = 0;      ///< along the fitted line
  std::size_t change_rank = 0;  ///< 1: the largest |total_change|
  TrendClass trend_class = TrendClass::kFlat;
};
struct Changepoints {
  std::vector<Segment> segments;  ///< by time; where one ends the next begins
  std::size_t abrupt = 0;
  const Segment& latest() const { return segments.back(); }
};
/// Cuts a series into stretches of one line each: the cut of least squared error where every
/// further stretch must save 6 σ² ln n (piecewise regression by dynamic programming; σ from second
/// differences). A step between two stretches is a stretch of its own. A stretch is noise where it
/// scatters by a quarter of the whole range, flat where it changes by less than a tenth, abrupt
/// where it changes by three tenths or more within a step or a tenth of the samples, else gradual.
/// At least 5 points; more than 400 are averaged down.
std::optional<Changepoints> changepoints(std::span<const Point> points);

}  // namespace asahi::memory::series
