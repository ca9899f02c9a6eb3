// How a model is chosen among those that may answer: guided rules, the multi-factor and the learned
// strategy (gateway spec §3.11). Base selection by quality per dollar is in router.cc.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gateway/routing/multifactor.h"
#include "gateway/routing/pricing.h"
#include "gateway/routing/router.h"
#include "gateway/routing/rules.h"
#include "gateway/routing/survey.h"

namespace asahi::gateway {

Result<std::size_t> Router::choose(const Registry& registry, Survey& survey, RouteRequest& request,
                                   std::vector<std::string>& chain, const HealthView& health,
                                   Decision& decision) const {
  if (request.mode == RoutingMode::kGuided && request.rules != nullptr && !request.rules->empty()) {
    if (const auto chosen = by_rules(registry, survey, request, chain, decision)) return *chosen;
    if (!decision.rules_applied.empty()) {
      // Filters were applied and left nobody who meets the limits; among those that they leave, the
      // fallback of base selection is right.
      return select(registry, survey, request, decision);
    }
  }
  if (strategy_ == Strategy::kMultifactor) {
    if (const auto chosen = by_factors(registry, survey, request, health, decision)) return *chosen;
  }
  if (strategy_ == Strategy::kLearned) {
    if (const auto chosen = by_learning(registry, survey, request, decision)) return *chosen;
  }
  return select(registry, survey, request, decision);
}

std::optional<std::size_t> Router::by_rules(const Registry& registry, Survey& survey,
                                            RouteRequest& request, std::vector<std::string>& chain,
                                            Decision& decision) const {
  RuleVerdict verdict = apply_rules(*request.rules, registry, survey, request.step, request.now);
  decision.rules_applied = std::move(verdict.applied);
  decision.rule_conflicts = std::move(verdict.conflicts);
  if (decision.rules_applied.empty()) return std::nullopt;
  // The caller's own chain goes before that of the rules; filters hold for both.
  if (request.fallback_models.empty() && !verdict.chain.empty()) {
    chain = std::move(verdict.chain);
    request.fallback_models = chain;
    request.fallback_triggers = verdict.triggers;
  }
  const std::string rules = fmt::format("; rules {}", fmt::join(decision.rules_applied, ", "));
  if (verdict.chosen) {
    decision.candidates_evaluated = 1;
    decision.reason += fmt::format("{} choose {}", rules, registry.all()[*verdict.chosen].name);
    return verdict.chosen;
  }
  int fitting = 0;
  std::optional<std::size_t> best;
  for (const std::uint32_t i : registry.by_quality()) {
    if (!survey.fits(i)) continue;
    if (!best) best = i;
    ++fitting;
  }
  decision.reason += rules;
  if (!best) return std::nullopt;
  decision.candidates_evaluated = fitting;
  decision.reason += fmt::format(": {} has the highest quality of {} candidate{}",
                                 registry.all()[*best].name, fitting, fitting == 1 ? "" : "s");
  return best;
}

std::optional<std::size_t> Router::by_factors(const Registry& registry, const Survey& survey,
                                              const RouteRequest& request, const HealthView& health,
                                              Decision& decision) const {
  const ScoreWeights usual;
  ScoreFacts facts;
  facts.complexity = complexity_of(request.prompt);
  facts.tokens = request.input_tokens + request.max_tokens;
  const auto quality = request.quality_preference;
  facts.high_quality = quality == QualityPreference::kHigh || quality == QualityPreference::kMax;
  const auto latency = request.latency_preference;
  facts.low_latency = latency == LatencyPreference::kFast || latency == LatencyPreference::kInstant;
  facts.budget_is_short = request.budget_is_short;
  int fitting = 0;
  for (const std::uint32_t i : registry.by_value()) {
    if (!survey.fits(i)) continue;
    ++fitting;
    facts.max_input_price =
        std::max(facts.max_input_price, registry.all()[i].input.dollars_per_1k());
  }
  std::vector<VendorHealth> vendors(registry.providers().size(), VendorHealth::kHealthy);
  if (health) {
    for (std::size_t i = 0; i < vendors.size(); ++i) vendors[i] = health(registry.providers()[i]);
  }
  std::optional<std::size_t> best;
  double best_score = 0;
  std::optional<double> runner_up;
  // In the order of value, so that of equals the better value wins.
  for (const std::uint32_t i : registry.by_value()) {
    if (!survey.fits(i)) continue;
    const ModelProfile& model = registry.all()[i];
    const double shift = request.shifts == nullptr || request.agent.empty()
                             ? 0
                             : request.shifts->shift(request.org, request.agent, model.name);
    const double score = factor_score(model, vendors[registry.provider_of(i)], facts,
                                      request.weights != nullptr ? *request.weights : usual, shift);
    if (!best || score > best_score) {
      if (best) runner_up = best_score;
      best = i;
      best_score = score;
    } else if (!runner_up || score > *runner_up) {
      runner_up = score;
    }
  }
  if (!best) return std::nullopt;
  decision.score = std::round(best_score * 10'000) / 10'000;
  decision.confidence = confidence_of(best_score, runner_up);
  decision.candidates_evaluated = fitting;
  decision.reason += fmt::format(
      "; {} scores {:.3f}, the most of {} candidate{} by all factors (complexity {:.2f}, "
      "confidence "
      "{:.2f}{}{})",
      registry.all()[*best].name, best_score, fitting, fitting == 1 ? "" : "s", facts.complexity,
      decision.confidence, facts.budget_is_short ? ", little budget left" : "",
      request.weights != nullptr ? ", the organisation's weights" : "");
  return best;
}

std::optional<std::size_t> Router::by_learning(const Registry& registry, const Survey& survey,
                                               const RouteRequest& request, Decision& decision) {
  if (!request.learned) {
    decision.reason += "; the learned router is not trained";
    return std::nullopt;
  }
  const LearnedChoice& learned = *request.learned;
  const auto weak = registry.index_of(learned.weak), strong = registry.index_of(learned.strong);
  const bool weak_fits = weak && survey.fits(*weak), strong_fits = strong && survey.fits(*strong);
  if (!weak_fits && !strong_fits) {
    decision.reason += fmt::format(
        "; neither {} nor {}, which the learned router chooses between, "
        "meets the limits",
        learned.weak, learned.strong);
    return std::nullopt;
  }
  const bool wants_strong = learned.gain >= learned.threshold;
  const bool takes_strong = strong_fits && (wants_strong || !weak_fits);
  const std::size_t chosen = takes_strong ? *strong : *weak;
  decision.score = std::round(learned.gain * 10'000) / 10'000;
  decision.candidates_evaluated = static_cast<int>(weak_fits) + static_cast<int>(strong_fits);
  decision.learned = true;
  decision.reason +=
      fmt::format("; learned router: {} would gain {:+.3f} over {} ({} {:.3f}, mostly by {})",
                  learned.strong, learned.gain, learned.weak,
                  wants_strong ? "at least" : "less than", learned.threshold, learned.why);
  if (takes_strong != wants_strong) {
    decision.reason += fmt::format("; only {} meets the limits", registry.all()[chosen].name);
  }
  return chosen;
}

std::optional<Plan> Router::next_better(std::shared_ptr<const Registry> registry,
                                        const RouteRequest& request, const HealthView& health,
                                        const ModelProfile& than) const {
  RouteLimits limits;
  limits.max_latency_ms = std::numeric_limits<int>::max();
  limits.max_cost = request.cost_budget;
  Survey survey = survey_models(*registry, request, limits, health);
  if (request.mode == RoutingMode::kGuided && request.rules != nullptr) {
    (void)apply_rules(*request.rules, *registry, survey, request.step, request.now);
  }
  std::optional<std::size_t> next;
  for (const std::uint32_t i : registry->by_quality()) {
    const ModelProfile& model = registry->all()[i];
    if (model.quality <= than.quality) break;
    if (survey.fits(i) && model.name != than.name) next = i;
  }
  if (!next) return std::nullopt;
  Plan plan{.registry = std::move(registry), .decision = {}, .attempts = {}};
  const ModelProfile& model = plan.registry->all()[*next];
  plan.decision.model = &model;
  plan.decision.mode = request.mode;
  plan.decision.candidates_evaluated = 1;
  plan.decision.task_type_detected = request.task.task_type;
  plan.decision.limits = limits;
  plan.decision.estimated_cost = estimate_cost(model, request.input_tokens);
  plan.attempts.push_back({&model, Attempt::Origin::kHighestQuality, {}});
  return plan;
}

}  // namespace asahi::gateway
