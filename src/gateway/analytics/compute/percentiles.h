#pragma once

#include "gateway/analytics/sums.h"

namespace asahi::gateway::analytics {

/// Nearest rank, milliseconds with two decimals; zeros when empty.
struct Percentiles {
  std::int64_t count = 0;
  double mean = 0, p50 = 0, p75 = 0, p90 = 0, p95 = 0, p99 = 0;
};
Percentiles percentiles(const Sums& sums);

}  // namespace asahi::gateway::analytics
