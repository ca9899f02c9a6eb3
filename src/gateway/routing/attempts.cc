// What to try after the chosen model: fallback chains (gateway spec §3.11) and automatic failover
// (§3.13).
#include <fmt/format.h>

#include <algorithm>

#include "gateway/routing/router.h"
#include "gateway/routing/survey.h"

namespace asahi::gateway {
namespace {

/// Failures after which an automatic hop makes sense: all that a vendor can be blamed for.
constexpr Triggers kVendorFailures{Trigger::kRateLimit, Trigger::kServerError, Trigger::kTimeout,
                                   Trigger::kNoKey};

}  // namespace

std::optional<Router::Chain> Router::chain_for(const Registry& registry,
                                               const RouteRequest& request,
                                               std::string_view model) const {
  if (!request.fallback_models.empty()) {
    Chain chain{.for_models = {},
                .triggers = request.fallback_triggers.value_or(kVendorFailures),
                .slots = {}};
    for (const auto& name : request.fallback_models) chain.slots.push_back({.model = name});
    return chain;
  }
  const Chain* for_all = nullptr;
  for (const Chain& chain : chains_) {
    if (chain.for_models.empty() && for_all == nullptr) for_all = &chain;
    for (const auto& name : chain.for_models) {
      const ModelProfile* profile = registry.get(name);
      if (profile != nullptr && profile->name == model) return chain;
    }
  }
  if (for_all != nullptr) return *for_all;
  return std::nullopt;
}

bool Router::over_strict_budget(const Survey& survey, std::size_t model) const {
  return config_.strict_cost_budget && survey.has(model, kTooExpensive);
}

std::vector<std::size_t> Router::usable_slots(const Chain& chain, const Registry& registry,
                                              const Survey& survey, const RouteRequest& request,
                                              std::size_t except) const {
  std::vector<std::size_t> usable;
  for (const Slot& slot : chain.slots) {
    const auto index = registry.index_of(slot.model);
    if (!index || *index == except || !survey.permitted(*index) ||
        over_strict_budget(survey, *index) || std::ranges::find(usable, *index) != usable.end()) {
      continue;
    }
    const ModelProfile& model = registry.all()[*index];
    if (context_shortfall(model, request) > 0) continue;
    if (slot.max_latency_ms > 0 && model.avg_latency_ms > slot.max_latency_ms) continue;
    if (slot.max_cost_per_1k > 0 && model.average_price_per_1k() > slot.max_cost_per_1k) continue;
    usable.push_back(*index);
  }
  return usable;
}

std::vector<Attempt> Router::attempts(const Registry& registry, const Survey& survey,
                                      const RouteRequest& request, std::size_t chosen) const {
  using Origin = Attempt::Origin;
  const auto limit = static_cast<std::size_t>(config_.max_hops) + 1;
  std::vector<Attempt> plan;
  std::vector<std::size_t> taken;
  std::vector<bool> vendor_tried(registry.providers().size());
  const auto add = [&](std::size_t i, Origin origin, Triggers triggers) {
    plan.push_back({&registry.all()[i], origin, triggers});
    taken.push_back(i);
    vendor_tried[registry.provider_of(i)] = true;
  };
  const auto is_taken = [&](std::size_t i) { return std::ranges::find(taken, i) != taken.end(); };
  add(chosen, Origin::kChosen, {});

  if (const auto chain = chain_for(registry, request, registry.all()[chosen].name)) {
    for (const std::size_t i : usable_slots(*chain, registry, survey, request, chosen)) {
      if (plan.size() < limit) add(i, Origin::kChain, chain->triggers);
    }
    if (plan.size() > 1) return plan;
  }
  if (request.mode == RoutingMode::kExplicit && !request.allow_fallback) return plan;

  // The last place is for the highest quality, unless there is only one.
  const std::size_t before_last = limit > 2 ? limit - 1 : limit;
  for (const std::uint32_t i : registry.by_value()) {
    if (plan.size() >= before_last) break;
    if (survey.fits(i) && !vendor_tried[registry.provider_of(i)]) {
      add(i, Origin::kOtherVendor, kVendorFailures);
    }
  }
  const auto can_serve = [&](std::size_t i) {
    return survey.permitted(i) && !is_taken(i) && !over_strict_budget(survey, i) &&
           !survey.has(i, kContextTooSmall);
  };
  // A vendor that has not failed yet is worth more than a better model of one that has.
  std::optional<std::size_t> highest;
  for (const std::uint32_t i : registry.by_quality()) {
    if (!can_serve(i)) continue;
    if (!highest) highest = i;
    if (!vendor_tried[registry.provider_of(i)]) {
      highest = i;
      break;
    }
  }
  if (highest && plan.size() < limit) add(*highest, Origin::kHighestQuality, kVendorFailures);
  const auto last = registry.index_of(config_.fallback_model);
  if (last && can_serve(*last) && plan.size() < limit) {
    add(*last, Origin::kLastResort, kVendorFailures);
  }
  return plan;
}

std::vector<config::Fault> check_models(const RoutingConfig& config, const Registry& registry) {
  std::vector<config::Fault> faults;
  const auto check = [&](std::string path, const std::string& name) -> const ModelProfile* {
    const ModelProfile* model = registry.get(name);
    if (model == nullptr) {
      faults.push_back({.path = std::move(path),
                        .value = name,
                        .rule = "must name a model of the registry (models.yaml)",
                        .origin = ""});
    }
    return model;
  };
  if (!config.fallback_model.empty()) check("routing.fallback_model", config.fallback_model);
  for (const auto& [name, chain] : config.fallback_chains) {
    const std::string path = "routing.fallback_chains." + name;
    for (const auto& model : chain.for_models) check(path + ".for_models", model);
    for (std::size_t i = 0; i < chain.slots.size(); ++i) {
      const ChainSlot& slot = chain.slots[i];
      if (slot.model.empty()) continue;
      const std::string slot_path = fmt::format("{}.slot_{}", path, i + 1);
      const ModelProfile* model = check(slot_path + ".model", slot.model);
      if (model != nullptr && !slot.provider.empty() && slot.provider != model->provider) {
        faults.push_back(
            {.path = slot_path + ".provider",
             .value = slot.provider,
             .rule = fmt::format("must be '{}', the vendor of '{}'", model->provider, model->name),
             .origin = ""});
      }
    }
  }
  return faults;
}

}  // namespace asahi::gateway
