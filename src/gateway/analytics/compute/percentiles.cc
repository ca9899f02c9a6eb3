#include "gateway/analytics/compute/percentiles.h"

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {

Percentiles percentiles(const Sums& sums) {
  const auto at = [&](double p) { return rounded(sums.latency.percentile(p), 2); };
  return {.count = sums.latency.count(),
          .mean = rounded(sums.mean_latency_ms(), 2),
          .p50 = at(50),
          .p75 = at(75),
          .p90 = at(90),
          .p95 = at(95),
          .p99 = at(99)};
}

}  // namespace asahi::gateway::analytics
