#include "gateway/batch_api/migrations.h"

namespace asahi::gateway {
namespace {

constexpr std::string_view kPostgres = R"sql(
CREATE TABLE batch_files (
  id VARCHAR(64) PRIMARY KEY,
  org_id VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  filename VARCHAR(1024) NOT NULL,
  purpose VARCHAR(32) NOT NULL,
  bytes BIGINT NOT NULL,
  parts BIGINT NOT NULL,
  sealed BIGINT NOT NULL,
  ready BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX idx_batch_files_org ON batch_files (org_id, created_at);
CREATE TABLE batch_file_parts (
  file_id VARCHAR(64) NOT NULL,
  seq BIGINT NOT NULL,
  content BYTEA NOT NULL,
  PRIMARY KEY (file_id, seq)
);
CREATE TABLE batches (
  id VARCHAR(64) PRIMARY KEY,
  org_id VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  caller TEXT NOT NULL,
  endpoint VARCHAR(64) NOT NULL,
  input_file_id VARCHAR(64) NOT NULL,
  output_file_id VARCHAR(64),
  error_file_id VARCHAR(64),
  status VARCHAR(16) NOT NULL,
  outcome VARCHAR(16),
  metadata TEXT,
  errors TEXT,
  sealed BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  in_progress_at BIGINT,
  finalizing_at BIGINT,
  completed_at BIGINT,
  failed_at BIGINT,
  expired_at BIGINT,
  cancelling_at BIGINT,
  cancelled_at BIGINT,
  total BIGINT NOT NULL DEFAULT 0,
  completed BIGINT NOT NULL DEFAULT 0,
  failed BIGINT NOT NULL DEFAULT 0,
  next_turn_at BIGINT NOT NULL DEFAULT 0,
  lease_owner VARCHAR(64),
  lease_until BIGINT NOT NULL DEFAULT 0,
  fence BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX idx_batches_org ON batches (org_id, created_at);
CREATE INDEX idx_batches_due ON batches (status, next_turn_at);
CREATE TABLE batch_rows (
  batch_id VARCHAR(64) NOT NULL,
  line BIGINT NOT NULL,
  custom_id VARCHAR(512) NOT NULL,
  state BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  not_before BIGINT NOT NULL DEFAULT 0,
  vendor_job VARCHAR(64),
  body BYTEA NOT NULL,
  output BYTEA,
  PRIMARY KEY (batch_id, line)
);
CREATE INDEX idx_batch_rows_state ON batch_rows (batch_id, state, not_before);
CREATE INDEX idx_batch_rows_job ON batch_rows (vendor_job);
CREATE TABLE batch_vendor_jobs (
  id VARCHAR(64) PRIMARY KEY,
  batch_id VARCHAR(64) NOT NULL,
  provider VARCHAR(64) NOT NULL,
  model VARCHAR(100) NOT NULL,
  state BIGINT NOT NULL,
  vendor_id VARCHAR(255),
  created_at BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  not_before BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX idx_batch_vendor_jobs ON batch_vendor_jobs (batch_id);
)sql";

constexpr std::string_view kSqlite = R"sql(
CREATE TABLE batch_files (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  filename TEXT NOT NULL,
  purpose TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  parts INTEGER NOT NULL,
  sealed INTEGER NOT NULL,
  ready INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX idx_batch_files_org ON batch_files (org_id, created_at);
CREATE TABLE batch_file_parts (
  file_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (file_id, seq)
);
CREATE TABLE batches (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  caller TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  input_file_id TEXT NOT NULL,
  output_file_id TEXT,
  error_file_id TEXT,
  status TEXT NOT NULL,
  outcome TEXT,
  metadata TEXT,
  errors TEXT,
  sealed INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  in_progress_at INTEGER,
  finalizing_at INTEGER,
  completed_at INTEGER,
  failed_at INTEGER,
  expired_at INTEGER,
  cancelling_at INTEGER,
  cancelled_at INTEGER,
  total INTEGER NOT NULL DEFAULT 0,
  completed INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  next_turn_at INTEGER NOT NULL DEFAULT 0,
  lease_owner TEXT,
  lease_until INTEGER NOT NULL DEFAULT 0,
  fence INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_batches_org ON batches (org_id, created_at);
CREATE INDEX idx_batches_due ON batches (status, next_turn_at);
CREATE TABLE batch_rows (
  batch_id TEXT NOT NULL,
  line INTEGER NOT NULL,
  custom_id TEXT NOT NULL,
  state INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL DEFAULT 0,
  vendor_job TEXT,
  body BLOB NOT NULL,
  output BLOB,
  PRIMARY KEY (batch_id, line)
);
CREATE INDEX idx_batch_rows_state ON batch_rows (batch_id, state, not_before);
CREATE INDEX idx_batch_rows_job ON batch_rows (vendor_job);
CREATE TABLE batch_vendor_jobs (
  id TEXT PRIMARY KEY,
  batch_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  state INTEGER NOT NULL,
  vendor_id TEXT,
  created_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_batch_vendor_jobs ON batch_vendor_jobs (batch_id);
)sql";

constexpr std::string_view kDown = R"sql(
DROP TABLE batch_vendor_jobs;
DROP TABLE batch_rows;
DROP TABLE batches;
DROP TABLE batch_file_parts;
DROP TABLE batch_files;
)sql";

}  // namespace

std::vector<sql::Migration> batch_api_migrations() {
  return {{.version = 140,
           .name = "batch_api",
           .up = {.sqlite = kSqlite, .postgres = kPostgres},
           .down = {.sqlite = kDown, .postgres = kDown}}};
}

}  // namespace asahi::gateway
