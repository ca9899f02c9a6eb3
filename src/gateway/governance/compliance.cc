#include "gateway/governance/compliance.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "gateway/governance/json_reader.h"

namespace asahi::gateway {
namespace {

constexpr std::array kFrameworks = {Framework::kHipaa, Framework::kSoc2, Framework::kGdpr,
                                    Framework::kPciDss, Framework::kCcpa};

json::value or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}
json::value or_null(const std::optional<Clock::Time>& time) {
  return time ? json::value(format_rfc3339(*time)) : json::value(nullptr);
}

}  // namespace

std::string_view to_string(Framework framework) {
  switch (framework) {
    case Framework::kHipaa:
      return "hipaa";
    case Framework::kSoc2:
      return "soc2";
    case Framework::kGdpr:
      return "gdpr";
    case Framework::kPciDss:
      return "pci_dss";
    case Framework::kCcpa:
      break;
  }
  return "ccpa";
}

std::optional<Framework> parse_framework(std::string_view word) {
  for (const Framework framework : kFrameworks) {
    if (word == to_string(framework)) return framework;
  }
  return std::nullopt;
}

std::string_view to_string(PiiAction action) {
  switch (action) {
    case PiiAction::kOff:
      return "off";
    case PiiAction::kDetect:
      return "detect";
    case PiiAction::kRedact:
      return "redact";
    case PiiAction::kBlock:
      break;
  }
  return "block";
}

std::optional<PiiAction> parse_pii_action(std::string_view word) {
  for (const PiiAction action :
       {PiiAction::kOff, PiiAction::kDetect, PiiAction::kRedact, PiiAction::kBlock}) {
    if (word == to_string(action)) return action;
  }
  return std::nullopt;
}

bool ComplianceProfile::has(Framework framework) const {
  return std::ranges::find(frameworks, framework) != frameworks.end();
}

Result<ComplianceProfile> read_profile(const json::value& body) {
  ComplianceProfile profile;
  JsonReader reader(body);
  reader.only({"org_id", "frameworks", "data_residency", "encryption_required",
               "prompt_storage_allowed", "retention_days", "pii_detection_enabled", "pii_action",
               "baa_signed_at", "assessed_at", "impact_assessment", "incident_contact",
               "updated_at"});
  std::vector<std::string> names;
  reader.texts("frameworks", names, kFrameworks.size(), 20);
  for (const Framework framework : kFrameworks) {
    if (std::erase(names, to_string(framework)) > 0) profile.frameworks.push_back(framework);
  }
  if (!names.empty()) {
    reader.fault("frameworks",
                 fmt::format("frameworks names '{}'; it must be hipaa, soc2, gdpr, pci_dss or ccpa",
                             names.front()));
  }
  std::string action;
  reader.word("data_residency", profile.data_residency, {"us", "eu", "ap"});
  reader.flag("encryption_required", profile.encryption_required);
  reader.flag("prompt_storage_allowed", profile.prompt_storage_allowed);
  reader.integer("retention_days", profile.retention_days, 1, 3'650);
  reader.flag("pii_detection_enabled", profile.pii_detection_enabled);
  reader.word("pii_action", action, {"off", "detect", "redact", "block"});
  reader.time("baa_signed_at", profile.baa_signed_at);
  reader.time("assessed_at", profile.assessed_at);
  reader.text("impact_assessment", profile.impact_assessment, 10'000);
  reader.text("incident_contact", profile.incident_contact, 500);
  if (action.empty() && profile.has(Framework::kHipaa)) action = "block";
  if (const auto parsed = parse_pii_action(action)) profile.pii_action = *parsed;
  // A profile must not promise what it takes back in the next line.
  if (profile.has(Framework::kGdpr) && profile.retention_days > 365) {
    reader.fault("retention_days",
                 fmt::format("retention_days is {}; with gdpr it must be at most 365",
                             profile.retention_days));
  }
  if (profile.has(Framework::kHipaa) && action == "off") {
    reader.fault("pii_action", "pii_action is off; with hipaa it must be redact or block");
  }
  if (action.empty() && profile.pii_detection_enabled) profile.pii_action = PiiAction::kDetect;
  if (!action.empty() && reader.find("pii_detection_enabled") == nullptr) {
    profile.pii_detection_enabled = profile.pii_action != PiiAction::kOff;
  }
  if (auto read = reader.result(); !read) return std::unexpected(read.error());
  return profile;
}

json::object profile_json(const ComplianceProfile& profile) {
  json::array frameworks;
  for (const Framework framework : profile.frameworks)
    frameworks.emplace_back(to_string(framework));
  return {{"org_id", profile.org_id},
          {"frameworks", std::move(frameworks)},
          {"data_residency", or_null(profile.data_residency)},
          {"encryption_required", profile.encryption_required},
          {"prompt_storage_allowed", profile.prompt_storage_allowed},
          {"retention_days", profile.retention_days},
          {"pii_detection_enabled", profile.pii_detection_enabled},
          {"pii_action", to_string(profile.pii_action)},
          {"baa_signed_at", or_null(profile.baa_signed_at)},
          {"assessed_at", or_null(profile.assessed_at)},
          {"impact_assessment", or_null(profile.impact_assessment)},
          {"incident_contact", or_null(profile.incident_contact)},
          {"updated_at", profile.updated_at == Clock::Time{}
                             ? json::value(nullptr)
                             : json::value(format_rfc3339(profile.updated_at))}};
}

ComplianceDuties duties_of(const ComplianceProfile& profile) {
  ComplianceDuties duties;
  duties.pii = profile.pii_detection_enabled ? profile.pii_action : PiiAction::kOff;
  if (profile.pii_detection_enabled && duties.pii == PiiAction::kOff)
    duties.pii = PiiAction::kDetect;
  duties.store_prompts = profile.prompt_storage_allowed;
  duties.needs_encryption = profile.encryption_required;
  if (profile.has(Framework::kHipaa)) {
    // Refused, unless the profile says that masking is enough (spec §9.7).
    duties.pii = profile.pii_action == PiiAction::kRedact ? PiiAction::kRedact : PiiAction::kBlock;
    duties.store_prompts = false;
    duties.needs_encryption = duties.needs_audit = true;
  }
  if (profile.has(Framework::kCcpa) && duties.pii == PiiAction::kOff)
    duties.pii = PiiAction::kDetect;
  if (profile.has(Framework::kPciDss)) duties.needs_encryption = true;
  if (profile.has(Framework::kGdpr)) duties.needs_residency = true;
  if (profile.has(Framework::kSoc2)) duties.needs_audit = true;
  return duties;
}

Verdict check_duties(const ComplianceDuties& duties, std::string_view residency,
                     const Installation& installation) {
  json::array violations;
  if (duties.needs_encryption && !installation.encryption_on) {
    violations.emplace_back(
        "encryption_required: encryption at rest is off; set security.encryption_at_rest and "
        "ASAHI_ENCRYPTION_KEY");
  }
  if (duties.needs_audit && !installation.audit_on) {
    violations.emplace_back("audit_required: the audit log is off");
  }
  if (duties.needs_residency && residency.empty()) {
    violations.emplace_back(
        "data_residency: gdpr needs a region; set data_residency in the policy or the profile");
  }
  if (violations.empty()) return {};
  std::string message(violations.front().get_string());
  return refuse(Errc::kForbidden, "compliance_violation", std::move(message),
                {{"violations", std::move(violations)}});
}

}  // namespace asahi::gateway
