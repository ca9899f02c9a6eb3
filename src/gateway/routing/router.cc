#include "gateway/routing/router.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "gateway/routing/pricing.h"
#include "gateway/routing/survey.h"

namespace asahi::gateway {
namespace {

constexpr std::string_view kGeneral = "general";

std::string dollars_text(NanoUsd amount) {
  std::string text = to_decimal(amount);
  while (text.ends_with('0') && !text.ends_with(".0")) text.pop_back();
  return "$" + text;
}

std::string limits_text(const RouteLimits& limits) {
  std::string text =
      fmt::format("quality >= {:.1f}, latency <= {} ms", limits.min_quality, limits.max_latency_ms);
  if (limits.max_cost) text += ", cost <= " + dollars_text(*limits.max_cost);
  return text;
}

/// "context (2 of 23 models), quality (23)": the limits that kept permitted models out.
std::string unmet_text(const Registry& registry, const Survey& survey, const RouteLimits& limits) {
  struct Limit {
    Obstacle obstacle;
    std::string text;
  };
  const Limit all[] = {
      {kContextTooSmall, "context window"},
      {kLowQuality, fmt::format("quality >= {:.1f}", limits.min_quality)},
      {kTooSlow, fmt::format("latency <= {} ms", limits.max_latency_ms)},
      {kTooExpensive, limits.max_cost ? "cost <= " + dollars_text(*limits.max_cost) : ""},
  };
  std::string text;
  for (const auto& limit : all) {
    int missed = 0;
    for (std::size_t i = 0; i < registry.size(); ++i) {
      missed += survey.permitted(i) && survey.has(i, limit.obstacle) ? 1 : 0;
    }
    if (missed == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} (missed by {})", limit.text, missed);
  }
  return text;
}

double rounded_score(const ModelProfile& model) {
  const double score = model.is_free() ? model.quality : model.value_score();
  return std::round(score * 10'000) / 10'000;
}

std::unexpected<Error> fail_reason(Errc code, std::string reason, std::string field,
                                   std::string message) {
  auto failure = fail(code, std::move(message));
  failure.error().reason = std::move(reason);
  failure.error().field = std::move(field);
  return failure;
}

std::unexpected<Error> no_model_is_left(const Registry& registry, const Survey& survey,
                                        const RouteRequest& request) {
  // The models that get past the checks so far, fewer at each step: the step that ends them all is
  // the cause.
  unsigned passed = 0;
  const auto all_have = [&](unsigned obstacles) {
    passed |= obstacles;
    return std::ranges::all_of(survey.obstacles, [&](auto o) { return (o & passed) != 0; });
  };
  if (registry.empty() || std::ranges::none_of(registry.all(), [](const auto& m) {
        return m.supports.has(Capability::kChat);
      })) {
    return fail_reason(Errc::kUnavailable, "no_models_available", "",
                       "the model registry holds no chat model; add one to models.yaml");
  }
  if (all_have(kLacksCapability)) {
    return fail(Errc::kInvalidArgument,
                fmt::format("no model supports all that this request needs ({}); see `supports` "
                            "in models.yaml",
                            to_string(request.filter.required)));
  }
  if (all_have(kBlocked)) {
    return fail_reason(Errc::kForbidden, "model_blocked", "",
                       "the organisation's model lists leave no model for this request");
  }
  if (all_have(kWrongRegion)) {
    return fail_reason(
        Errc::kForbidden, "compliance_violation", "",
        fmt::format("no permitted model processes data in region '{}'", request.filter.region));
  }
  if (all_have(kRuledOut)) {
    return fail_reason(Errc::kForbidden, "model_blocked", "",
                       "the organisation's routing rules leave no model for this request; see "
                       "GET /routing/rules");
  }
  std::vector<std::string_view> missing_keys;
  bool breaker_open = false;
  for (std::size_t i = 0; i < registry.size(); ++i) {
    if ((survey.obstacles[i] & (passed | kUnavailable)) != 0) continue;
    breaker_open = breaker_open || survey.has(i, kBreakerOpen);
    const std::string& variable = registry.all()[i].api_key_env;
    if (survey.has(i, kNoKey) && !variable.empty() &&
        std::ranges::find(missing_keys, variable) == missing_keys.end()) {
      missing_keys.push_back(variable);
    }
  }
  if (breaker_open) {
    return fail_reason(Errc::kUnavailable, "circuit_open", "",
                       "all vendors of the permitted models are failing; try again in a minute");
  }
  return fail_reason(Errc::kUnavailable, "no_models_available", "",
                     missing_keys.empty()
                         ? "no vendor of the permitted models can be reached"
                         : fmt::format("no vendor of the permitted models has a key; set one of {}",
                                       fmt::join(missing_keys, ", ")));
}

/// The rules that even a model named by the caller must keep.
Result<void> check_named(const ModelProfile& model, unsigned obstacles,
                         const RouteRequest& request) {
  if ((obstacles & kBlocked) != 0) {
    return fail_reason(
        Errc::kForbidden, "model_blocked", "model",
        fmt::format("the organisation's policy does not permit model '{}'", model.name));
  }
  if ((obstacles & kWrongRegion) != 0) {
    return fail_reason(Errc::kForbidden, "compliance_violation", "model",
                       fmt::format("model '{}' does not process data in region '{}'", model.name,
                                   request.filter.region));
  }
  if ((obstacles & kLacksCapability) != 0) {
    return fail_field(
        "model", fmt::format("model '{}' does not support {}; choose a model that does", model.name,
                             to_string(model.supports.missing_from(request.filter.required))));
  }
  return {};
}

struct Trouble {
  Trigger trigger;
  std::string text;
};

std::optional<Trouble> trouble_of(const ModelProfile& model, unsigned obstacles) {
  if ((obstacles & kNoKey) != 0) {
    return Trouble{Trigger::kNoKey, fmt::format("{} has no key for {} (set {})", model.name,
                                                model.provider, model.api_key_env)};
  }
  if ((obstacles & kUnavailable) != 0) {
    return Trouble{Trigger::kServerError, fmt::format("{} is marked unavailable", model.name)};
  }
  if ((obstacles & kBreakerOpen) != 0) {
    return Trouble{Trigger::kServerError, fmt::format("{}'s vendor {} keeps failing (circuit open)",
                                                      model.name, model.provider)};
  }
  if ((obstacles & kUnreachable) != 0) {
    return Trouble{Trigger::kServerError,
                   fmt::format("{}'s vendor {} cannot be reached", model.name, model.provider)};
  }
  return std::nullopt;
}

std::vector<Alternative> alternatives_to(const Registry& registry, const Survey& survey,
                                         const RouteRequest& request, std::size_t chosen,
                                         NanoUsd chosen_cost) {
  std::vector<Alternative> found;
  for (std::size_t i = 0; i < registry.size(); ++i) {
    // What the caller could not ask for is no alternative; a vendor's passing trouble does not
    // matter.
    constexpr unsigned kNotOnOffer = kLacksCapability | kBlocked | kWrongRegion | kUnavailable;
    if (i == chosen || (survey.obstacles[i] & kNotOnOffer) != 0) continue;
    const ModelProfile& model = registry.all()[i];
    const NanoUsd cost = estimate_cost(model, request.input_tokens);
    found.push_back({&model, cost, percent_saved(chosen_cost, cost)});
  }
  std::ranges::sort(found, [](const Alternative& a, const Alternative& b) {
    if (a.estimated_cost != b.estimated_cost) return a.estimated_cost < b.estimated_cost;
    if (a.model->quality != b.model->quality) return a.model->quality > b.model->quality;
    return a.model->name < b.model->name;
  });
  return found;
}

}  // namespace

Router::Router(RoutingConfig config, TaskTable tasks)
    : config_(std::move(config)), tasks_(std::move(tasks)) {
  if (config_.strategy == "multifactor") strategy_ = Strategy::kMultifactor;
  if (config_.strategy == "learned") strategy_ = Strategy::kLearned;
  tasks_.try_emplace(std::string(kGeneral),
                     TaskSettings{.quality_threshold = config_.default_quality_threshold,
                                  .latency_budget_ms = config_.default_latency_budget_ms});
  for (const auto& [name, chain] : config_.fallback_chains) {
    Chain compiled{.for_models = chain.for_models, .triggers = {}, .slots = {}};
    for (const auto& word : chain.triggers) {
      if (const auto trigger = parse_trigger(word)) compiled.triggers.add(*trigger);
    }
    for (const auto& slot : chain.slots) {
      if (slot.model.empty()) continue;
      compiled.slots.push_back({slot.model, slot.max_latency_ms, slot.max_cost_per_1k_tokens});
    }
    chains_.push_back(std::move(compiled));
  }
}

const TaskSettings& Router::task(std::string_view task_type) const {
  const auto found = tasks_.find(task_type);
  return found != tasks_.end() ? found->second : tasks_.find(kGeneral)->second;
}

std::string_view Router::task_hint(std::string_view task_type, std::string_view task_id) const {
  if (!task_type.empty()) return task_type;
  return tasks_.contains(task_id) ? task_id : std::string_view{};
}

RouteLimits Router::autopilot_limits(const RouteRequest& request, bool trusted) const {
  const TaskSettings& row = task(trusted ? std::string_view(request.task.task_type) : kGeneral);
  double quality = row.quality_threshold;
  int latency_ms = row.latency_budget_ms;
  if (&row == &task(kGeneral)) {
    quality = request.default_quality_threshold.value_or(quality);
    latency_ms = request.default_latency_budget_ms.value_or(latency_ms);
  }
  return {.min_quality = std::max(quality, request.quality_threshold.value_or(quality)),
          .max_latency_ms = request.latency_budget_ms.value_or(latency_ms),
          .max_cost = request.cost_budget};
}

RouteLimits Router::guided_limits(const RouteRequest& request) const {
  const auto& quality = config_.quality_map;
  const double qualities[] = {quality.low, quality.medium, quality.high, quality.max};
  const auto& latency = config_.latency_map;
  const int latencies[] = {latency.slow, latency.normal, latency.fast, latency.instant};
  RouteLimits limits{.min_quality = quality.medium,
                     .max_latency_ms = latency.normal,
                     .max_cost = request.cost_budget};
  // A preference and a number for the same matter: the stricter one holds. One alone replaces the
  // default.
  if (request.quality_preference) {
    limits.min_quality = qualities[static_cast<std::size_t>(*request.quality_preference)];
    limits.min_quality =
        std::max(limits.min_quality, request.quality_threshold.value_or(limits.min_quality));
  } else if (request.quality_threshold) {
    limits.min_quality = *request.quality_threshold;
  }
  if (request.latency_preference) {
    limits.max_latency_ms = latencies[static_cast<std::size_t>(*request.latency_preference)];
    limits.max_latency_ms =
        std::min(limits.max_latency_ms, request.latency_budget_ms.value_or(limits.max_latency_ms));
  } else if (request.latency_budget_ms) {
    limits.max_latency_ms = *request.latency_budget_ms;
  }
  const auto floor = config_.task_overrides.find(request.task.task_type);
  if (floor != config_.task_overrides.end()) {
    limits.min_quality = std::max(limits.min_quality, floor->second.min_quality);
    if (floor->second.max_latency_ms > 0) {
      limits.max_latency_ms = std::min(limits.max_latency_ms, floor->second.max_latency_ms);
    }
  }
  return limits;
}

Result<std::size_t> Router::select(const Registry& registry, const Survey& survey,
                                   const RouteRequest& request, Decision& decision) const {
  std::optional<std::size_t> best;
  int fitting = 0;
  for (const std::uint32_t i : registry.by_value()) {
    if (!survey.fits(i)) continue;
    if (!best) best = i;
    ++fitting;
  }
  if (best) {
    const ModelProfile& model = registry.all()[*best];
    decision.score = rounded_score(model);
    decision.candidates_evaluated = fitting;
    decision.reason += fmt::format("; {} {} of {} candidate{}", model.name,
                                   model.is_free() ? "costs nothing and has the highest quality"
                                                   : "has the best quality per dollar",
                                   fitting, fitting == 1 ? "" : "s");
    return *best;
  }

  const std::string unmet = unmet_text(registry, survey, decision.limits);
  std::int64_t least_shortfall = 0;
  int permitted = 0;
  for (const std::uint32_t i : registry.by_quality()) {
    if (!survey.permitted(i)) continue;
    ++permitted;
    // Token counts are estimates, so even a context that seems too small may do; the nearest to
    // fitting is tried.
    const std::int64_t shortfall = context_shortfall(registry.all()[i], request);
    if (!best || shortfall < least_shortfall) {
      best = i;
      least_shortfall = shortfall;
    }
  }
  if (!best) return no_model_is_left(registry, survey, request);
  if (config_.strict_cost_budget && request.cost_budget) {
    return fail_reason(Errc::kInvalidArgument, "cost_budget_unsatisfiable", "cost_budget",
                       fmt::format("no permitted model meets all limits: {}; raise cost_budget or "
                                   "relax another limit",
                                   unmet));
  }
  const ModelProfile& model = registry.all()[*best];
  decision.score = 0;
  decision.candidates_evaluated = permitted;
  decision.fallback_used = true;
  decision.reason +=
      fmt::format("; no model meets {}, so the highest quality permitted: {} ({:.1f})", unmet,
                  model.name, model.quality);
  return *best;
}

Result<Plan> Router::plan(std::shared_ptr<const Registry> registry, const RouteRequest& request,
                          const HealthView& health) const {
  if (request.fallback_models.size() > 3) {
    return fail_field("fallback_models", "at most three models may be given");
  }
  for (std::size_t i = 0; i < request.fallback_models.size(); ++i) {
    if (registry->get(request.fallback_models[i]) == nullptr) {
      return fail_reason(Errc::kInvalidArgument, "model_not_found",
                         fmt::format("fallback_models[{}]", i),
                         fmt::format("no model named '{}'; see GET /models",
                                     request.fallback_models[i].substr(0, 128)));
    }
  }
  if (request.mode == RoutingMode::kExplicit) {
    return plan_explicit(std::move(registry), request, health);
  }

  Plan plan{.registry = std::move(registry), .decision = {}, .attempts = {}};
  Decision& decision = plan.decision;
  decision.mode = request.mode;
  decision.task_type_detected = request.task.task_type;
  if (request.mode == RoutingMode::kAutopilot) {
    decision.treated_as_general =
        request.task.confidence < config_.min_confidence && request.task.task_type != kGeneral;
    decision.limits = autopilot_limits(request, !decision.treated_as_general);
    decision.reason = fmt::format(
        "Autopilot: task {} (confidence {:.2f}{}), {}", request.task.task_type,
        request.task.confidence, decision.treated_as_general ? ", too low: treated as general" : "",
        limits_text(decision.limits));
  } else {
    decision.limits = guided_limits(request);
    decision.reason =
        fmt::format("Guided: quality {}, latency {}, task {}, {}",
                    to_string(request.quality_preference.value_or(QualityPreference::kMedium)),
                    to_string(request.latency_preference.value_or(LatencyPreference::kNormal)),
                    request.task.task_type, limits_text(decision.limits));
  }
  Survey survey = survey_models(*plan.registry, request, decision.limits, health);
  RouteRequest ruled = request;
  std::vector<std::string> chain;
  ASAHI_TRY(const std::size_t chosen,
            choose(*plan.registry, survey, ruled, chain, health, decision));
  decision.model = &plan.registry->all()[chosen];
  decision.estimated_cost = estimate_cost(*decision.model, request.input_tokens);
  plan.attempts = attempts(*plan.registry, survey, ruled, chosen);
  return plan;
}

Result<Plan> Router::plan_explicit(std::shared_ptr<const Registry> registry,
                                   const RouteRequest& request, const HealthView& health) const {
  if (registry->empty()) return no_model_is_left(*registry, {}, request);
  if (request.model.empty()) {
    return fail_field("model", "explicit routing needs model (or model_override); see GET /models");
  }
  const auto named = registry->index_of(request.model);
  if (!named) {
    return fail_reason(
        Errc::kInvalidArgument, "model_not_found", "model",
        fmt::format("no model named '{}'; see GET /models", request.model.substr(0, 128)));
  }
  Plan plan{.registry = std::move(registry), .decision = {}, .attempts = {}};
  const Registry& models = *plan.registry;
  Decision& decision = plan.decision;
  decision.mode = RoutingMode::kExplicit;
  decision.task_type_detected = request.task.task_type;
  decision.candidates_evaluated = 1;
  // Limits hold for substitutes only: who names a model wants that model.
  decision.limits = autopilot_limits(request);
  const Survey survey = survey_models(models, request, decision.limits, health);
  const ModelProfile& model = models.all()[*named];
  if (auto ok = check_named(model, survey.obstacles[*named], request); !ok) {
    return std::unexpected(ok.error());
  }

  const auto chain = chain_for(models, request, model.name);
  auto trouble = trouble_of(model, survey.obstacles[*named]);
  const bool over_budget = survey.has(*named, kTooExpensive);
  if (!trouble && over_budget && chain && chain->triggers.has(Trigger::kCostCeiling)) {
    trouble = Trouble{Trigger::kCostCeiling,
                      fmt::format("{} would cost {}, over the budget of {}", model.name,
                                  dollars_text(estimate_cost(model, request.input_tokens)),
                                  dollars_text(*request.cost_budget))};
  }
  std::size_t chosen = *named;
  if (!trouble) {
    if (over_budget && config_.strict_cost_budget) {
      return fail_reason(
          Errc::kInvalidArgument, "cost_budget_unsatisfiable", "cost_budget",
          fmt::format("model '{}' would cost {}; raise cost_budget or choose "
                      "another model",
                      model.name, dollars_text(estimate_cost(model, request.input_tokens))));
    }
    decision.reason = "Explicit: the caller named " + model.name;
  } else {
    decision.reason = fmt::format("Explicit: {}", trouble->text);
    std::vector<std::size_t> slots;
    if (chain && chain->triggers.has(trouble->trigger)) {
      slots = usable_slots(*chain, models, survey, request, *named);
      if (trouble->trigger == Trigger::kCostCeiling) {
        std::erase_if(slots, [&](std::size_t i) { return survey.has(i, kTooExpensive); });
      }
    }
    if (!slots.empty()) {
      chosen = slots.front();
      decision.reason +=
          fmt::format("; {} is next in the fallback chain", models.all()[chosen].name);
    } else if (request.allow_fallback) {
      ASAHI_TRY(chosen, select(models, survey, request, decision));
    } else if (trouble->trigger == Trigger::kCostCeiling) {
      return fail_reason(Errc::kInvalidArgument, "cost_budget_unsatisfiable", "cost_budget",
                         trouble->text + ", and no model of its fallback chain is cheaper");
    } else {
      return fail_reason(Errc::kUnavailable,
                         survey.has(*named, kBreakerOpen) ? "circuit_open" : "no_models_available",
                         "model", trouble->text + "; name another model or allow a fallback");
    }
    decision.fallback_used = true;
  }
  decision.model = &models.all()[chosen];
  decision.estimated_cost = estimate_cost(*decision.model, request.input_tokens);
  if (request.list_alternatives) {
    decision.alternatives =
        alternatives_to(models, survey, request, chosen, decision.estimated_cost);
  }
  plan.attempts = attempts(models, survey, request, chosen);
  return plan;
}

}  // namespace asahi::gateway
