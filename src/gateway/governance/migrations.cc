#include "gateway/governance/migrations.h"

namespace asahi::gateway {
namespace {

constexpr std::string_view kPoliciesPostgres = R"sql(
CREATE TABLE org_policies (
  org_id VARCHAR(255) PRIMARY KEY,
  allowed_models JSONB NOT NULL DEFAULT '[]',
  blocked_models JSONB NOT NULL DEFAULT '[]',
  max_cost_per_day NUMERIC(18,9),
  max_cost_per_month NUMERIC(18,9),
  max_cost_per_request NUMERIC(18,9),
  max_requests_per_day BIGINT,
  max_requests_per_month BIGINT,
  default_quality_threshold NUMERIC(3,2) NOT NULL DEFAULT 3.5,
  default_latency_budget_ms INTEGER NOT NULL DEFAULT 300,
  require_audit_log BOOLEAN NOT NULL DEFAULT false,
  data_residency VARCHAR(10),
  rate_limit_per_minute BIGINT,
  tokens_per_minute BIGINT,
  per_user JSONB NOT NULL DEFAULT '{}',
  per_model JSONB NOT NULL DEFAULT '{}',
  cost_sensitivity VARCHAR(10),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_by VARCHAR(255)
);
CREATE TABLE compliance_profiles (
  org_id VARCHAR(255) PRIMARY KEY,
  frameworks JSONB NOT NULL DEFAULT '[]',
  data_residency VARCHAR(10),
  encryption_required BOOLEAN NOT NULL DEFAULT false,
  prompt_storage_allowed BOOLEAN NOT NULL DEFAULT true,
  retention_days INTEGER NOT NULL DEFAULT 365,
  pii_detection_enabled BOOLEAN NOT NULL DEFAULT false,
  pii_action VARCHAR(10),
  baa_signed_at TIMESTAMPTZ,
  assessed_at TIMESTAMPTZ,
  impact_assessment TEXT,
  incident_contact TEXT,
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
)sql";

constexpr std::string_view kPoliciesSqlite = R"sql(
CREATE TABLE org_policies (
  org_id TEXT PRIMARY KEY,
  allowed_models TEXT NOT NULL DEFAULT '[]',
  blocked_models TEXT NOT NULL DEFAULT '[]',
  max_cost_per_day TEXT,
  max_cost_per_month TEXT,
  max_cost_per_request TEXT,
  max_requests_per_day INTEGER,
  max_requests_per_month INTEGER,
  default_quality_threshold REAL NOT NULL DEFAULT 3.5,
  default_latency_budget_ms INTEGER NOT NULL DEFAULT 300,
  require_audit_log INTEGER NOT NULL DEFAULT 0,
  data_residency TEXT,
  rate_limit_per_minute INTEGER,
  tokens_per_minute INTEGER,
  per_user TEXT NOT NULL DEFAULT '{}',
  per_model TEXT NOT NULL DEFAULT '{}',
  cost_sensitivity TEXT,
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_by TEXT
);
CREATE TABLE compliance_profiles (
  org_id TEXT PRIMARY KEY,
  frameworks TEXT NOT NULL DEFAULT '[]',
  data_residency TEXT,
  encryption_required INTEGER NOT NULL DEFAULT 0,
  prompt_storage_allowed INTEGER NOT NULL DEFAULT 1,
  retention_days INTEGER NOT NULL DEFAULT 365,
  pii_detection_enabled INTEGER NOT NULL DEFAULT 0,
  pii_action TEXT,
  baa_signed_at TEXT,
  assessed_at TEXT,
  impact_assessment TEXT,
  incident_contact TEXT,
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
)sql";

constexpr std::string_view kPoliciesDown = R"sql(
DROP TABLE compliance_profiles;
DROP TABLE org_policies;
)sql";

// An erasure stays listed so that copies that could not be reached at once (event files still being
// written or not loaded yet) are cleaned by the next retention run.
constexpr std::string_view kPrivacyPostgres = R"sql(
CREATE TABLE gdpr_consents (
  id BIGSERIAL PRIMARY KEY,
  consent_id VARCHAR(32) NOT NULL UNIQUE,
  org_id VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  purpose VARCHAR(100) NOT NULL,
  granted BOOLEAN NOT NULL,
  source VARCHAR(255),
  recorded_by VARCHAR(255) NOT NULL,
  recorded_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX idx_gdpr_consents_user ON gdpr_consents (org_id, user_id, recorded_at);
CREATE TABLE gdpr_erasures (
  org_id VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  requested_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (org_id, user_id)
);
CREATE TABLE retention_runs (
  org_id VARCHAR(255) PRIMARY KEY,
  ran_at TIMESTAMPTZ NOT NULL,
  cutoff TIMESTAMPTZ NOT NULL,
  events BIGINT NOT NULL,
  cache_entries BIGINT NOT NULL,
  audit_entries BIGINT NOT NULL
);
CREATE INDEX idx_events_user ON inference_events (org_id, user_id);
)sql";

constexpr std::string_view kPrivacySqlite = R"sql(
CREATE TABLE gdpr_consents (
  id INTEGER PRIMARY KEY,
  consent_id TEXT NOT NULL UNIQUE,
  org_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  purpose TEXT NOT NULL,
  granted INTEGER NOT NULL,
  source TEXT,
  recorded_by TEXT NOT NULL,
  recorded_at TEXT NOT NULL
);
CREATE INDEX idx_gdpr_consents_user ON gdpr_consents (org_id, user_id, recorded_at);
CREATE TABLE gdpr_erasures (
  org_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  requested_at TEXT NOT NULL,
  PRIMARY KEY (org_id, user_id)
);
CREATE TABLE retention_runs (
  org_id TEXT PRIMARY KEY,
  ran_at TEXT NOT NULL,
  cutoff TEXT NOT NULL,
  events INTEGER NOT NULL,
  cache_entries INTEGER NOT NULL,
  audit_entries INTEGER NOT NULL
);
CREATE INDEX idx_events_user ON inference_events (org_id, user_id);
)sql";

constexpr std::string_view kPrivacyDown = R"sql(
DROP INDEX idx_events_user;
DROP TABLE retention_runs;
DROP TABLE gdpr_erasures;
DROP TABLE gdpr_consents;
)sql";

}  // namespace

std::vector<sql::Migration> governance_migrations() {
  return {
      {.version = 110,
       .name = "policies_and_profiles",
       .up = {.sqlite = kPoliciesSqlite, .postgres = kPoliciesPostgres},
       .down = {.sqlite = kPoliciesDown, .postgres = kPoliciesDown}},
      {.version = 111,
       .name = "privacy",
       .up = {.sqlite = kPrivacySqlite, .postgres = kPrivacyPostgres},
       .down = {.sqlite = kPrivacyDown, .postgres = kPrivacyDown}},
  };
}

}  // namespace asahi::gateway
