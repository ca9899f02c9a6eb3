#include "gateway/governance/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "gateway/governance/json_reader.h"

namespace asahi::gateway {
namespace {

constexpr double kMostDollars = 1'000'000;
constexpr std::int64_t kMostRequests = 1'000'000'000;
constexpr std::int64_t kMostTokens = 1'000'000'000'000;
constexpr std::size_t kMostModels = 200;
constexpr std::size_t kMostModelBytes = 100;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; }

bool names_model(std::string_view entry, const ModelProfile& model) {
  if (entry.ends_with('*')) {
    entry.remove_suffix(1);
    return model.name.starts_with(entry);
  }
  return entry == model.name || std::ranges::find(model.aliases, entry) != model.aliases.end();
}

bool any_names(std::span<const std::string> list, const ModelProfile& model) {
  return std::ranges::any_of(list,
                             [&](const std::string& entry) { return names_model(entry, model); });
}

void read_minutes(JsonReader& reader, MinuteLimits& limits) {
  reader.only({"requests_per_minute", "tokens_per_minute"});
  reader.integer("requests_per_minute", limits.requests_per_minute, 0, kMostRequests);
  reader.integer("tokens_per_minute", limits.tokens_per_minute, 0, kMostTokens);
}

void read_models(JsonReader& reader, std::string_view name, std::vector<std::string>& models) {
  reader.texts(name, models, kMostModels, kMostModelBytes);
  for (const std::string& model : models) {
    const std::size_t star = model.find('*');
    if (star != std::string::npos && star + 1 != model.size()) {
      reader.fault(
          name, fmt::format("{} names '{}'; a '*' may only stand at the end (gpt-*)", name, model));
    }
  }
}

template <class T>
json::value or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_same_v<T, NanoUsd>) {
    return value->dollars();
  } else {
    return *value;
  }
}

json::value or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::object minutes_json(const MinuteLimits& limits) {
  return {{"requests_per_minute", or_null(limits.requests_per_minute)},
          {"tokens_per_minute", or_null(limits.tokens_per_minute)}};
}

/// The names that count: a plan that covers fewer models than the list has covers its first ones.
std::span<const std::string> effective_allowed(const PolicyBounds& bounds) {
  if (bounds.policy == nullptr) return {};
  const std::span<const std::string> all = bounds.policy->allowed_models;
  if (bounds.plan == nullptr || bounds.plan->models <= 0) return all;
  return all.first(std::min(all.size(), static_cast<std::size_t>(bounds.plan->models)));
}

/// Which rule keeps a model away; empty: none.
std::string_view obstacle(const PolicyBounds& bounds, const identity::Principal& caller,
                          const ModelProfile& model) {
  if (bounds.policy != nullptr) {
    if (any_names(bounds.policy->blocked_models, model)) return "blocked_models";
    const auto allowed = effective_allowed(bounds);
    if (!allowed.empty() && !any_names(allowed, model)) {
      return any_names(bounds.policy->allowed_models, model) ? "plan" : "allowed_models";
    }
  }
  if (!caller.allowed_models.empty() && !any_names(caller.allowed_models, model)) return "api_key";
  return {};
}

std::unexpected<Refusal> over_budget(std::string_view period, NanoUsd limit, NanoUsd spend,
                                     NanoUsd estimate) {
  auto refusal =
      refuse(Errc::kRateLimited, "budget_exceeded",
             fmt::format("the {} budget of ${:.6f} leaves no room: ${:.6f} is spent or reserved "
                         "and this call is estimated at ${:.6f}; "
                         "raise max_cost_per_{} or wait",
                         period == "day" ? "daily" : "monthly", shown_dollars(limit),
                         shown_dollars(spend), shown_dollars(estimate), period),
             {{period == "day" ? "daily_limit" : "monthly_limit", shown_dollars(limit)},
              {"current_spend", shown_dollars(spend)},
              {"estimated_cost", shown_dollars(estimate)},
              {"period", period}});
  refusal.error().error.retry_after =
      period == "day" ? std::chrono::minutes(1) : std::chrono::hours(1);
  return refusal;
}

std::unexpected<Refusal> over_count(std::string_view period, std::int64_t limit,
                                    std::int64_t count) {
  auto refusal = refuse(
      Errc::kRateLimited, "request_limit_exceeded",
      fmt::format("{} of {} requests of this {} are used up; raise max_requests_per_{} or wait",
                  count, limit, period, period),
      {{"limit", limit}, {"current_requests", count}, {"period", period}});
  refusal.error().error.retry_after =
      period == "day" ? std::chrono::minutes(1) : std::chrono::hours(1);
  return refusal;
}

}  // namespace

Result<OrgPolicy> read_policy(const json::value& body, const OrgPolicy* base) {
  OrgPolicy policy = base == nullptr ? OrgPolicy{} : *base;
  JsonReader reader(body);
  reader.only({"org_id", "allowed_models", "blocked_models", "max_cost_per_day",
               "max_cost_per_month", "max_cost_per_request", "max_requests_per_day",
               "max_requests_per_month", "default_quality_threshold", "default_latency_budget_ms",
               "require_audit_log", "data_residency", "rate_limit_per_minute", "tokens_per_minute",
               "per_user", "per_model", "cost_sensitivity", "updated_at", "updated_by"});
  read_models(reader, "allowed_models", policy.allowed_models);
  read_models(reader, "blocked_models", policy.blocked_models);
  reader.dollars("max_cost_per_day", policy.max_cost_per_day, kMostDollars);
  reader.dollars("max_cost_per_month", policy.max_cost_per_month, kMostDollars);
  reader.dollars("max_cost_per_request", policy.max_cost_per_request, kMostDollars);
  reader.integer("max_requests_per_day", policy.max_requests_per_day, 0, kMostRequests);
  reader.integer("max_requests_per_month", policy.max_requests_per_month, 0, kMostRequests);
  reader.number("default_quality_threshold", policy.default_quality_threshold, 0, 5);
  reader.integer("default_latency_budget_ms", policy.default_latency_budget_ms, 50, 30'000);
  reader.flag("require_audit_log", policy.require_audit_log);
  reader.word("data_residency", policy.data_residency, {"us", "eu", "ap"});
  reader.integer("rate_limit_per_minute", policy.rate_limit_per_minute, 0, kMostRequests);
  reader.integer("tokens_per_minute", policy.tokens_per_minute, 0, kMostTokens);
  reader.word("cost_sensitivity", policy.cost_sensitivity, {"low", "medium", "high"});
  if (const json::value* per_user = reader.find("per_user")) {
    policy.per_user = {};
    if (!per_user->is_null()) {
      JsonReader nested(*per_user, "per_user.");
      read_minutes(nested, policy.per_user);
      reader.merge(nested);
    }
  }
  if (const json::value* per_model = reader.find("per_model")) {
    policy.per_model.clear();
    const json::object* models = per_model->if_object();
    if (models == nullptr ? !per_model->is_null() : models->size() > kMostModels) {
      reader.fault(
          "per_model",
          fmt::format("per_model is {}; it must be an object of at most {} model names with limits",
                      shown(*per_model), kMostModels));
    } else if (models != nullptr) {
      for (const auto& member : *models) {
        const std::string_view name = member.key();
        if (name.empty() || name.size() > kMostModelBytes) {
          reader.fault("per_model",
                       fmt::format("per_model names a model of {} bytes; names have 1 to {}",
                                   name.size(), kMostModelBytes));
          break;
        }
        JsonReader nested(member.value(), fmt::format("per_model.{}.", name));
        read_minutes(nested, policy.per_model[std::string(name)]);
        reader.merge(nested);
      }
    }
  }
  if (auto read = reader.result(); !read) return std::unexpected(read.error());
  return policy;
}

json::object policy_json(const OrgPolicy& policy) {
  json::object per_model;
  for (const auto& [name, limits] : policy.per_model) per_model[name] = minutes_json(limits);
  return {
      {"org_id", policy.org_id},
      {"allowed_models", json::array(policy.allowed_models.begin(), policy.allowed_models.end())},
      {"blocked_models", json::array(policy.blocked_models.begin(), policy.blocked_models.end())},
      {"max_cost_per_day", or_null(policy.max_cost_per_day)},
      {"max_cost_per_month", or_null(policy.max_cost_per_month)},
      {"max_cost_per_request", or_null(policy.max_cost_per_request)},
      {"max_requests_per_day", or_null(policy.max_requests_per_day)},
      {"max_requests_per_month", or_null(policy.max_requests_per_month)},
      {"default_quality_threshold", policy.default_quality_threshold},
      {"default_latency_budget_ms", policy.default_latency_budget_ms},
      {"require_audit_log", policy.require_audit_log},
      {"data_residency", or_null(policy.data_residency)},
      {"rate_limit_per_minute", or_null(policy.rate_limit_per_minute)},
      {"tokens_per_minute", or_null(policy.tokens_per_minute)},
      {"per_user", minutes_json(policy.per_user)},
      {"per_model", std::move(per_model)},
      {"cost_sensitivity", or_null(policy.cost_sensitivity)},
      {"updated_at", policy.updated_at == Clock::Time{}
                         ? json::value(nullptr)
                         : json::value(format_rfc3339(policy.updated_at))},
      {"updated_by", or_null(policy.updated_by)}};
}

bool serves_region(const ModelProfile& model, std::string_view region) {
  return !model.region.empty() && std::ranges::equal(model.region, region, {}, lower, lower);
}

std::optional<std::int64_t> PolicyBounds::requests_per_day() const {
  std::optional<std::int64_t> most;
  if (plan != nullptr) most = plan->requests_per_day;
  if (policy != nullptr && policy->max_requests_per_day) {
    most = most ? std::min(*most, *policy->max_requests_per_day) : *policy->max_requests_per_day;
  }
  return most;
}

Verdict check_permission(const identity::Principal& caller, identity::Permission needed) {
  if (!caller.org_active) {
    return refuse(Errc::kForbidden, "forbidden",
                  fmt::format("organisation '{}' is switched off", caller.org_id));
  }
  if (!caller.may(needed)) {
    return refuse(Errc::kForbidden, "forbidden",
                  fmt::format("this needs the permission {}", identity::to_string(needed)),
                  {{"required_permission", identity::to_string(needed)}});
  }
  return {};
}

Verdict check_model(const PolicyBounds& bounds, const identity::Principal& caller,
                    const ModelProfile& model) {
  const std::string_view rule = obstacle(bounds, caller, model);
  if (rule.empty()) return {};
  const std::string_view why =
      rule == "blocked_models"   ? "is on the organisation's list of blocked models"
      : rule == "allowed_models" ? "is not on the organisation's list of allowed models"
      : rule == "plan"           ? "is beyond the number of models that the plan covers"
                                 : "is not on the API key's list of models";
  return refuse(Errc::kForbidden, "model_blocked", fmt::format("model '{}' {}", model.name, why),
                {{"model", model.name}, {"org_policy", rule}});
}

Verdict check_request_cost(const PolicyBounds& bounds, NanoUsd estimate) {
  if (bounds.policy == nullptr || !bounds.policy->max_cost_per_request) return {};
  const NanoUsd most = *bounds.policy->max_cost_per_request;
  if (estimate <= most) return {};
  return refuse(
      Errc::kRateLimited, "budget_exceeded",
      fmt::format(
          "this call is estimated at ${:.6f}; the organisation allows ${:.6f} per request. Send "
          "less text, a "
          "lower max_tokens, or let a cheaper model answer",
          shown_dollars(estimate), shown_dollars(most)),
      {{"max_cost_per_request", shown_dollars(most)}, {"estimated_cost", shown_dollars(estimate)}});
}

Verdict check_spend(const PolicyBounds& bounds, const PolicyUse& use, NanoUsd estimate) {
  if (bounds.policy == nullptr) return {};
  if (const auto most = bounds.policy->max_cost_per_day; most && use.spent_day + estimate > *most) {
    return over_budget("day", *most, use.spent_day, estimate);
  }
  if (const auto most = bounds.policy->max_cost_per_month;
      most && use.spent_month + estimate > *most) {
    return over_budget("month", *most, use.spent_month, estimate);
  }
  return {};
}

Verdict check_count(const PolicyBounds& bounds, const PolicyUse& use) {
  if (const auto most = bounds.requests_per_day(); most && use.requests_day >= *most) {
    return over_count("day", *most, use.requests_day);
  }
  if (bounds.policy == nullptr) return {};
  if (const auto most = bounds.policy->max_requests_per_month;
      most && use.requests_month >= *most) {
    return over_count("month", *most, use.requests_month);
  }
  return {};
}

Verdict check_residency(const PolicyBounds& bounds, const ModelProfile& model) {
  if (bounds.residency.empty() || serves_region(model, bounds.residency)) return {};
  const std::string violation =
      model.region.empty()
          ? fmt::format("data_residency: the region of model '{}' is not known", model.name)
          : fmt::format("data_residency: model '{}' processes data in '{}', not in '{}'",
                        model.name, model.region, bounds.residency);
  return refuse(Errc::kForbidden, "compliance_violation", violation,
                {{"violations", json::array{violation}}, {"model", model.name}});
}

Verdict decide(const PolicyBounds& bounds, const identity::Principal& caller,
               const ModelProfile& model, NanoUsd estimate, const PolicyUse& use) {
  if (auto verdict = check_permission(caller, identity::Permission::kInfer); !verdict)
    return verdict;
  if (auto verdict = check_model(bounds, caller, model); !verdict) return verdict;
  if (auto verdict = check_request_cost(bounds, estimate); !verdict) return verdict;
  if (auto verdict = check_spend(bounds, use, estimate); !verdict) return verdict;
  if (auto verdict = check_count(bounds, use); !verdict) return verdict;
  return check_residency(bounds, model);
}

bool lists_permit(const PolicyBounds& bounds, const identity::Principal& caller,
                  const ModelProfile& model) {
  return obstacle(bounds, caller, model).empty();
}

bool permits(const PolicyBounds& bounds, const identity::Principal& caller,
             const ModelProfile& model) {
  return lists_permit(bounds, caller, model) &&
         (bounds.residency.empty() || serves_region(model, bounds.residency));
}

}  // namespace asahi::gateway
