#include "gateway/governance/compliance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Framework kAll[] = {Framework::kHipaa, Framework::kSoc2, Framework::kGdpr,
                              Framework::kPciDss, Framework::kCcpa};

Result<ComplianceProfile> read(std::string_view text) { return read_profile(json::parse(text)); }

std::vector<std::string> failed(Framework framework, const ComplianceFacts& facts) {
  std::vector<std::string> names;
  for (const ComplianceCheck& check : make_report(framework, facts).checks) {
    EXPECT_FALSE(check.evidence.empty()) << check.name;
    if (!check.passed) names.push_back(check.name);
  }
  return names;
}

ComplianceFacts good_facts() {
  ComplianceFacts facts;
  facts.profile.frameworks = {std::begin(kAll), std::end(kAll)};
  facts.now = Clock::Time{std::chrono::days(20'000)};
  facts.profile.baa_signed_at = facts.now - std::chrono::days(10);
  facts.profile.assessed_at = facts.now - std::chrono::days(100);
  facts.profile.impact_assessment = "low risk";
  facts.profile.incident_contact = "security@acme.example";
  facts.profile.pii_action = PiiAction::kRedact;
  facts.residency = "eu";
  facts.installation = {.encryption_on = true, .audit_on = true};
  facts.tls_on = true;
  facts.encryption_detail = "AES-256-GCM";
  facts.audit_verified = true;
  facts.audit_entries = 12;
  facts.access_entries = 3;
  facts.requests_30d = 100;
  facts.running_since = facts.now - std::chrono::hours(5);
  facts.retention_ran_at = facts.now - std::chrono::hours(20);
  facts.consents = 1;
  facts.models_in_region = 2;
  facts.subject_access_on = facts.erasure_on = true;
  return facts;
}

TEST(ComplianceProfile, ReadsBackWhatItShows) {
  for (const char* text :
       {R"({})", R"({"frameworks":["hipaa"]})",
        R"({"frameworks":["gdpr","hipaa"],"data_residency":"eu","encryption_required":true,
      "prompt_storage_allowed":false,"retention_days":30,"pii_detection_enabled":true,"pii_action":"redact",
      "baa_signed_at":"2026-01-02T03:04:05Z","assessed_at":"2026-01-02T03:04:05.000123Z","impact_assessment":"x","incident_contact":"y"})"}) {
    const auto profile = read(text);
    ASSERT_TRUE(profile) << profile.error().message;
    const auto again = read_profile(profile_json(*profile));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*again, *profile) << text;
  }
}

TEST(ComplianceProfile, RefusesFaultsAndContradictions) {
  struct Wrong {
    const char *text, *field;
  };
  for (const Wrong& wrong :
       {Wrong{R"({"frameworks":["iso"]})", "frameworks"},
        Wrong{R"({"frameworks":["gdpr","gdpr2"]})", "frameworks"},
        Wrong{R"({"retention_days":0})", "retention_days"},
        Wrong{R"({"pii_action":"shred"})", "pii_action"},
        Wrong{R"({"frameworks":["gdpr"],"retention_days":400})", "retention_days"},
        Wrong{R"({"frameworks":["hipaa"],"pii_action":"off"})", "pii_action"},
        Wrong{R"({"baa_signed_at":"yesterday"})", "baa_signed_at"},
        Wrong{R"({"baa_signed_at":"1013-01-02T03:04:05Z"})", "baa_signed_at"},
        Wrong{R"({"x":1})", "x"}}) {
    const auto profile = read(wrong.text);
    ASSERT_FALSE(profile) << wrong.text;
    EXPECT_EQ(profile.error().field, wrong.field);
  }
}

TEST(ComplianceDuties, FollowFromFrameworks) {
  ComplianceProfile profile;
  profile.frameworks = {Framework::kHipaa};
  EXPECT_EQ(duties_of(profile).pii, PiiAction::kBlock);
  EXPECT_FALSE(duties_of(profile).store_prompts);
  profile.frameworks = {Framework::kCcpa};
  EXPECT_EQ(duties_of(profile).pii, PiiAction::kDetect);
  profile.frameworks = {Framework::kGdpr};
  EXPECT_TRUE(duties_of(profile).needs_residency);
  profile.frameworks = {Framework::kPciDss};
  EXPECT_TRUE(duties_of(profile).needs_encryption);
  profile.frameworks = {};
  EXPECT_EQ(duties_of(profile).pii, PiiAction::kOff);
  EXPECT_TRUE(duties_of(profile).store_prompts);
}

TEST(ComplianceReport, PassesOnlyWhenEveryCheckPasses) {
  for (const Framework framework : kAll) {
    EXPECT_THAT(failed(framework, good_facts()), ElementsAre()) << to_string(framework);
    EXPECT_TRUE(make_report(framework, good_facts()).compliant());
  }
}

TEST(ComplianceReport, NothingPassesOnNoFacts) {
  for (const Framework framework : kAll) {
    const ComplianceReport report = make_report(framework, {});
    EXPECT_EQ(failed(framework, {}).size(), report.checks.size()) << to_string(framework);
    EXPECT_FALSE(report.compliant());
  }
}

TEST(ComplianceReport, EachFactDecidesItsOwnCheck) {
  struct Row {
    Framework framework;
    void (*spoil)(ComplianceFacts&);
    const char* check;
  };
  for (const Row& row : {
           Row{Framework::kHipaa, [](ComplianceFacts& f) { f.installation.encryption_on = false; },
               "encryption_at_rest"},
           Row{Framework::kHipaa, [](ComplianceFacts& f) { f.tls_on = false; },
               "encryption_in_transit"},
           Row{Framework::kHipaa, [](ComplianceFacts& f) { f.profile.baa_signed_at.reset(); },
               "baa_record"},
           Row{Framework::kHipaa,
               [](ComplianceFacts& f) { f.profile.baa_signed_at = f.now + std::chrono::hours(1); },
               "baa_record"},
           Row{Framework::kHipaa, [](ComplianceFacts& f) { f.audit_verified = false; },
               "audit_trail"},
           Row{Framework::kSoc2, [](ComplianceFacts& f) { f.audit_entries = 0; }, "audit_trail"},
           Row{Framework::kSoc2, [](ComplianceFacts& f) { f.access_entries = 0; },
               "access_control_trail"},
           Row{Framework::kSoc2, [](ComplianceFacts& f) { f.requests_30d = 0; }, "uptime_evidence"},
           Row{Framework::kSoc2, [](ComplianceFacts& f) { f.profile.incident_contact.clear(); },
               "incident_record"},
           Row{Framework::kSoc2,
               [](ComplianceFacts& f) { *f.profile.assessed_at -= std::chrono::days(400); },
               "assessments_log"},
           Row{Framework::kGdpr, [](ComplianceFacts& f) { f.residency.clear(); }, "data_residency"},
           Row{Framework::kGdpr, [](ComplianceFacts& f) { f.models_in_region = 0; },
               "data_residency"},
           Row{Framework::kGdpr,
               [](ComplianceFacts& f) { *f.retention_ran_at -= std::chrono::hours(48); },
               "retention"},
           Row{Framework::kGdpr, [](ComplianceFacts& f) { f.events_past_retention = 1; },
               "retention"},
           Row{Framework::kGdpr, [](ComplianceFacts& f) { f.consents = 0; }, "consent_log"},
           Row{Framework::kGdpr, [](ComplianceFacts& f) { f.profile.impact_assessment.clear(); },
               "impact_assessment"},
           Row{Framework::kGdpr, [](ComplianceFacts& f) { f.erasure_on = false; }, "erasure"},
       }) {
    ComplianceFacts facts = good_facts();
    row.spoil(facts);
    EXPECT_THAT(failed(row.framework, facts), ElementsAre(row.check));
  }
}

TEST(ComplianceReport, ShowsCountsAndEvidence) {
  ComplianceFacts facts = good_facts();
  facts.audit_verified = false;
  facts.audit_problem = "changed at aud_7";
  const json::object shown = report_json(make_report(Framework::kSoc2, facts));
  EXPECT_EQ(shown.at("overall_status"), "non_compliant");
  EXPECT_EQ(shown.at("checks_passed"), 4);
  EXPECT_EQ(shown.at("checks_total"), 5);
  EXPECT_THAT(write_json(shown), HasSubstr("changed at aud_7"));
}

}  // namespace
}  // namespace asahi::gateway
