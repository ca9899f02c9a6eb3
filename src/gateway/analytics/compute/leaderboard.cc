#include "gateway/analytics/compute/leaderboard.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::array<std::pair<std::string_view, RankBy>, 8> kOrders = {{
    {"cost", RankBy::kCost},
    {"requests", RankBy::kRequests},
    {"latency", RankBy::kLatency},
    {"hit_rate", RankBy::kHitRate},
    {"savings", RankBy::kSavings},
    {"quality", RankBy::kQuality},
    {"error_rate", RankBy::kErrorRate},
    {"hallucination_rate", RankBy::kHallucinationRate},
}};

/// Greater is better.
double worth(const ModelUse& use, RankBy by) {
  switch (by) {
    case RankBy::kCost:
      return use.sums.cost.dollars();
    case RankBy::kRequests:
      return static_cast<double>(use.sums.requests);
    case RankBy::kLatency:
      return use.sums.latency.empty() ? -std::numeric_limits<double>::infinity()
                                      : -use.sums.mean_latency_ms();
    case RankBy::kHitRate:
      return use.hit_rate;
    case RankBy::kSavings:
      return use.avg_saving_pct;
    case RankBy::kQuality:
      return use.sums.mean_quality();
    case RankBy::kErrorRate:
      return use.error_rate;
    case RankBy::kHallucinationRate:
      break;
  }
  const auto rate = use.sums.hallucination_rate();
  return rate ? -*rate : -std::numeric_limits<double>::infinity();
}

}  // namespace

std::optional<RankBy> parse_rank_by(std::string_view word) {
  for (const auto& [name, by] : kOrders) {
    if (name == word) return by;
  }
  return std::nullopt;
}

std::vector<ModelUse> rank_models(std::vector<KeySums> models, RankBy by) {
  std::int64_t requests = 0;
  for (const KeySums& model : models) requests += model.sums.requests;
  std::vector<ModelUse> ranked;
  ranked.reserve(models.size());
  for (KeySums& model : models) {
    ModelUse use;
    use.model = std::move(model.key);
    use.sums = std::move(model.sums);
    const Sums& sums = use.sums;
    const double count = static_cast<double>(sums.requests);
    use.share_pct = percent(count, static_cast<double>(requests));
    use.avg_cost = rounded(share(sums.cost.dollars(), count), 6);
    use.avg_saving_pct = percent(sums.total_savings().dollars(), sums.baseline_cost.dollars());
    use.error_rate = rounded(share(sums.errors, sums.requests), 4);
    use.hit_rate = rounded(sums.hit_rate(), 4);
    ranked.push_back(std::move(use));
  }
  std::ranges::sort(ranked, [&](const ModelUse& one, const ModelUse& other) {
    const double first = worth(one, by), second = worth(other, by);
    return first != second ? first > second : one.model < other.model;
  });
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const bool tied = i > 0 && worth(ranked[i], by) == worth(ranked[i - 1], by);
    ranked[i].rank = tied ? ranked[i - 1].rank : static_cast<int>(i) + 1;
  }
  return ranked;
}

}  // namespace asahi::gateway::analytics
