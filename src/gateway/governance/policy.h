#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/money.h"
#include "gateway/governance/refusal.h"
#include "gateway/routing/model_profile.h"
#include "identity/principal.h"

namespace asahi::gateway {

/// Requests and tokens per minute; empty: no limit.
struct MinuteLimits {
  std::optional<std::int64_t> requests_per_minute;
  std::optional<std::int64_t> tokens_per_minute;
  bool operator==(const MinuteLimits&) const = default;
};

/// What an organisation lets its members do (spec §9.3); one row of `org_policies`.
/// A listed model is a name, an alias or a prefix with a final "*" ("gpt-*").
struct OrgPolicy {
  std::string org_id;
  std::vector<std::string> allowed_models;    ///< empty: all
  std::vector<std::string> blocked_models;    ///< wins over allowed
  std::optional<NanoUsd> max_cost_per_day;    ///< rolling 24 hours
  std::optional<NanoUsd> max_cost_per_month;  ///< calendar month, UTC
  std::optional<NanoUsd> max_cost_per_request;
  std::optional<std::int64_t> max_requests_per_day;
  std::optional<std::int64_t> max_requests_per_month;
  /// Of tasks without a row of their own, 0 to 5 and 50 to 30000. These two, which stand in a
  /// policy that says nothing of them, leave it to the configuration.
  static constexpr double kUnsaidQualityThreshold = 3.5;
  static constexpr int kUnsaidLatencyBudgetMs = 300;
  double default_quality_threshold = kUnsaidQualityThreshold;
  int default_latency_budget_ms = kUnsaidLatencyBudgetMs;
  bool require_audit_log = false;  ///< every inference gets a durable audit entry, or fails
  std::string data_residency;      ///< "us", "eu", "ap"; empty: anywhere
  std::optional<std::int64_t> rate_limit_per_minute;  ///< requests of the whole organisation
  std::optional<std::int64_t> tokens_per_minute;      ///< tokens of the whole organisation
  MinuteLimits per_user;                              ///< of each user
  std::map<std::string, MinuteLimits, std::less<>> per_model;  ///< by model name
  std::string cost_sensitivity;  ///< "low", "medium", "high"; empty: the installation's
  Clock::Time updated_at{};
  std::string updated_by;

  bool operator==(const OrgPolicy&) const = default;
};

/// Reads a policy as clients send it. PUT and POST replace (`base` null), PATCH changes `base`:
/// null takes a limit away. `org_id`, `updated_at` and `updated_by` may stand there as GET gave
/// them and are not read. Errors: invalid_argument naming field, value and rule; an unknown field
/// is one.
Result<OrgPolicy> read_policy(const json::value& body, const OrgPolicy* base = nullptr);
/// As GET shows it; `read_policy` gives the same policy back.
json::object policy_json(const OrgPolicy& policy);

/// True when the model processes data in `region` (any case). A model without a region: never.
bool serves_region(const ModelProfile& model, std::string_view region);

/// Use of the running periods against which caps are held.
struct PolicyUse {
  NanoUsd spent_day, spent_month;  ///< settled and reserved
  std::int64_t requests_day = 0, requests_month = 0;
};

/// The rules that bind one organisation's calls. Any of them may be absent.
struct PolicyBounds {
  const OrgPolicy* policy = nullptr;
  const identity::Plan* plan = nullptr;
  std::string_view residency;  ///< of the policy, else of the compliance profile

  std::optional<std::int64_t> requests_per_day() const;
};

// The steps of spec §9.3, in their order. Each is pure; the first that refuses wins.

/// 403 forbidden with required_permission; also for organisations that are switched off.
Verdict check_permission(const identity::Principal& caller, identity::Permission needed);
/// 403 model_blocked with model and org_policy ("blocked_models", "allowed_models", "api_key",
/// "plan").
Verdict check_model(const PolicyBounds& bounds, const identity::Principal& caller,
                    const ModelProfile& model);
/// 429 budget_exceeded with max_cost_per_request and estimated_cost.
Verdict check_request_cost(const PolicyBounds& bounds, NanoUsd estimate);
/// 429 budget_exceeded with daily_limit and current_spend: reaching the cap exactly is allowed.
Verdict check_spend(const PolicyBounds& bounds, const PolicyUse& use, NanoUsd estimate);
/// 429 request_limit_exceeded: reaching the cap is refused.
Verdict check_count(const PolicyBounds& bounds, const PolicyUse& use);
/// 403 compliance_violation with violations[].
Verdict check_residency(const PolicyBounds& bounds, const ModelProfile& model);
/// All of the above.
Verdict decide(const PolicyBounds& bounds, const identity::Principal& caller,
               const ModelProfile& model, NanoUsd estimate, const PolicyUse& use);

/// The model lists alone (policy, key, plan): what RouteFilter leaves out before its region.
bool lists_permit(const PolicyBounds& bounds, const identity::Principal& caller,
                  const ModelProfile& model);
/// What routing may choose from: allowed, not blocked, on the key's list, in the region. Cheap:
/// asked for every model of the registry.
bool permits(const PolicyBounds& bounds, const identity::Principal& caller,
             const ModelProfile& model);

}  // namespace asahi::gateway
