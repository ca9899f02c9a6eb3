#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/analytics/store.h"

namespace asahi::gateway::analytics {

/// One key with its sums over a whole window.
struct KeySums {
  std::string key;
  Sums sums;
};

/// "unknown" for what lacks the key.
std::string shown_key(std::string_view key);

/// Sums by key over all buckets, highest cost first; equal costs: more requests first, then by
/// name. The rest that the store folded together ("other") is last.
std::vector<KeySums> by_key(std::vector<Bucket> buckets);
/// Everything together.
Sums total_of(const std::vector<KeySums>& keys);

/// A pair of model and task that money goes into.
struct CostDriver {
  std::string model, task_type;
  Sums sums;
  double share_pct = 0;  ///< of all cost
};
/// From buckets by Dimension::kModelTask; at most `limit`, highest cost first.
std::vector<CostDriver> cost_drivers(std::vector<Bucket> buckets, std::size_t limit);

}  // namespace asahi::gateway::analytics
