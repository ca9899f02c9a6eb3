#include "gateway/analytics/compute/overview.h"

#include <cmath>

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {

std::vector<Figure> overview_figures(const Sums& sums) {
  const auto whole = [](std::int64_t number) { return static_cast<double>(number); };
  const double requests = whole(sums.requests);
  return {{"requests", requests},
          {"errors", whole(sums.errors)},
          {"error_rate", rounded(share(sums.errors, sums.requests), 4)},
          {"total_cost", shown_dollars(sums.cost)},
          {"baseline_cost", shown_dollars(sums.baseline_cost)},
          {"savings", shown_dollars(sums.total_savings())},
          {"savings_pct", percent(sums.total_savings().dollars(), sums.baseline_cost.dollars())},
          {"avg_cost_per_request", rounded(share(sums.cost.dollars(), requests), 6)},
          {"cache_hit_rate", rounded(sums.hit_rate(), 4)},
          {"cache_hits", whole(sums.hits())},
          {"avg_latency_ms", rounded(sums.mean_latency_ms(), 2)},
          {"p50_latency_ms", rounded(sums.latency.percentile(50), 2)},
          {"p95_latency_ms", rounded(sums.latency.percentile(95), 2)},
          {"avg_quality", rounded(sums.mean_quality(), 2)},
          {"input_tokens", whole(sums.input_tokens)},
          {"output_tokens", whole(sums.output_tokens)},
          {"tokens_saved", whole(sums.tokens_saved)},
          {"fallbacks", whole(sums.fallbacks)}};
}

std::optional<double> delta_pct(double current, double previous) {
  if (previous == 0) return std::nullopt;
  return percent(current - previous, std::abs(previous));
}

}  // namespace asahi::gateway::analytics
