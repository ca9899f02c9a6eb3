#pragma once

#include <array>

#include "gateway/analytics/sums.h"

namespace asahi::gateway::analytics {

/// Which cache tiers are switched on; index 1 to 3.
using TiersOn = std::array<bool, 4>;

struct TierFigures {
  bool enabled = false;
  std::int64_t hits = 0, misses = 0;
  double hit_rate = 0;        ///< hits ÷ lookups in this tier, four decimals
  double avg_latency_ms = 0;  ///< of the requests it answered
  NanoUsd saved;
};

/// How the tiers did. A request falls through them in order: what one missed is what the next was
/// asked. A tier that is off and had no hit was asked nothing.
struct CacheFigures {
  std::array<TierFigures, 4> tiers;  ///< index 1 to 3
  std::int64_t lookups = 0, hits = 0, misses = 0;
  double hit_rate = 0;  ///< four decimals
  NanoUsd saved;
  double avg_hit_ms = 0, avg_miss_ms = 0;
};
CacheFigures cache_figures(const Sums& sums, const TiersOn& on);

/// Misses of each tier from the hits of all, by the same rule.
std::array<std::int64_t, 4> misses_by_tier(std::int64_t lookups,
                                           const std::array<std::int64_t, 4>& hits,
                                           const TiersOn& on);

}  // namespace asahi::gateway::analytics
