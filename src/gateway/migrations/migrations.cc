#include "gateway/migrations/migrations.h"

#include "gateway/alerts/store.h"
#include "gateway/analytics/migrations.h"
#include "gateway/archive/migrations.h"
#include "gateway/batch_api/migrations.h"
#include "gateway/cache/semantic/rows.h"
#include "gateway/governance/migrations.h"
#include "gateway/routing/migrations.h"

namespace asahi::gateway {
namespace {

// Money columns hold nine decimals (design §3), so that sums of nano-dollars are exact. In SQLite
// they are TEXT holding the same decimals: its NUMERIC affinity would turn them into binary
// floating point.
constexpr std::string_view kEventsPostgres = R"sql(
CREATE TABLE inference_events (
  id BIGSERIAL PRIMARY KEY,
  event_id VARCHAR(26) NOT NULL UNIQUE,
  request_id VARCHAR(24) NOT NULL,
  timestamp TIMESTAMPTZ NOT NULL DEFAULT now(),
  user_id VARCHAR(255),
  org_id VARCHAR(255),
  task_type VARCHAR(100),
  model_selected VARCHAR(100) NOT NULL,
  cache_hit BOOLEAN NOT NULL DEFAULT false,
  cache_tier SMALLINT NOT NULL DEFAULT 0,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  total_tokens INTEGER NOT NULL DEFAULT 0,
  latency_ms INTEGER NOT NULL DEFAULT 0,
  cost NUMERIC(18,9) NOT NULL DEFAULT 0,
  routing_reason TEXT,
  quality_score NUMERIC(4,2),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  event_type VARCHAR(30),
  routing_mode VARCHAR(20),
  provider VARCHAR(50),
  baseline_cost NUMERIC(18,9) NOT NULL DEFAULT 0,
  savings NUMERIC(18,9) NOT NULL DEFAULT 0,
  cache_similarity NUMERIC(5,4),
  tokens_saved INTEGER NOT NULL DEFAULT 0,
  fallback_used BOOLEAN NOT NULL DEFAULT false,
  error_code VARCHAR(50),
  api_key_prefix VARCHAR(12),
  workflow_id VARCHAR(64),
  agent_id VARCHAR(64),
  streamed BOOLEAN NOT NULL DEFAULT false,
  retries SMALLINT NOT NULL DEFAULT 0
);
CREATE INDEX idx_events_timestamp ON inference_events (timestamp);
CREATE INDEX idx_events_org_id ON inference_events (org_id, timestamp);
CREATE INDEX idx_events_model ON inference_events (model_selected);
CREATE TABLE event_log_positions (
  node_id VARCHAR(64) PRIMARY KEY,
  file VARCHAR(255) NOT NULL,
  byte_offset BIGINT NOT NULL
);
)sql";

constexpr std::string_view kEventsSqlite = R"sql(
CREATE TABLE inference_events (
  id INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  request_id TEXT NOT NULL,
  timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  user_id TEXT,
  org_id TEXT,
  task_type TEXT,
  model_selected TEXT NOT NULL,
  cache_hit INTEGER NOT NULL DEFAULT 0,
  cache_tier INTEGER NOT NULL DEFAULT 0,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  total_tokens INTEGER NOT NULL DEFAULT 0,
  latency_ms INTEGER NOT NULL DEFAULT 0,
  cost TEXT NOT NULL DEFAULT '0.000000000',
  routing_reason TEXT,
  quality_score TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  event_type TEXT,
  routing_mode TEXT,
  provider TEXT,
  baseline_cost TEXT NOT NULL DEFAULT '0.000000000',
  savings TEXT NOT NULL DEFAULT '0.000000000',
  cache_similarity TEXT,
  tokens_saved INTEGER NOT NULL DEFAULT 0,
  fallback_used INTEGER NOT NULL DEFAULT 0,
  error_code TEXT,
  api_key_prefix TEXT,
  workflow_id TEXT,
  agent_id TEXT,
  streamed INTEGER NOT NULL DEFAULT 0,
  retries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_events_timestamp ON inference_events (timestamp);
CREATE INDEX idx_events_org_id ON inference_events (org_id, timestamp);
CREATE INDEX idx_events_model ON inference_events (model_selected);
CREATE TABLE event_log_positions (
  node_id TEXT PRIMARY KEY,
  file TEXT NOT NULL,
  byte_offset INTEGER NOT NULL
);
)sql";

constexpr std::string_view kEventsDown = R"sql(
DROP TABLE event_log_positions;
DROP TABLE inference_events;
)sql";

constexpr std::string_view kGovernancePostgres = R"sql(
CREATE TABLE api_keys (
  id BIGSERIAL PRIMARY KEY,
  key_prefix VARCHAR(12) NOT NULL UNIQUE,
  key_hash VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  org_id VARCHAR(255) NOT NULL,
  scopes JSONB NOT NULL DEFAULT '[]',
  expires_at TIMESTAMPTZ NOT NULL,
  revoked BOOLEAN NOT NULL DEFAULT false,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  name VARCHAR(255),
  last_used_at TIMESTAMPTZ,
  rotated_from VARCHAR(12),
  rate_limit_per_minute INTEGER,
  allowed_models JSONB
);
CREATE INDEX idx_api_keys_org_id ON api_keys (org_id);
CREATE TABLE audit_entries (
  id BIGSERIAL PRIMARY KEY,
  entry_id VARCHAR(32) NOT NULL UNIQUE,
  timestamp TIMESTAMPTZ NOT NULL DEFAULT now(),
  org_id VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  action VARCHAR(100) NOT NULL,
  resource VARCHAR(255) NOT NULL,
  details JSONB NOT NULL DEFAULT '{}',
  ip_address VARCHAR(45),
  user_agent TEXT,
  result VARCHAR(20) NOT NULL DEFAULT 'success',
  data_classification VARCHAR(20) NOT NULL DEFAULT 'internal',
  prev_hash VARCHAR(64)
);
CREATE INDEX idx_audit_org_id ON audit_entries (org_id);
CREATE INDEX idx_audit_timestamp ON audit_entries (timestamp);
)sql";

constexpr std::string_view kGovernanceSqlite = R"sql(
CREATE TABLE api_keys (
  id INTEGER PRIMARY KEY,
  key_prefix TEXT NOT NULL UNIQUE,
  key_hash TEXT NOT NULL,
  user_id TEXT NOT NULL,
  org_id TEXT NOT NULL,
  scopes TEXT NOT NULL DEFAULT '[]',
  expires_at TEXT NOT NULL,
  revoked INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  name TEXT,
  last_used_at TEXT,
  rotated_from TEXT,
  rate_limit_per_minute INTEGER,
  allowed_models TEXT
);
CREATE INDEX idx_api_keys_org_id ON api_keys (org_id);
CREATE TABLE audit_entries (
  id INTEGER PRIMARY KEY,
  entry_id TEXT NOT NULL UNIQUE,
  timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  org_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  action TEXT NOT NULL,
  resource TEXT NOT NULL,
  details TEXT NOT NULL DEFAULT '{}',
  ip_address TEXT,
  user_agent TEXT,
  result TEXT NOT NULL DEFAULT 'success',
  data_classification TEXT NOT NULL DEFAULT 'internal',
  prev_hash TEXT
);
CREATE INDEX idx_audit_org_id ON audit_entries (org_id);
CREATE INDEX idx_audit_timestamp ON audit_entries (timestamp);
)sql";

constexpr std::string_view kGovernanceDown = R"sql(
DROP TABLE audit_entries;
DROP TABLE api_keys;
)sql";

}  // namespace

std::vector<sql::Migration> migrations() {
  std::vector<sql::Migration> all{
      {.version = 100,
       .name = "inference_events",
       .up = {.sqlite = kEventsSqlite, .postgres = kEventsPostgres},
       .down = {.sqlite = kEventsDown, .postgres = kEventsDown}},
      {.version = 101,
       .name = "api_keys_and_audit_entries",
       .up = {.sqlite = kGovernanceSqlite, .postgres = kGovernancePostgres},
       .down = {.sqlite = kGovernanceDown, .postgres = kGovernanceDown}},
  };
  for (sql::Migration& migration : governance_migrations()) all.push_back(std::move(migration));
  for (sql::Migration& migration : semantic::entries_migrations())
    all.push_back(std::move(migration));
  for (sql::Migration& migration : routing_migrations()) all.push_back(std::move(migration));
  all.push_back(alerts::alerts_migration());
  for (sql::Migration& migration : batch_api_migrations()) all.push_back(std::move(migration));
  for (sql::Migration& migration : analytics::analytics_migrations())
    all.push_back(std::move(migration));
  all.push_back(archive_migration());
  return all;
}

}  // namespace asahi::gateway
