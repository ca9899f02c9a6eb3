#include "gateway/analytics/compute/trends.h"

#include <array>
#include <utility>

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::array<std::pair<std::string_view, Metric>, 12> kMetrics = {{
    {"cost", Metric::kCost},
    {"latency", Metric::kLatency},
    {"requests", Metric::kRequests},
    {"cache_hit_rate", Metric::kCacheHitRate},
    {"savings", Metric::kSavings},
    {"errors", Metric::kErrors},
    {"error_rate", Metric::kErrorRate},
    {"tokens", Metric::kTokens},
    {"quality", Metric::kQuality},
    {"latency_p50", Metric::kLatencyP50},
    {"latency_p95", Metric::kLatencyP95},
    {"latency_p99", Metric::kLatencyP99},
}};

}  // namespace

std::optional<Metric> parse_metric(std::string_view word) {
  for (const auto& [name, metric] : kMetrics) {
    if (name == word) return metric;
  }
  return std::nullopt;
}

bool is_money(Metric metric) { return metric == Metric::kCost || metric == Metric::kSavings; }

double value_of(const Sums& sums, Metric metric) {
  switch (metric) {
    case Metric::kCost:
      return shown_dollars(sums.cost);
    case Metric::kLatency:
      return rounded(sums.mean_latency_ms(), 2);
    case Metric::kRequests:
      return static_cast<double>(sums.requests);
    case Metric::kCacheHitRate:
      return rounded(sums.hit_rate(), 4);
    case Metric::kSavings:
      return shown_dollars(sums.total_savings());
    case Metric::kErrors:
      return static_cast<double>(sums.errors);
    case Metric::kErrorRate:
      return rounded(share(sums.errors, sums.requests), 4);
    case Metric::kTokens:
      return static_cast<double>(sums.input_tokens + sums.output_tokens);
    case Metric::kQuality:
      return rounded(sums.mean_quality(), 2);
    case Metric::kLatencyP50:
      return rounded(sums.latency.percentile(50), 2);
    case Metric::kLatencyP95:
      return rounded(sums.latency.percentile(95), 2);
    case Metric::kLatencyP99:
      break;
  }
  return rounded(sums.latency.percentile(99), 2);
}

std::vector<Bucket> equal_intervals(std::span<const Bucket> buckets, const Window& window,
                                    std::size_t count) {
  const auto whole = window.length().count();
  const auto n = static_cast<std::int64_t>(count);
  std::vector<Bucket> intervals(count);
  for (std::int64_t i = 0; i < n; ++i) {
    // In nanoseconds a year times a thousand does not fit 64 bits.
    const std::int64_t milliseconds = whole * 1'000 / n * i + whole * 1'000 % n * i / n;
    intervals[static_cast<std::size_t>(i)].start =
        window.from + std::chrono::milliseconds(milliseconds);
  }
  for (const Bucket& bucket : buckets) {
    if (bucket.start < window.from || bucket.start >= window.to) continue;
    const auto at =
        std::chrono::duration_cast<std::chrono::seconds>(bucket.start - window.from).count();
    intervals[static_cast<std::size_t>(at * n / whole)].sums += bucket.sums;
  }
  return intervals;
}

std::vector<TrendPoint> trend(std::span<const Bucket> intervals, Metric metric) {
  std::vector<TrendPoint> points;
  points.reserve(intervals.size());
  for (const Bucket& interval : intervals) {
    points.push_back({interval.start, value_of(interval.sums, metric), interval.sums.requests});
  }
  return points;
}

std::chrono::seconds reading_step(const Window& window, std::size_t count) {
  const auto unit = length(window.unit);
  const auto n = static_cast<std::int64_t>(count);
  const auto whole = window.length().count();
  if (whole % n == 0 && whole / n % unit.count() == 0) return std::chrono::seconds(whole / n);
  return unit;
}

}  // namespace asahi::gateway::analytics
