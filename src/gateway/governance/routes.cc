#include "gateway/governance/routes.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/governance/json_reader.h"
#include "gateway/http/audit_note.h"
#include "gateway/http/errors.h"
#include "identity/principal.h"

namespace asahi::gateway {
namespace {

using identity::Permission;
using identity::Principal;
using Parts = std::shared_ptr<const GovernanceParts>;
using Body = Task<http::Response> (*)(const GovernanceParts& parts, http::Context& context);

constexpr std::size_t kMostOrgBytes = 255;

void add(http::Router& router, const Parts& parts, http::Method method, const std::string& pattern,
         std::string_view access, Body body) {
  const http::Handler handler = [parts, body](http::Context& context) -> Aw<http::Response> {
    auto reply = co_await body(*parts, context);
    if (!reply) co_return native_error(reply.error(), context);
    co_return std::move(*reply);
  };
  for (const char* prefix : {"", "/api/v1"}) {
    router.add({.method = method,
                .pattern = prefix + pattern,
                .handler = handler,
                .fast = {},
                .websocket = {},
                .errors = native_error,
                .access = access});
  }
}

std::unexpected<Error> missing(std::string reason, std::string message) {
  auto failure = fail(Errc::kNotFound, std::move(message));
  failure.error().reason = std::move(reason);
  return failure;
}

/// The organisation that a request is about: the caller's own where none is named. A foreign one
/// looks like one that has nothing (404).
Result<std::string> org_for(const http::Context& context, std::string_view wanted,
                            std::string_view reason) {
  const Principal& caller = identity::principal_of(context);
  if (wanted.empty() || wanted == caller.org_id) return caller.org_id;
  if (caller.may(Permission::kManageTenants) && wanted.size() <= kMostOrgBytes)
    return std::string(wanted);
  return missing(
      std::string(reason),
      fmt::format("there is nothing of this kind for organisation '{}'", wanted.substr(0, 64)));
}

http::Response reply(int status, const json::object& body) {
  return http::Response::json(status, write_json(body));
}

Result<json::value> read_body(const http::Context& context) {
  return parse_json(context.request.body, 16);
}

// ---- Policies

std::unexpected<Error> no_policy(const std::string& org) {
  return missing(
      "policy_not_found",
      fmt::format("organisation '{}' has no policy; PUT /governance/policies/{} makes one", org,
                  org));
}

/// What changed, for the audit log.
json::object difference(const json::object& before, const json::object& after) {
  json::object changes;
  for (const auto& member : after) {
    const std::string_view name = member.key();
    const json::value* old = before.if_contains(name);
    if (name == "updated_at" || name == "updated_by" || (old != nullptr && *old == member.value()))
      continue;
    changes[name] = {{"before", old == nullptr ? json::value(nullptr) : *old},
                     {"after", member.value()}};
  }
  return changes;
}

/// Entries of the model lists that name nothing now: probably misspelt, but models come and go.
json::array strangers(const Registry& registry, const OrgPolicy& policy) {
  json::array warnings;
  const auto look = [&](std::string_view list, const std::string& entry) {
    const bool known =
        entry.ends_with('*')
            ? std::ranges::any_of(registry.all(),
                                  [&](const ModelProfile& model) {
                                    return model.name.starts_with(
                                        std::string_view(entry).substr(0, entry.size() - 1));
                                  })
            : registry.get(entry) != nullptr;
    if (!known)
      warnings.emplace_back(
          fmt::format("{} names '{}', which is no model of this gateway now", list, entry));
  };
  for (const std::string& entry : policy.allowed_models) look("allowed_models", entry);
  for (const std::string& entry : policy.blocked_models) look("blocked_models", entry);
  for (const auto& [entry, limits] : policy.per_model) look("per_model", entry);
  return warnings;
}

Task<http::Response> show_policy(const GovernanceParts& parts, std::string org) {
  ASAHI_CO_TRY(const auto policy, co_await parts.policies.policy(org));
  if (!policy) co_return no_policy(org);
  co_return reply(200, policy_json(*policy));
}

enum class Write { kReplace, kChange };

Task<http::Response> write_policy(const GovernanceParts& parts, http::Context& context,
                                  std::string org, Write how) {
  ASAHI_CO_TRY(const json::value body, read_body(context));
  const Principal& caller = identity::principal_of(context);
  // The plan binds the organisation's own people, not the operator.
  const std::optional<identity::Plan> plan =
      org == caller.org_id && !caller.may(Permission::kManageTenants) ? caller.plan : std::nullopt;
  auto change = [&body, &plan, &org, how](const OrgPolicy* current) -> Result<OrgPolicy> {
    if (how == Write::kChange && current == nullptr) return no_policy(org);
    ASAHI_TRY(OrgPolicy policy, read_policy(body, how == Write::kChange ? current : nullptr));
    if (plan && plan->models > 0 &&
        policy.allowed_models.size() > static_cast<std::size_t>(plan->models)) {
      return fail_field("allowed_models",
                        fmt::format("allowed_models names {} models; the plan {} covers {}",
                                    policy.allowed_models.size(), plan->name, plan->models));
    }
    return policy;
  };
  ASAHI_CO_TRY(const auto saved, co_await parts.policies.change(org, actor_of(caller), change));
  const json::object now = policy_json(saved.policy);
  const json::object before = saved.before ? policy_json(*saved.before) : json::object();
  co_await note(parts.audit,
                audit_entry(context, org, saved.before ? "policy.update" : "policy.create",
                            "policy/" + org, {{"changes", difference(before, now)}}));
  json::object shown = now;
  if (auto warnings = strangers(*parts.registry.get(), saved.policy); !warnings.empty()) {
    shown["warnings"] = std::move(warnings);
  }
  co_return reply(saved.before ? 200 : 201, shown);
}

Result<std::string> policy_org(const http::Context& context) {
  return org_for(context, context.path_param("org"), "policy_not_found");
}

Task<http::Response> get_policy(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(std::string org, policy_org(context));
  co_return co_await show_policy(parts, std::move(org));
}
Task<http::Response> put_policy(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(std::string org, policy_org(context));
  co_return co_await write_policy(parts, context, std::move(org), Write::kReplace);
}
Task<http::Response> patch_policy(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(std::string org, policy_org(context));
  co_return co_await write_policy(parts, context, std::move(org), Write::kChange);
}
/// Who asks for their own learns what limits them, so none is an answer: one that limits nothing.
Task<http::Response> get_own_policy(const GovernanceParts& parts, http::Context& context) {
  std::string org = identity::principal_of(context).org_id;
  ASAHI_CO_TRY(const auto policy, co_await parts.policies.policy(org));
  if (policy) co_return reply(200, policy_json(*policy));
  OrgPolicy none;
  none.org_id = std::move(org);
  json::object shown = policy_json(none);
  // The gateway's configuration has these two.
  shown.erase("default_quality_threshold");
  shown.erase("default_latency_budget_ms");
  co_return reply(200, shown);
}
Task<http::Response> put_own_policy(const GovernanceParts& parts, http::Context& context) {
  co_return co_await write_policy(parts, context, identity::principal_of(context).org_id,
                                  Write::kReplace);
}

// ---- Compliance

Task<http::Response> get_profile(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org,
               org_for(context, context.path_param("org"), "profile_not_found"));
  ASAHI_CO_TRY(const auto profile, co_await parts.policies.profile(org));
  if (!profile) {
    co_return missing(
        "profile_not_found",
        fmt::format("organisation '{}' has no compliance profile; PUT makes one", org));
  }
  co_return reply(200, profile_json(*profile));
}

Task<http::Response> put_profile(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org,
               org_for(context, context.path_param("org"), "profile_not_found"));
  ASAHI_CO_TRY(const json::value body, read_body(context));
  ASAHI_CO_TRY(ComplianceProfile profile, read_profile(body));
  profile.org_id = org;
  ASAHI_CO_TRY(const auto before, co_await parts.policies.profile(org));
  ASAHI_CO_TRY(const bool created, co_await parts.policies.save(profile));
  profile.updated_at = parts.clock.now();
  const json::object now = profile_json(profile);
  co_await note(
      parts.audit,
      audit_entry(context, org, created ? "compliance_profile.create" : "compliance_profile.update",
                  "compliance_profile/" + org,
                  {{"changes", difference(before ? profile_json(*before) : json::object(), now)}}));
  co_return reply(created ? 201 : 200, now);
}

Task<http::Response> compliance_report(const GovernanceParts& parts, http::Context& context,
                                       std::string org) {
  const std::string word = context.request.query_param("framework").value_or("");
  const auto framework = parse_framework(word);
  if (!framework && !word.empty()) {
    co_return fail_field(
        "framework", fmt::format("framework is '{}'; it must be hipaa, soc2, gdpr, pci_dss or ccpa",
                                 word.substr(0, 40)));
  }
  ASAHI_CO_TRY(ComplianceFacts facts, co_await collect_facts({.policies = parts.policies,
                                                              .database = parts.database,
                                                              .analytics = parts.analytics,
                                                              .audit = parts.audit,
                                                              .registry = parts.registry,
                                                              .installation = parts.installation,
                                                              .clock = parts.clock},
                                                             org));
  // These routes and the ones they speak of are added together.
  facts.subject_access_on = facts.erasure_on = true;
  json::object shown{{"org_id", org}, {"generated_at", format_rfc3339(facts.now)}};
  if (framework) {
    for (auto& member : report_json(make_report(*framework, facts)))
      shown[member.key()] = member.value();
    co_return reply(200, shown);
  }
  // None named: every framework of the profile, and compliant only if all of them are.
  bool all = !facts.profile.frameworks.empty();
  json::array reports;
  for (const Framework own : facts.profile.frameworks) {
    const ComplianceReport report = make_report(own, facts);
    all = all && report.compliant();
    reports.push_back(report_json(report));
  }
  shown["overall_status"] = all ? "compliant" : "non_compliant";
  shown["frameworks"] = std::move(reports);
  co_return reply(200, shown);
}

Task<http::Response> get_report(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(std::string org, org_for(context, context.request.query_param("org_id").value_or(""),
                                        "profile_not_found"));
  if (context.request.query_param("framework").value_or("").empty()) {
    co_return fail_field("framework",
                         "framework is missing; it must be hipaa, soc2, gdpr, pci_dss or ccpa");
  }
  co_return co_await compliance_report(parts, context, std::move(org));
}
Task<http::Response> get_own_report(const GovernanceParts& parts, http::Context& context) {
  co_return co_await compliance_report(parts, context, identity::principal_of(context).org_id);
}

// ---- Usage

template <class T>
json::value or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}
json::value dollars_or_null(const std::optional<NanoUsd>& amount) {
  return amount ? json::value(shown_dollars(*amount)) : json::value(nullptr);
}

Task<http::Response> get_usage(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org,
               org_for(context, context.request.query_param("org_id").value_or(""),
                       "organization_not_found"));
  const std::string period = context.request.query_param("period").value_or("day");
  if (period != "day" && period != "month") {
    co_return fail_field(
        "period", fmt::format("period is '{}'; it must be day or month", period.substr(0, 40)));
  }
  const int hours = period == "day" ? 24 : 720;
  ASAHI_CO_TRY(
      const analytics::UseByError used,
      co_await parts.analytics.use_since(org, parts.clock.now() - std::chrono::hours(hours)));
  std::int64_t requests = 0;
  NanoUsd spent;
  for (const auto& [error, some] : used) {
    requests += some.requests;
    spent += some.cost;
  }
  ASAHI_CO_TRY(const auto policy, co_await parts.policies.policy(org));
  const Principal& caller = identity::principal_of(context);
  const PolicyBounds bounds{.policy = policy ? &*policy : nullptr,
                            .plan = org == caller.org_id && caller.plan ? &*caller.plan : nullptr,
                            .residency = {}};
  json::object limits{
      {"max_requests_per_day", or_null(bounds.requests_per_day())},
      {"max_cost_per_day", nullptr},
      {"max_cost_per_month", nullptr},
      {"max_requests_per_month", nullptr},
      {"max_cost_per_request", nullptr},
      {"plan", bounds.plan ? json::value(bounds.plan->name) : json::value(nullptr)}};
  if (policy) {
    limits["max_cost_per_day"] = dollars_or_null(policy->max_cost_per_day);
    limits["max_cost_per_month"] = dollars_or_null(policy->max_cost_per_month);
    limits["max_requests_per_month"] = or_null(policy->max_requests_per_month);
    limits["max_cost_per_request"] = dollars_or_null(policy->max_cost_per_request);
  }
  // What budgets are held against: with what is reserved by calls under way.
  const auto use =
      parts.budgets.use("org/" + org, period == "day" ? identity::Budget::Period::kDay
                                                      : identity::Budget::Period::kMonth);
  constexpr double kHoursOfMonth = 720;
  co_return reply(
      200, {{"org_id", org},
            {"period", period},
            {"period_hours", hours},
            {"request_count", requests},
            {"total_cost_usd", shown_dollars(spent)},
            {"budget",
             {{"requests", use.requests},
              {"spent_usd", shown_dollars(use.spent)},
              {"reserved_usd", shown_dollars(use.reserved)}}},
            {"policy_limits", std::move(limits)},
            {"bill_estimate_usd",
             shown_dollars(nano_usd_from_dollars(spent.dollars() * kHoursOfMonth / hours))}});
}

// ---- Rights of data subjects

Result<std::string> subject(const http::Context& context) {
  const std::string user = context.request.query_param("user_id").value_or("");
  if (user.empty() || user.size() > kMostOrgBytes) {
    return fail_field("user_id", "user_id must be given, with 1 to 255 bytes");
  }
  return user;
}

Task<http::Response> export_subject(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string user, subject(context));
  ASAHI_CO_TRY(const std::string org,
               org_for(context, context.request.query_param("org_id").value_or(""),
                       "organization_not_found"));
  // Nothing leaves unrecorded: first the entry, then the data.
  auto stored =
      co_await parts.audit.append(audit_entry(context, org, "gdpr.export", "user/" + user, {}));
  if (!stored) co_return std::unexpected(std::move(stored.error()));
  http::Response response;
  response.headers.add("Content-Type", "application/json");
  response.headers.add("Content-Disposition", "attachment; filename=\"gdpr-export.json\"");
  response.headers.add("Cache-Control", "no-store");
  response.stream = [gdpr = parts.gdpr, org, user](http::BodyWriter& writer) -> Task<void> {
    co_return co_await export_user(gdpr, org, user, writer);
  };
  co_return response;
}

Task<http::Response> erase_subject(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string user, subject(context));
  ASAHI_CO_TRY(const std::string org,
               org_for(context, context.request.query_param("org_id").value_or(""),
                       "organization_not_found"));
  ASAHI_CO_TRY(const ErasureReport report, co_await erase_user(parts.gdpr, org, user));
  json::object deleted = report_json(report);
  co_await note(parts.audit,
                audit_entry(context, org, "gdpr.erase", "user/" + user, {{"deleted", deleted}}));
  co_return reply(200, {{"org_id", org}, {"user_id", user}, {"deleted", std::move(deleted)}});
}

Task<http::Response> add_consent(const GovernanceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value body, read_body(context));
  Consent consent;
  std::string org;
  JsonReader reader(body);
  reader.only({"user_id", "org_id", "purpose", "granted", "source"});
  reader.text("user_id", consent.user_id, kMostOrgBytes);
  reader.text("org_id", org, kMostOrgBytes);
  reader.text("purpose", consent.purpose, 100);
  reader.flag("granted", consent.granted);
  reader.text("source", consent.source, kMostOrgBytes);
  if (consent.user_id.empty()) reader.fault("user_id", "user_id is missing");
  if (consent.purpose.empty())
    reader.fault("purpose", "purpose is missing; say what the consent is for");
  if (auto read = reader.result(); !read) co_return std::unexpected(std::move(read.error()));
  ASAHI_CO_TRY(consent.org_id, org_for(context, org, "organization_not_found"));
  consent.recorded_by = actor_of(identity::principal_of(context));
  ASAHI_CO_TRY(const Consent stored, co_await record_consent(parts.gdpr, std::move(consent)));
  co_await note(parts.audit,
                audit_entry(context, stored.org_id, "gdpr.consent", "user/" + stored.user_id,
                            {{"consent_id", stored.consent_id},
                             {"purpose", stored.purpose},
                             {"granted", stored.granted}}));
  co_return reply(201, consent_json(stored));
}

}  // namespace

void add_governance_routes(http::Router& router, GovernanceParts given) {
  const auto parts = std::make_shared<const GovernanceParts>(std::move(given));
  using enum http::Method;
  add(router, parts, kGet, "/governance/policies/{org}", "manage_policy", get_policy);
  add(router, parts, kPost, "/governance/policies/{org}", "manage_policy", put_policy);
  add(router, parts, kPut, "/governance/policies/{org}", "manage_policy", put_policy);
  add(router, parts, kPatch, "/governance/policies/{org}", "manage_policy", patch_policy);
  add(router, parts, kGet, "/org/policy", "manage_policy", get_own_policy);
  add(router, parts, kPut, "/org/policy", "manage_policy", put_own_policy);
  add(router, parts, kGet, "/governance/compliance/profile/{org}", "manage_policy", get_profile);
  add(router, parts, kPut, "/governance/compliance/profile/{org}", "manage_policy", put_profile);
  add(router, parts, kGet, "/governance/compliance/report", "manage_policy", get_report);
  add(router, parts, kGet, "/org/compliance-report", "manage_policy", get_own_report);
  add(router, parts, kGet, "/governance/usage", "view_cost", get_usage);
  add(router, parts, kGet, "/governance/gdpr/export", "manage_users", export_subject);
  add(router, parts, kDelete, "/governance/gdpr/data", "manage_users", erase_subject);
  add(router, parts, kPost, "/governance/gdpr/consent", "manage_users", add_consent);
}

}  // namespace asahi::gateway
