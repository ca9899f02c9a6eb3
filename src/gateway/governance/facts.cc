#include "gateway/governance/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "gateway/governance/policy.h"

namespace asahi::gateway {
namespace {

/// Failures of the service; what callers did wrong is no outage.
bool is_failure(std::string_view error) {
  constexpr std::string_view kFailures[] = {"service_unavailable",
                                            "no_models_available",
                                            "circuit_open",
                                            "deadline_exceeded",
                                            "internal_server_error",
                                            "unavailable",
                                            "timeout",
                                            "upstream",
                                            "internal",
                                            "corrupt",
                                            "stream_cut"};
  return std::ranges::find(kFailures, error) != std::end(kFailures);
}

}  // namespace

Task<ComplianceFacts> collect_facts(FactParts parts, std::string org_id) {
  ComplianceFacts facts;
  ASAHI_CO_TRY(auto profile, co_await parts.policies.profile(org_id));
  if (!profile) {
    auto missing =
        fail(Errc::kNotFound, fmt::format("organisation '{}' has no compliance profile; PUT "
                                          "/governance/compliance/profile/{} makes one",
                                          org_id, org_id));
    missing.error().reason = "profile_not_found";
    co_return missing;
  }
  ASAHI_CO_TRY(const auto policy, co_await parts.policies.policy(org_id));
  facts.residency = make_rules(org_id, policy, profile)->residency;
  facts.profile = std::move(*profile);
  facts.now = parts.clock.now();

  const InstallationFacts here = parts.installation();
  facts.installation = here.installation;
  facts.tls_on = here.tls_on;
  facts.encryption_detail = here.encryption_detail;
  facts.running_since = here.running_since;

  if (facts.installation.audit_on) {
    ASAHI_CO_TRY(const identity::AuditVerification chain, co_await parts.audit.verify(org_id));
    facts.audit_verified = chain.valid;
    facts.audit_entries = chain.checked;
    if (!chain.valid)
      facts.audit_problem = fmt::format("{} at {}", chain.problem, chain.first_bad_entry);
  }

  const auto ago = [&](std::chrono::hours time) { return format_rfc3339(facts.now - time); };
  const std::chrono::hours kept = std::chrono::days(facts.profile.retention_days);
  ASAHI_CO_TRY(const analytics::UseByError used,
               co_await parts.analytics.use_since(org_id, facts.now - std::chrono::days(30)));
  for (const auto& [error, some] : used) {
    facts.requests_30d += some.requests;
    if (is_failure(error)) facts.failures_30d += some.requests;
  }
  std::vector<sql::Statement> statements;
  statements.push_back(
      {"SELECT COUNT(*) AS n FROM audit_entries WHERE org_id = ? AND timestamp >= ? AND (result = "
       "'denied' OR "
       "action LIKE 'auth%' OR action LIKE 'login%' OR action LIKE 'api_key%' OR action LIKE "
       "'user%' OR "
       "action LIKE 'role%')",
       {org_id, ago(std::chrono::days(90))}});
  statements.push_back({"SELECT ran_at FROM retention_runs WHERE org_id = ?", {org_id}});
  // The job runs daily: what became too old since its last run is no fault yet.
  statements.push_back(
      {"SELECT COUNT(*) AS n FROM inference_events WHERE org_id = ? AND timestamp < ?",
       {org_id, ago(kept + std::chrono::hours(48))}});
  statements.push_back({"SELECT COUNT(*) AS n FROM gdpr_consents WHERE org_id = ?", {org_id}});
  ASAHI_CO_TRY(const auto rows, co_await parts.database.batch(std::move(statements)));
  facts.access_entries = rows[0].integer(0, "n");
  if (!rows[1].empty()) {
    ASAHI_CO_TRY(facts.retention_ran_at, parse_rfc3339(rows[1].text(0, "ran_at")));
  }
  facts.events_past_retention = rows[2].integer(0, "n");
  facts.consents = rows[3].integer(0, "n");

  const auto registry = parts.registry.get();
  for (const ModelProfile& model : registry->all()) {
    if (model.region.empty()) ++facts.models_without_region;
    if (!facts.residency.empty() && serves_region(model, facts.residency)) ++facts.models_in_region;
  }
  co_return facts;
}

}  // namespace asahi::gateway
