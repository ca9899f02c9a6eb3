#pragma once

#include <string_view>
#include <vector>

#include "gateway/analytics/sums.h"

namespace asahi::gateway::analytics {

/// Cost against what the baseline model would have cost.
struct BaselineComparison {
  NanoUsd baseline, actual, savings;
  double savings_pct = 0;
  double cache_contribution_pct = 0;  ///< saving from hits ÷ total saving
};
BaselineComparison compare_with_baseline(const Sums& sums);
/// What hits of all tiers saved.
NanoUsd saved_by_cache(const Sums& sums);

/// One bar of the waterfall: a total from 0, or a saving from `start` down to `end`.
struct WaterfallStep {
  std::string_view key, label;
  bool total = false;
  NanoUsd amount;  ///< of a saving: positive when money was saved
  NanoUsd start, end;
  double share_pct = 0;  ///< of the baseline
};
/// Baseline → routing → the cache tiers → tokens → batching → actual; the steps add up exactly.
std::vector<WaterfallStep> waterfall(const Sums& sums);

}  // namespace asahi::gateway::analytics
