#include "gateway/analytics/compute/savings.h"

#include <array>
#include <utility>

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::array<std::pair<Saving, std::string_view>, kSavings> kSteps = {{
    {Saving::kRouting, "Cheaper models"},
    {Saving::kCacheTier1, "Exact cache"},
    {Saving::kCacheTier2, "Semantic cache"},
    {Saving::kCacheTier3, "Cached steps"},
    {Saving::kTokens, "Shorter prompts"},
    {Saving::kBatching, "Batching"},
}};

}  // namespace

NanoUsd saved_by_cache(const Sums& sums) {
  NanoUsd saved;
  for (const Saving tier : {Saving::kCacheTier1, Saving::kCacheTier2, Saving::kCacheTier3}) {
    saved += sums.savings[static_cast<std::size_t>(tier)];
  }
  return saved;
}

BaselineComparison compare_with_baseline(const Sums& sums) {
  const NanoUsd savings = sums.total_savings();
  return {.baseline = sums.baseline_cost,
          .actual = sums.cost,
          .savings = savings,
          .savings_pct = percent(savings.dollars(), sums.baseline_cost.dollars()),
          .cache_contribution_pct = percent(saved_by_cache(sums).dollars(), savings.dollars())};
}

std::vector<WaterfallStep> waterfall(const Sums& sums) {
  const double baseline = sums.baseline_cost.dollars();
  std::vector<WaterfallStep> steps;
  steps.push_back({.key = "baseline",
                   .label = "Baseline",
                   .total = true,
                   .amount = sums.baseline_cost,
                   .start = {},
                   .end = sums.baseline_cost,
                   .share_pct = baseline == 0 ? 0.0 : 100.0});
  NanoUsd level = sums.baseline_cost;
  for (const auto& [saving, label] : kSteps) {
    const NanoUsd amount = sums.savings[static_cast<std::size_t>(saving)];
    steps.push_back({.key = to_string(saving),
                     .label = label,
                     .total = false,
                     .amount = amount,
                     .start = level,
                     .end = level - amount,
                     .share_pct = percent(amount.dollars(), baseline)});
    level = level - amount;
  }
  steps.push_back({.key = "actual",
                   .label = "Paid",
                   .total = true,
                   .amount = sums.cost,
                   .start = {},
                   .end = sums.cost,
                   .share_pct = percent(sums.cost.dollars(), baseline)});
  return steps;
}

}  // namespace asahi::gateway::analytics
