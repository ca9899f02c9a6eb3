#include <fmt/format.h>

#include <algorithm>

#include "gateway/governance/compliance.h"

namespace asahi::gateway {
namespace {

/// Reads the facts check by check. Each check says what it looked at, whether it passed or not.
class Report {
 public:
  Report(Framework framework, const ComplianceFacts& facts) : facts_(facts) {
    report_.framework = framework;
  }

  void encryption() {
    add("encryption_at_rest", facts_.installation.encryption_on,
        facts_.installation.encryption_on ? facts_.encryption_detail : "encryption at rest is off");
  }
  void prompt_storage_off() {
    const bool off = !duties_of(facts_.profile).store_prompts;
    add("prompt_storage_off", off,
        off ? "requests of this organisation are neither cached nor kept as text"
            : "the profile allows prompts to be stored");
  }
  void pii_detection() {
    const PiiAction action = duties_of(facts_.profile).pii;
    add("pii_detection", action != PiiAction::kOff,
        fmt::format("pii_action in force: {}", to_string(action)));
  }
  void pii_kept_from_vendors() {
    const PiiAction action = duties_of(facts_.profile).pii;
    add("pii_not_disclosed", action == PiiAction::kRedact || action == PiiAction::kBlock,
        fmt::format("personal data in prompts: {}", action == PiiAction::kBlock ? "refused"
                                                    : action == PiiAction::kRedact
                                                        ? "masked before cache and vendor"
                                                        : "passed on"));
  }
  void audit() {
    const bool good =
        facts_.installation.audit_on && facts_.audit_verified && facts_.audit_entries > 0;
    std::string evidence =
        fmt::format("{} entries of the hash chain checked", facts_.audit_entries);
    if (!facts_.installation.audit_on) {
      evidence = "the audit log is off";
    } else if (!facts_.audit_verified) {
      evidence += ": " + (facts_.audit_problem.empty() ? std::string("not verified")
                                                       : facts_.audit_problem);
    } else if (facts_.audit_entries == 0) {
      evidence = "the audit log of this organisation is empty";
    }
    add("audit_trail", good, std::move(evidence));
  }
  void tls() {
    add("encryption_in_transit", facts_.tls_on,
        facts_.tls_on ? "requests arrive over TLS"
                      : "neither a TLS listener nor a trusted TLS edge is configured");
  }
  void baa() {
    const auto& signed_at = facts_.profile.baa_signed_at;
    const bool good = signed_at && *signed_at <= facts_.now;
    add("baa_record", good,
        signed_at ? fmt::format("business associate agreement signed {}", format_date(*signed_at))
                  : "the profile has no baa_signed_at");
  }
  void access_trail() {
    add("access_control_trail", facts_.installation.audit_on && facts_.access_entries > 0,
        fmt::format("{} audit entries on keys, logins, roles and denials within 90 days",
                    facts_.access_entries));
  }
  void uptime() {
    const auto& since = facts_.running_since;
    std::string evidence = "no requests were recorded within 30 days";
    if (facts_.requests_30d > 0) {
      const double answered = 100.0 *
                              static_cast<double>(facts_.requests_30d - facts_.failures_30d) /
                              static_cast<double>(facts_.requests_30d);
      evidence = fmt::format("{:.2f} % of {} requests answered within 30 days", answered,
                             facts_.requests_30d);
      if (since) evidence += fmt::format("; running since {}", format_rfc3339(*since));
    }
    add("uptime_evidence", facts_.requests_30d > 0 && since.has_value(), std::move(evidence));
  }
  void incidents() {
    const std::string& contact = facts_.profile.incident_contact;
    const bool good = facts_.installation.audit_on && !contact.empty();
    add("incident_record", good,
        contact.empty() ? "the profile names no incident_contact"
        : good ? fmt::format("incidents go to {}; {} failed requests on record within 30 days",
                             contact, facts_.failures_30d)
               : "the audit log is off");
  }
  void assessments() {
    constexpr auto kYear = std::chrono::days(366);
    const auto& at = facts_.profile.assessed_at;
    const bool good = at && *at <= facts_.now && facts_.now - *at <= kYear;
    add("assessments_log", good,
        at ? fmt::format("latest assessment {}{}", format_date(*at),
                         good ? "" : ", not within the last year")
           : "the profile has no assessed_at");
  }
  void residency() {
    const bool good = !facts_.residency.empty() && facts_.models_in_region > 0;
    add("data_residency", good,
        facts_.residency.empty()
            ? "no region is set"
            : fmt::format(
                  "'{}' is enforced: {} models lie there, {} without a known region are refused",
                  facts_.residency, facts_.models_in_region, facts_.models_without_region));
  }
  void retention() {
    constexpr auto kLatest = std::chrono::hours(48);  // a daily job that missed once
    const auto& ran = facts_.retention_ran_at;
    const bool recent = ran && facts_.now - *ran <= kLatest;
    const bool good =
        recent && facts_.profile.retention_days <= 365 && facts_.events_past_retention == 0;
    add("retention", good,
        fmt::format("{} days; {}; {} events are older", facts_.profile.retention_days,
                    ran ? fmt::format("the job ran {}", format_rfc3339(*ran))
                        : std::string("the job has not run"),
                    facts_.events_past_retention));
  }
  void access_and_export() {
    add("subject_access", facts_.subject_access_on,
        facts_.subject_access_on ? "GET /governance/gdpr/export answers"
                                 : "the export is not served");
    add("data_portability", facts_.subject_access_on,
        facts_.subject_access_on ? "the export is machine-readable JSON"
                                 : "the export is not served");
  }
  void erasure() {
    add("erasure", facts_.erasure_on,
        facts_.erasure_on ? "DELETE /governance/gdpr/data answers" : "erasure is not served");
  }
  void consents() {
    add("consent_log", facts_.consents > 0, fmt::format("{} consent records", facts_.consents));
  }
  void impact_assessment() {
    const std::size_t size = facts_.profile.impact_assessment.size();
    add("impact_assessment", size > 0,
        size > 0 ? fmt::format("a note of {} bytes is on file", size)
                 : "the profile has no impact_assessment");
  }
  ComplianceReport take() { return std::move(report_); }

 private:
  void add(std::string name, bool passed, std::string evidence) {
    report_.checks.push_back(
        {.name = std::move(name), .passed = passed, .evidence = std::move(evidence)});
  }

  const ComplianceFacts& facts_;
  ComplianceReport report_;
};

}  // namespace

bool ComplianceReport::compliant() const {
  return !checks.empty() && std::ranges::all_of(checks, &ComplianceCheck::passed);
}

ComplianceReport make_report(Framework framework, const ComplianceFacts& facts) {
  Report report(framework, facts);
  switch (framework) {
    case Framework::kHipaa:
      report.encryption();
      report.prompt_storage_off();
      report.pii_detection();
      report.pii_kept_from_vendors();
      report.audit();
      report.tls();
      report.baa();
      break;
    case Framework::kSoc2:
      report.audit();
      report.access_trail();
      report.uptime();
      report.incidents();
      report.assessments();
      break;
    case Framework::kGdpr:
      report.residency();
      report.retention();
      report.access_and_export();
      report.erasure();
      report.consents();
      report.impact_assessment();
      break;
    case Framework::kPciDss:
      report.encryption();
      break;
    case Framework::kCcpa:
      report.pii_detection();
      break;
  }
  return report.take();
}

json::object report_json(const ComplianceReport& report) {
  json::array checks;
  for (const ComplianceCheck& check : report.checks) {
    checks.push_back(
        json::object{{"name", check.name}, {"passed", check.passed}, {"evidence", check.evidence}});
  }
  return {{"framework", to_string(report.framework)},
          {"overall_status", report.compliant() ? "compliant" : "non_compliant"},
          {"checks_passed", std::ranges::count_if(report.checks, &ComplianceCheck::passed)},
          {"checks_total", report.checks.size()},
          {"checks", std::move(checks)}};
}

}  // namespace asahi::gateway
