#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/analytics/compute/breakdown.h"

namespace asahi::gateway::analytics {

/// What models are ranked by.
enum class RankBy {
  kCost,
  kRequests,
  kLatency,
  kHitRate,
  kSavings,  ///< average saving in percent of the baseline
  kQuality,
  kErrorRate,
  kHallucinationRate,
};
std::optional<RankBy> parse_rank_by(std::string_view word);

struct ModelUse {
  int rank = 0;  ///< from 1; equal values share one
  std::string model;
  double share_pct = 0;  ///< of all requests
  double avg_cost = 0, avg_saving_pct = 0, error_rate = 0, hit_rate = 0;
  Sums sums;
};
/// Best first: lowest latency and hallucination rate, highest of all else. Latency counts only
/// where a request was answered. Hallucinations are not told per request: ranking by them goes by
/// name.
std::vector<ModelUse> rank_models(std::vector<KeySums> models, RankBy by);

}  // namespace asahi::gateway::analytics
