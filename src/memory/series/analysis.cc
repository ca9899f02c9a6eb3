#include "memory/series/analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace asahi::memory::series {
namespace {

std::vector<const Point*> by_time(std::span<const Point> points) {
  std::vector<const Point*> out;
  out.reserve(points.size());
  for (const Point& point : points) out.push_back(&point);
  std::ranges::sort(out, [](const Point* a, const Point* b) {
    if (a->at != b->at) return a->at < b->at;
    if (a->system_id != b->system_id) return a->system_id < b->system_id;
    return a->value < b->value;
  });
  return out;
}

/// A line through (x, y) by least squares.
struct Line {
  double slope = 0, at_zero = 0, r_squared = 0;
};
Line fit(std::span<const double> y) {
  const double n = static_cast<double>(y.size());
  const double mean_x = (n - 1) / 2;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xx = 0, xy = 0, yy = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double dx = static_cast<double>(i) - mean_x, dy = y[i] - mean_y;
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  Line out;
  out.slope = xx == 0 ? 0 : xy / xx;
  out.at_zero = mean_y - out.slope * mean_x;
  out.r_squared = xx == 0 || yy == 0 ? 0 : std::min(1.0, xy * xy / (xx * yy));
  return out;
}

double pearson(std::span<const std::pair<double, double>> pairs) {
  const double n = static_cast<double>(pairs.size());
  double mean_a = 0, mean_b = 0;
  for (const auto& [a, b] : pairs) {
    mean_a += a / n;
    mean_b += b / n;
  }
  double aa = 0, bb = 0, ab = 0;
  for (const auto& [a, b] : pairs) {
    aa += (a - mean_a) * (a - mean_a);
    bb += (b - mean_b) * (b - mean_b);
    ab += (a - mean_a) * (b - mean_b);
  }
  // Equal values differ from their mean by rounding only.
  const double none = 1e-24 * n * (mean_a * mean_a + mean_b * mean_b);
  if (aa <= none || bb <= none) return 0;
  return std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0);
}

}  // namespace

std::string_view to_string(Direction direction) {
  switch (direction) {
    case Direction::kIncreasing:
      return "increasing";
    case Direction::kDecreasing:
      return "decreasing";
    case Direction::kStable:
      return "stable";
  }
  return "stable";
}

std::optional<Trend> trend(std::span<const Point> points) {
  constexpr double kNotable = 0.01;
  if (points.size() < 2) return std::nullopt;
  const auto sorted = by_time(points);
  std::vector<double> values;
  for (const Point* point : sorted) values.push_back(point->value);
  const Line line = fit(values);
  Trend out;
  out.slope = line.slope;
  out.strength = line.r_squared;
  out.direction = line.slope > kNotable    ? Direction::kIncreasing
                  : line.slope < -kNotable ? Direction::kDecreasing
                                           : Direction::kStable;
  const double first = values.front(), last = values.back();
  out.percent_change = first == 0 ? 0 : (last - first) / first * 100;
  out.confidence = std::min(1.0, static_cast<double>(values.size()) / 100);
  out.from = sorted.front()->at;
  out.to = sorted.back()->at;
  out.points = values.size();
  return out;
}

std::optional<Anomalies> anomalies(std::span<const Point> points, double threshold) {
  constexpr std::size_t kLeast = 10;
  if (points.size() < kLeast) return std::nullopt;
  const double n = static_cast<double>(points.size());
  Anomalies out;
  out.total_points = points.size();
  for (const Point& point : points) out.mean += point.value / n;
  for (const Point& point : points)
    out.deviation += (point.value - out.mean) * (point.value - out.mean) / n;
  out.deviation = std::sqrt(out.deviation);
  // Equal values differ from their mean by rounding only.
  if (out.deviation <= 1e-12 * std::abs(out.mean)) return out;
  for (const Point* point : by_time(points)) {
    const double z = std::abs(point->value - out.mean) / out.deviation;
    if (z > threshold) out.list.push_back({*point, z, point->value - out.mean});
  }
  return out;
}

std::optional<Correlations> correlations(std::span<const Point> points) {
  constexpr std::size_t kLeast = 10, kLeastEach = 5, kMostHours = 100, kLeastHours = 3,
                        kMostSystems = 200;
  constexpr double kNotable = 0.5;
  if (points.size() < kLeast) return std::nullopt;
  struct Mean {
    double sum = 0, count = 0;
  };
  struct Hours {
    std::size_t points = 0;
    std::map<Time, Mean> means;
  };
  std::map<std::string_view, Hours> all;
  for (const Point& point : points) {
    Hours& own = all[point.system_id];
    ++own.points;
    Mean& mean = own.means[std::chrono::floor<std::chrono::hours>(point.at)];
    mean.sum += point.value;
    mean.count += 1;
  }
  std::vector<std::pair<std::string_view, const Hours*>> systems;
  for (const auto& [name, hours] : all) {
    if (hours.points >= kLeastEach) systems.emplace_back(name, &hours);
  }
  if (systems.size() < 2) return std::nullopt;
  if (systems.size() > kMostSystems) {
    std::ranges::sort(systems, [](const auto& a, const auto& b) {
      return a.second->points != b.second->points ? a.second->points > b.second->points
                                                  : a.first < b.first;
    });
    systems.resize(kMostSystems);
    std::ranges::sort(systems, {}, [](const auto& system) { return system.first; });
  }
  Correlations out;
  out.systems = systems.size();
  out.total_points = points.size();
  for (std::size_t i = 0; i < systems.size(); ++i) {
    for (std::size_t k = i + 1; k < systems.size(); ++k) {
      std::vector<std::pair<double, double>> joined;
      const auto &a = systems[i].second->means, &b = systems[k].second->means;
      auto at = a.rbegin();
      auto bt = b.rbegin();
      while (at != a.rend() && bt != b.rend() && joined.size() < kMostHours) {
        if (at->first == bt->first) {
          joined.emplace_back(at->second.sum / at->second.count, bt->second.sum / bt->second.count);
          ++at;
          ++bt;
        } else if (at->first > bt->first) {
          ++at;
        } else {
          ++bt;
        }
      }
      const double r = joined.size() < kLeastHours ? 0 : pearson(joined);
      if (std::abs(r) > kNotable)
        out.list.push_back(
            {std::string(systems[i].first), std::string(systems[k].first), r, joined.size()});
    }
  }
  std::ranges::sort(out.list, [](const Correlation& a, const Correlation& b) {
    if (std::abs(a.r) != std::abs(b.r)) return std::abs(a.r) > std::abs(b.r);
    return a.system_a != b.system_a ? a.system_a < b.system_a : a.system_b < b.system_b;
  });
  return out;
}

std::string_view to_string(TrendClass trend_class) {
  switch (trend_class) {
    case TrendClass::kGradual:
      return "gradual";
    case TrendClass::kAbrupt:
      return "abrupt";
    case TrendClass::kFlat:
      return "flat";
    case TrendClass::kNoise:
      return "noise";
  }
  return "flat";
}

namespace {

/// Sums from which the squared error of a line over any stretch follows at once.
class Errors {
 public:
  explicit Errors(std::span<const double> y) : x_(1), xx_(1), y_(1), xy_(1), yy_(1) {
    // Around the mean, or large values would eat the digits.
    const double mean = std::accumulate(y.begin(), y.end(), 0.0) / static_cast<double>(y.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double x = static_cast<double>(i), v = y[i] - mean;
      x_.push_back(x_.back() + x);
      xx_.push_back(xx_.back() + x * x);
      y_.push_back(y_.back() + v);
      xy_.push_back(xy_.back() + x * v);
      yy_.push_back(yy_.back() + v * v);
    }
  }
  /// Over [from, to).
  double of(std::size_t from, std::size_t to) const {
    const double n = static_cast<double>(to - from);
    if (to - from < 3) return 0;
    const double x = x_[to] - x_[from], y = y_[to] - y_[from];
    const double xx = xx_[to] - xx_[from] - x * x / n;
    const double xy = xy_[to] - xy_[from] - x * y / n;
    const double yy = yy_[to] - yy_[from] - y * y / n;
    return std::max(0.0, yy - xy * xy / xx);
  }

 private:
  std::vector<double> x_, xx_, y_, xy_, yy_;
};

/// Where stretches begin, the end included.
std::vector<std::size_t> cuts(std::span<const double> y, double penalty) {
  constexpr std::size_t kShortest = 3;
  const Errors errors(y);
  const std::size_t n = y.size();
  std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
  std::vector<std::size_t> before(n + 1, 0);
  best[0] = -penalty;
  for (std::size_t to = kShortest; to <= n; ++to) {
    for (std::size_t from = 0; from + kShortest <= to; ++from) {
      const double cost = best[from] + errors.of(from, to) + penalty;
      if (cost < best[to]) {
        best[to] = cost;
        before[to] = from;
      }
    }
  }
  std::vector<std::size_t> out{n};
  while (out.back() != 0) out.push_back(before[out.back()]);
  std::ranges::reverse(out);
  return out;
}

double noise_of(std::span<const double> y) {
  std::vector<double> second;
  for (std::size_t i = 1; i + 1 < y.size(); ++i)
    second.push_back(std::abs(y[i - 1] - 2 * y[i] + y[i + 1]));
  const auto middle = second.begin() + static_cast<std::ptrdiff_t>(second.size() / 2);
  std::nth_element(second.begin(), middle, second.end());
  // The median of |N(0, 6 σ²)|.
  return *middle / (0.6745 * std::sqrt(6.0));
}

}  // namespace

std::optional<Changepoints> changepoints(std::span<const Point> points) {
  constexpr std::size_t kLeast = 5, kMost = 400;
  constexpr double kFlatShare = 0.1, kAbruptShare = 0.3, kShortShare = 0.1, kNoiseShare = 0.25;
  if (points.size() < kLeast) return std::nullopt;
  std::vector<Time> times;
  std::vector<double> values;
  const auto sorted = by_time(points);
  const std::size_t samples = std::min(sorted.size(), kMost);
  for (std::size_t i = 0; i < samples; ++i) {
    const std::size_t from = i * sorted.size() / samples, to = (i + 1) * sorted.size() / samples;
    double sum = 0;
    for (std::size_t k = from; k < to; ++k) sum += sorted[k]->value;
    times.push_back(i + 1 == samples ? sorted[to - 1]->at : sorted[from]->at);
    values.push_back(sum / static_cast<double>(to - from));
  }
  const auto [low, high] = std::ranges::minmax(values);
  const double range = high - low;
  // A series without noise still has the rounding of its numbers.
  const double sigma = std::max(noise_of(values), 0.005 * range);
  const auto begins = cuts(values, 6 * sigma * sigma * std::log(static_cast<double>(samples)));

  Changepoints out;
  const auto add = [&](std::size_t first, std::size_t last, double change, double scatter) {
    Segment segment;
    segment.start = times[first];
    segment.end = times[last];
    segment.days =
        std::chrono::duration<double, std::ratio<86400>>(times[last] - times[first]).count();
    segment.total_change = change;
    const double steps = static_cast<double>(last - first);
    const bool brief = steps <= std::max(1.0, kShortShare * static_cast<double>(samples));
    if (range > 0 && scatter > kNoiseShare * range)
      segment.trend_class = TrendClass::kNoise;
    else if (range == 0 || std::abs(change) < kFlatShare * range)
      segment.trend_class = TrendClass::kFlat;
    else if (brief && std::abs(change) >= kAbruptShare * range)
      segment.trend_class = TrendClass::kAbrupt;
    else
      segment.trend_class = TrendClass::kGradual;
    const bool still =
        segment.trend_class == TrendClass::kFlat || segment.trend_class == TrendClass::kNoise;
    segment.direction = still ? "flat" : change > 0 ? "up" : "down";
    out.abrupt += segment.trend_class == TrendClass::kAbrupt ? 1 : 0;
    out.segments.push_back(segment);
  };
  double line_end = 0;
  for (std::size_t s = 0; s + 1 < begins.size(); ++s) {
    const std::size_t first = begins[s], last = begins[s + 1] - 1;
    const auto part = std::span(values).subspan(first, last - first + 1);
    const Line line = fit(part);
    double squares = 0;
    for (std::size_t i = 0; i < part.size(); ++i) {
      const double off = part[i] - line.at_zero - line.slope * static_cast<double>(i);
      squares += off * off;
    }
    const double scatter = std::sqrt(squares / static_cast<double>(part.size()));
    const double steps = static_cast<double>(last - first);
    // From the end of the last line to the beginning of this one: a step of its own where it is
    // more than either line and chance would take it.
    if (s > 0) {
      const double step = line.at_zero - line_end;
      if (std::abs(step) >= kFlatShare * range && std::abs(step) > 3 * sigma) {
        add(first - 1, first, step, 0);
      } else {
        // The stretch goes on from where the last one ended.
        out.segments.back().end = times[first];
        out.segments.back().days = std::chrono::duration<double, std::ratio<86400>>(
                                       times[first] - out.segments.back().start)
                                       .count();
      }
    }
    add(first, last, line.slope * steps, scatter);
    line_end = line.at_zero + line.slope * steps;
  }
  std::vector<std::size_t> order(out.segments.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const double x = std::abs(out.segments[a].total_change),
                 y = std::abs(out.segments[b].total_change);
    return x != y ? x > y : a < b;
  });
  for (std::size_t rank = 0; rank < order.size(); ++rank)
    out.segments[order[rank]].change_rank = rank + 1;
  return out;
}

}  // namespace asahi::memory::series
