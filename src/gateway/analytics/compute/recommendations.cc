#include "gateway/analytics/compute/recommendations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {
namespace {

constexpr double kLowHitRate = 0.5, kLowSimilar = 0.2;
constexpr double kDear = 0.01, kDearTraffic = 0.3, kMostTraffic = 0.8;
constexpr double kVariedTokens = 0.5;
constexpr std::int64_t kTokenSamples = 5;

void cache_rules(std::vector<Recommendation>& found, const Sums& all, const TiersOn& tiers) {
  const CacheFigures cache = cache_figures(all, tiers);
  if (cache.lookups == 0) return;
  if (cache.hit_rate < kLowHitRate) {
    found.push_back(
        {.id = "low_cache_hit_rate",
         .category = "cache",
         .title = "Raise the cache hit rate",
         .description = fmt::format("The cache answered {:.1f} % of {} lookups; at 50 % about 30 % "
                                    "of what was paid could be saved.",
                                    100 * cache.hit_rate, cache.lookups),
         .estimated_savings = rounded(0.3 * all.cost.dollars(), 6),
         .priority = Priority::kHigh,
         .action = "Lengthen the cache's lifetimes, warm it with frequent questions, and keep what "
                   "changes with each call (times, ids) out of prompts."});
  }
  if (cache.tiers[2].hit_rate < kLowSimilar) {
    const bool on = tiers[2];
    found.push_back(
        {.id = "low_tier2_hit_rate",
         .category = "cache",
         .title = on ? "Let similar questions share answers" : "Switch the semantic cache on",
         .description =
             on ? fmt::format("The semantic cache answered {:.1f} % of what reached it.",
                              100 * cache.tiers[2].hit_rate)
                : std::string("Questions that mean the same are asked again, because tier 2 of the "
                              "cache is off."),
         .estimated_savings = 0,
         .priority = Priority::kMedium,
         .action = on ? "Look at the thresholds of each task (GET /cache/thresholds)."
                      : "Set cache.tier2.enabled."});
  }
}

void model_rules(std::vector<Recommendation>& found, const Sums& all,
                 const std::vector<KeySums>& models) {
  for (const KeySums& model : models) {
    if (model.sums.requests == 0 || model.key == "other" || model.key == "unknown") continue;
    const double traffic = share(model.sums.requests, all.requests);
    const double cost = model.sums.cost.dollars();
    const double average = cost / static_cast<double>(model.sums.requests);
    if (average > kDear && traffic > kDearTraffic) {
      found.push_back(
          {.id = "expensive_model:" + model.key,
           .category = "routing",
           .title = fmt::format("Use {} less", model.key),
           .description = fmt::format("{} answers {:.0f} % of the requests at ${:.4f} each.",
                                      model.key, 100 * traffic, average),
           .estimated_savings = rounded(0.4 * cost, 6),
           .priority = Priority::kHigh,
           .action = "Let simpler tasks go to cheaper models: use autopilot, or a rule for the "
                     "tasks concerned."});
    }
    if (traffic > kMostTraffic) {
      found.push_back(
          {.id = "one_model:" + model.key,
           .category = "model",
           .title = "Spread the traffic over several models",
           .description =
               fmt::format("{:.0f} % of the requests go to {}.", 100 * traffic, model.key),
           .estimated_savings = 0,
           .priority = Priority::kLow,
           .action = "Allow further models, so that routing can choose and a vendor's outage does "
                     "no harm."});
    }
  }
}

void token_rule(std::vector<Recommendation>& found, const Sums& all) {
  // Answers from the cache consume nothing; the rest is what varies.
  const std::int64_t samples = all.answered();
  if (samples < kTokenSamples) return;
  const double count = static_cast<double>(samples);
  const double mean = static_cast<double>(all.input_tokens + all.output_tokens) / count;
  if (mean <= 0) return;
  const double variance =
      std::max(0.0, (all.tokens_sum_of_squares - count * mean * mean) / (count - 1));
  const double variation = std::sqrt(variance) / mean;
  if (variation <= kVariedTokens) return;
  found.push_back(
      {.id = "token_variation",
       .category = "token",
       .title = "Shorten the longest prompts",
       .description = fmt::format("Requests differ much in length: {:.0f} tokens on average, with "
                                  "a spread of {:.0f} %.",
                                  mean, 100 * variation),
       .estimated_savings = 0,
       .priority = Priority::kMedium,
       .action = "Trim history and context of the longest requests (optimize_tokens), and bound "
                 "answers with max_tokens."});
}

}  // namespace

std::string_view to_string(Priority priority) {
  return priority == Priority::kHigh ? "high" : priority == Priority::kMedium ? "medium" : "low";
}

std::vector<Recommendation> recommendations(const Sums& all, const std::vector<KeySums>& models,
                                            const TiersOn& tiers) {
  std::vector<Recommendation> found;
  if (all.requests < kRequestsNeeded) return found;
  cache_rules(found, all, tiers);
  model_rules(found, all, models);
  token_rule(found, all);
  std::ranges::sort(found, [](const Recommendation& one, const Recommendation& other) {
    if (one.priority != other.priority) return one.priority < other.priority;
    if (one.estimated_savings != other.estimated_savings)
      return one.estimated_savings > other.estimated_savings;
    return one.id < other.id;
  });
  return found;
}

}  // namespace asahi::gateway::analytics
