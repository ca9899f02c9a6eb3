#include "gateway/routing/survey.h"

#include <algorithm>

#include "gateway/routing/pricing.h"

namespace asahi::gateway {
namespace {

bool same_region(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

/// Marks the models that a policy list names.
std::vector<bool> listed(const Registry& registry, std::span<const std::string> names) {
  std::vector<bool> marks(registry.size());
  for (const std::string& name : names) {
    if (!name.ends_with('*')) {
      if (const auto index = registry.index_of(name)) marks[*index] = true;
      continue;
    }
    const auto prefix = std::string_view(name).substr(0, name.size() - 1);
    for (std::size_t i = 0; i < registry.size(); ++i) {
      if (registry.all()[i].name.starts_with(prefix)) marks[i] = true;
    }
  }
  return marks;
}

unsigned health_obstacle(VendorHealth health, bool caller_has_key) {
  switch (health) {
    case VendorHealth::kHealthy:
    case VendorHealth::kDegraded:
      return 0;
    case VendorHealth::kBreakerOpen:
      return kBreakerOpen;
    case VendorHealth::kUnreachable:
      return kUnreachable;
    case VendorHealth::kNoKey:
      return caller_has_key ? 0U : static_cast<unsigned>(kNoKey);
  }
  return 0;
}

}  // namespace

std::int64_t context_shortfall(const ModelProfile& model, const RouteRequest& request) {
  const std::int64_t window = request.input_tokens + request.max_tokens - model.max_input_tokens;
  const std::int64_t answer = request.max_tokens - model.max_output_tokens;
  return std::max({std::int64_t{0}, window, answer});
}

Survey survey_models(const Registry& registry, const RouteRequest& request,
                     const RouteLimits& limits, const HealthView& health) {
  // Each vendor is asked once, however many models it has.
  std::vector<unsigned> vendor(registry.providers().size(), 0);
  if (health) {
    for (std::size_t i = 0; i < vendor.size(); ++i) {
      vendor[i] = health_obstacle(health(registry.providers()[i]), request.caller_has_key);
    }
  }
  const RouteFilter& filter = request.filter;
  std::vector<bool> allowed, of_key, blocked;
  if (!filter.allowed_models.empty()) allowed = listed(registry, filter.allowed_models);
  if (!filter.key_models.empty()) of_key = listed(registry, filter.key_models);
  if (!filter.blocked_models.empty()) blocked = listed(registry, filter.blocked_models);
  const bool chat = filter.required.has(Capability::kChat);

  Survey survey;
  survey.obstacles.resize(registry.size());
  for (std::size_t i = 0; i < registry.size(); ++i) {
    const ModelProfile& m = registry.all()[i];
    unsigned found = vendor[registry.provider_of(i)];
    if (!m.supports.includes(filter.required)) found |= kLacksCapability;
    if ((!allowed.empty() && !allowed[i]) || (!of_key.empty() && !of_key[i]) ||
        (!blocked.empty() && blocked[i]))
      found |= kBlocked;
    if (!filter.region.empty() && !same_region(m.region, filter.region)) found |= kWrongRegion;
    if (m.availability == Availability::kUnavailable) found |= kUnavailable;
    if (chat && context_shortfall(m, request) > 0) found |= kContextTooSmall;
    if (m.quality < limits.min_quality) found |= kLowQuality;
    if (m.avg_latency_ms > limits.max_latency_ms) found |= kTooSlow;
    if (limits.max_cost && estimate_cost(m, request.input_tokens) > *limits.max_cost) {
      found |= kTooExpensive;
    }
    survey.obstacles[i] = static_cast<std::uint16_t>(found);
  }
  return survey;
}

}  // namespace asahi::gateway
