#include "gateway/analytics/compute/cache_figures.h"

#include <algorithm>

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {

std::array<std::int64_t, 4> misses_by_tier(std::int64_t lookups,
                                           const std::array<std::int64_t, 4>& hits,
                                           const TiersOn& on) {
  std::array<std::int64_t, 4> misses{};
  std::int64_t left = lookups;
  for (std::size_t tier = 1; tier < hits.size(); ++tier) {
    left = std::max<std::int64_t>(0, left - hits[tier]);
    if (on[tier] || hits[tier] > 0) misses[tier] = left;
  }
  return misses;
}

CacheFigures cache_figures(const Sums& sums, const TiersOn& on) {
  CacheFigures figures;
  const auto misses = misses_by_tier(sums.lookups, sums.hits_by_tier, on);
  double hit_ms = 0;
  for (std::size_t tier = 1; tier < figures.tiers.size(); ++tier) {
    TierFigures& one = figures.tiers[tier];
    one.enabled = on[tier];
    one.hits = sums.hits_by_tier[tier];
    one.misses = misses[tier];
    one.hit_rate = rounded(share(one.hits, one.hits + one.misses), 4);
    one.avg_latency_ms = rounded(share(sums.lookup_ms_sum[tier], static_cast<double>(one.hits)), 2);
    one.saved = sums.savings[static_cast<std::size_t>(Saving::kCacheTier1) + tier - 1];
    figures.saved += one.saved;
    hit_ms += sums.lookup_ms_sum[tier];
  }
  figures.lookups = sums.lookups;
  figures.hits = sums.hits();
  figures.misses = std::max<std::int64_t>(0, sums.lookups - figures.hits);
  figures.hit_rate = rounded(share(figures.hits, figures.lookups), 4);
  figures.avg_hit_ms = rounded(share(hit_ms, static_cast<double>(figures.hits)), 2);
  figures.avg_miss_ms =
      rounded(share(sums.lookup_ms_sum[0], static_cast<double>(sums.answered() - figures.hits)), 2);
  return figures;
}

}  // namespace asahi::gateway::analytics
