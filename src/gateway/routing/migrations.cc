#include "gateway/routing/migrations.h"

namespace asahi::gateway {
namespace {

constexpr std::string_view kPostgres = R"sql(
CREATE TABLE routing_rules (
  org_id VARCHAR(255) PRIMARY KEY,
  rules JSONB NOT NULL DEFAULT '[]',
  weights JSONB,
  updated_at TIMESTAMPTZ NOT NULL,
  updated_by VARCHAR(255)
);
CREATE TABLE routing_feedback (
  org_id VARCHAR(255) NOT NULL,
  request_id VARCHAR(24) NOT NULL,
  model VARCHAR(100) NOT NULL,
  task_type VARCHAR(100),
  correct BOOLEAN,
  rating SMALLINT,
  created_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (org_id, request_id)
);
CREATE INDEX idx_routing_feedback_time ON routing_feedback (org_id, created_at);
CREATE INDEX idx_events_request ON inference_events (org_id, request_id);
)sql";

constexpr std::string_view kSqlite = R"sql(
CREATE TABLE routing_rules (
  org_id TEXT PRIMARY KEY,
  rules TEXT NOT NULL DEFAULT '[]',
  weights TEXT,
  updated_at TEXT NOT NULL,
  updated_by TEXT
);
CREATE TABLE routing_feedback (
  org_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  model TEXT NOT NULL,
  task_type TEXT,
  correct INTEGER,
  rating INTEGER,
  created_at TEXT NOT NULL,
  PRIMARY KEY (org_id, request_id)
);
CREATE INDEX idx_routing_feedback_time ON routing_feedback (org_id, created_at);
CREATE INDEX idx_events_request ON inference_events (org_id, request_id);
)sql";

constexpr std::string_view kDown = R"sql(
DROP INDEX idx_events_request;
DROP TABLE routing_feedback;
DROP TABLE routing_rules;
)sql";

}  // namespace

std::vector<sql::Migration> routing_migrations() {
  return {{.version = 130,
           .name = "routing_rules",
           .up = {.sqlite = kSqlite, .postgres = kPostgres},
           .down = {.sqlite = kDown, .postgres = kDown}}};
}

}  // namespace asahi::gateway
