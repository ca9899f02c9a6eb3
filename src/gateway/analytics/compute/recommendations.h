#pragma once

#include <string>
#include <vector>

#include "gateway/analytics/compute/breakdown.h"
#include "gateway/analytics/compute/cache_figures.h"

namespace asahi::gateway::analytics {

enum class Priority { kHigh, kMedium, kLow };
std::string_view to_string(Priority priority);

struct Recommendation {
  std::string id;        ///< the same for the same finding
  std::string category;  ///< "cache", "routing", "token", "model"
  std::string title, description;
  double estimated_savings = 0;  ///< dollars over the window; 0: cannot be told
  Priority priority = Priority::kLow;
  std::string action;
};

/// Below this many requests nothing is recommended.
inline constexpr std::int64_t kRequestsNeeded = 10;

/// What would save money (spec §8), high priority first. `models`: sums by model of the same
/// events.
std::vector<Recommendation> recommendations(const Sums& all, const std::vector<KeySums>& models,
                                            const TiersOn& tiers);

}  // namespace asahi::gateway::analytics
