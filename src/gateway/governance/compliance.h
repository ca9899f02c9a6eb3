#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "gateway/governance/guard/pii.h"
#include "gateway/governance/refusal.h"

namespace asahi::gateway {

enum class Framework : std::uint8_t { kHipaa, kSoc2, kGdpr, kPciDss, kCcpa };
std::string_view to_string(Framework framework);  ///< "hipaa", "soc2", "gdpr", "pci_dss", "ccpa"
std::optional<Framework> parse_framework(std::string_view word);

enum class PiiAction : std::uint8_t { kOff, kDetect, kRedact, kBlock };
std::string_view to_string(PiiAction action);  ///< "off", "detect", "redact", "block"
std::optional<PiiAction> parse_pii_action(std::string_view word);

/// What an organisation must comply with (spec §9.7); one row of `compliance_profiles`.
struct ComplianceProfile {
  std::string org_id;
  std::vector<Framework> frameworks;  ///< without repeats, in the order of the enumeration
  std::string data_residency;         ///< "us", "eu", "ap"; empty: anywhere
  bool encryption_required = false;
  bool prompt_storage_allowed = true;
  int retention_days = 365;  ///< 1 to 3650; at most 365 under GDPR
  bool pii_detection_enabled = false;
  PiiAction pii_action = PiiAction::kOff;
  std::optional<Clock::Time> baa_signed_at;  ///< business associate agreement (HIPAA)
  std::optional<Clock::Time> assessed_at;    ///< latest security assessment (SOC 2)
  std::string impact_assessment;             ///< note on the data protection impact (GDPR)
  std::string incident_contact;              ///< who is told of incidents (SOC 2)
  Clock::Time updated_at{};

  bool has(Framework framework) const;
  bool operator==(const ComplianceProfile&) const = default;
};

/// Replaces; unknown fields, wrong types and values out of range are errors naming field, value and
/// rule, and so are profiles that contradict a framework of theirs (gdpr with 400 days).
Result<ComplianceProfile> read_profile(const json::value& body);
json::object profile_json(const ComplianceProfile& profile);

/// What a profile demands of every request.
struct ComplianceDuties {
  PiiAction pii = PiiAction::kOff;  ///< frameworks may ask for more than the profile says
  bool store_prompts = true;        ///< false: no cache entry, no prompt text kept anywhere
  bool needs_residency = false;     ///< GDPR: refuse unless a region is set
  bool needs_encryption = false;
  bool needs_audit = false;
};
ComplianceDuties duties_of(const ComplianceProfile& profile);

/// What this process can promise, from its configuration.
struct Installation {
  bool encryption_on = false;
  bool audit_on = false;
};
/// 403 compliance_violation with violations[] naming each duty that the installation cannot meet.
Verdict check_duties(const ComplianceDuties& duties, std::string_view residency,
                     const Installation& installation);

/// The state that a report is computed from, gathered by `collect_facts`.
struct ComplianceFacts {
  ComplianceProfile profile;
  std::string residency;  ///< in force: of the policy, else of the profile
  Clock::Time now{};
  Installation installation;
  bool tls_on = false;            ///< a TLS listener, or an edge that is declared to terminate TLS
  std::string encryption_detail;  ///< "AES-256-GCM, key id 2, 1 older key readable"
  bool audit_verified = false;
  std::int64_t audit_entries = 0;  ///< checked by the verification
  std::string audit_problem;
  std::int64_t access_entries = 0;  ///< audit entries on keys, logins, roles, denials, 90 days
  std::int64_t requests_30d = 0, failures_30d = 0;
  std::optional<Clock::Time> running_since;
  std::optional<Clock::Time> retention_ran_at;
  std::int64_t events_past_retention = 0;
  std::int64_t consents = 0;
  std::int64_t models_in_region = 0, models_without_region = 0;
  bool subject_access_on = false, erasure_on = false;  ///< the routes are served
};

struct ComplianceCheck {
  std::string name;
  bool passed = false;
  std::string evidence;  ///< what was looked at and found
};
struct ComplianceReport {
  Framework framework = Framework::kHipaa;
  std::vector<ComplianceCheck> checks;
  bool compliant() const;
};
/// Every check of the framework on these facts; nothing passes by default.
ComplianceReport make_report(Framework framework, const ComplianceFacts& facts);
/// {framework, overall_status, checks_passed, checks_total, checks[]}.
json::object report_json(const ComplianceReport& report);

}  // namespace asahi::gateway
