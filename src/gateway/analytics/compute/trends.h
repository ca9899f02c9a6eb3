#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "gateway/analytics/compute/window.h"
#include "gateway/analytics/store.h"

namespace asahi::gateway::analytics {

/// What a line over time shows.
enum class Metric {
  kCost,
  kLatency,  ///< mean, ms
  kRequests,
  kCacheHitRate,  ///< hits ÷ lookups
  kSavings,
  kErrors,
  kErrorRate,
  kTokens,  ///< input and output
  kQuality,
  kLatencyP50,
  kLatencyP95,
  kLatencyP99,
};
std::optional<Metric> parse_metric(std::string_view word);
/// Cost in dollars with 6 decimals, latency with 2, rates with 4.
double value_of(const Sums& sums, Metric metric);
/// True for what only those may see who may see costs.
bool is_money(Metric metric);

struct TrendPoint {
  Clock::Time start;
  double value = 0;
  std::int64_t requests = 0;
};

/// The sums of `count` equal intervals of the window; a bucket belongs to the interval that its
/// start lies in. Intervals without a bucket are empty sums.
std::vector<Bucket> equal_intervals(std::span<const Bucket> buckets, const Window& window,
                                    std::size_t count);
std::vector<TrendPoint> trend(std::span<const Bucket> intervals, Metric metric);

/// The step with which to read the store for `count` intervals: their own width where rollups meet
/// it, else the window's unit.
std::chrono::seconds reading_step(const Window& window, std::size_t count);

}  // namespace asahi::gateway::analytics
