#include "memory/ingest/ledger.h"

namespace asahi::memory {

namespace {

// Times are milliseconds since the epoch: they come from the injected clock and are compared.
// `due_at_ms` is when the row may be taken: after a pause while discovered, at the end of its lease
// while in work.
constexpr std::string_view kUpSqlite = R"sql(
CREATE TABLE memory_uploads (
  row_id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  system_id TEXT NOT NULL,
  upload_id TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('bucket', 'push', 'import')),
  state TEXT NOT NULL CHECK (state IN
    ('discovered', 'leased', 'processing', 'done', 'partial', 'rejected', 'failed')),
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  lease_owner TEXT,
  due_at_ms INTEGER NOT NULL,
  position INTEGER NOT NULL,
  items INTEGER NOT NULL DEFAULT 0,
  stored INTEGER NOT NULL DEFAULT 0,
  replaced INTEGER NOT NULL DEFAULT 0,
  unchanged INTEGER NOT NULL DEFAULT 0,
  older INTEGER NOT NULL DEFAULT 0,
  duplicates INTEGER NOT NULL DEFAULT 0,
  near_duplicates INTEGER NOT NULL DEFAULT 0,
  skipped INTEGER NOT NULL DEFAULT 0,
  errors INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  bad_items TEXT NOT NULL DEFAULT '[]',
  discovered_at_ms INTEGER NOT NULL,
  started_at_ms INTEGER,
  finished_at_ms INTEGER,
  updated_at_ms INTEGER NOT NULL,
  UNIQUE (tenant, system_id, upload_id)
);
CREATE INDEX memory_uploads_due ON memory_uploads (priority DESC, discovered_at_ms, row_id)
  WHERE state IN ('discovered', 'leased', 'processing');
CREATE INDEX memory_uploads_newest ON memory_uploads (tenant, discovered_at_ms, row_id);
CREATE INDEX memory_uploads_finished ON memory_uploads (finished_at_ms)
  WHERE state IN ('done', 'partial', 'rejected', 'failed');
)sql";

constexpr std::string_view kUpPostgres = R"sql(
CREATE TABLE memory_uploads (
  row_id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  system_id TEXT NOT NULL,
  upload_id TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('bucket', 'push', 'import')),
  state TEXT NOT NULL CHECK (state IN
    ('discovered', 'leased', 'processing', 'done', 'partial', 'rejected', 'failed')),
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  fence BIGINT NOT NULL,
  lease_owner TEXT,
  due_at_ms BIGINT NOT NULL,
  position BIGINT NOT NULL,
  items BIGINT NOT NULL DEFAULT 0,
  stored BIGINT NOT NULL DEFAULT 0,
  replaced BIGINT NOT NULL DEFAULT 0,
  unchanged BIGINT NOT NULL DEFAULT 0,
  older BIGINT NOT NULL DEFAULT 0,
  duplicates BIGINT NOT NULL DEFAULT 0,
  near_duplicates BIGINT NOT NULL DEFAULT 0,
  skipped BIGINT NOT NULL DEFAULT 0,
  errors BIGINT NOT NULL DEFAULT 0,
  bytes BIGINT NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  bad_items TEXT NOT NULL DEFAULT '[]',
  discovered_at_ms BIGINT NOT NULL,
  started_at_ms BIGINT,
  finished_at_ms BIGINT,
  updated_at_ms BIGINT NOT NULL,
  UNIQUE (tenant, system_id, upload_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
CREATE INDEX memory_uploads_due ON memory_uploads (priority DESC, discovered_at_ms, row_id)
  WHERE state IN ('discovered', 'leased', 'processing');
CREATE INDEX memory_uploads_newest ON memory_uploads (tenant, discovered_at_ms, row_id);
CREATE INDEX memory_uploads_finished ON memory_uploads (finished_at_ms)
  WHERE state IN ('done', 'partial', 'rejected', 'failed');
)sql";

constexpr std::string_view kDown = "DROP TABLE memory_uploads;";

}  // namespace

// Whether a bundle that was taken in has been erased from its bucket since.
constexpr std::string_view kErasedUp = R"sql(
ALTER TABLE memory_uploads ADD COLUMN bundle_erased INTEGER NOT NULL DEFAULT 0;
CREATE INDEX memory_uploads_bundles ON memory_uploads (finished_at_ms)
  WHERE origin = 'bucket' AND state = 'done' AND bundle_erased = 0;
)sql";
constexpr std::string_view kErasedDown = R"sql(
DROP INDEX memory_uploads_bundles;
ALTER TABLE memory_uploads DROP COLUMN bundle_erased;
)sql";

// What a row was last touched at when its system was erased: as long as both are the same, nothing
// came of it since. Not the time of the erasure, which another clock may have told.
constexpr std::string_view kSystemErasedUp =
    "ALTER TABLE memory_uploads ADD COLUMN erased_as_of_ms BIGINT;";
constexpr std::string_view kSystemErasedDown =
    "ALTER TABLE memory_uploads DROP COLUMN erased_as_of_ms;";

std::vector<sql::Migration> ledger_migrations() {
  return {{.version = 300,
           .name = "memory_uploads",
           .up = {.sqlite = kUpSqlite, .postgres = kUpPostgres},
           .down = {.sqlite = kDown, .postgres = kDown}},
          {.version = 336,
           .name = "memory_uploads_bundle_erased",
           .up = {.sqlite = kErasedUp, .postgres = kErasedUp},
           .down = {.sqlite = kErasedDown, .postgres = kErasedDown}},
          {.version = 347,
           .name = "memory_uploads_system_erased",
           .up = {.sqlite = kSystemErasedUp, .postgres = kSystemErasedUp},
           .down = {.sqlite = kSystemErasedDown, .postgres = kSystemErasedDown}}};
}

}  // namespace asahi::memory
