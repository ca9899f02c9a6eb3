#include "jobs/queue.h"

namespace asahi::jobs {
namespace {

// Times are milliseconds since the epoch: they come from the injected clock and are compared, never
// shown. `due_at_ms` is when a job may be taken: its time to run while queued, the end of its lease
// while leased. The payload is text on both engines: jsonb would refuse \u0000, which JSON allows.

constexpr std::string_view kQueueUpSqlite = R"sql(
CREATE TABLE jobs_queue (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'done', 'dead')),
  priority INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  unique_key TEXT,
  run_at_ms INTEGER NOT NULL,
  due_at_ms INTEGER NOT NULL,
  worker TEXT,
  progress REAL NOT NULL DEFAULT 0,
  note TEXT,
  last_error TEXT,
  created_at_ms INTEGER NOT NULL,
  finished_at_ms INTEGER
);
CREATE INDEX jobs_queue_due ON jobs_queue (priority DESC, run_at_ms, id)
  WHERE state IN ('queued', 'leased');
CREATE UNIQUE INDEX jobs_queue_unique ON jobs_queue (org_id, kind, unique_key)
  WHERE unique_key IS NOT NULL AND state IN ('queued', 'leased');
CREATE INDEX jobs_queue_finished ON jobs_queue (state, finished_at_ms)
  WHERE state IN ('done', 'dead');
)sql";

// Every job is updated several times: free room on the pages and eager vacuuming keep the table
// small.
constexpr std::string_view kQueueUpPostgres = R"sql(
CREATE TABLE jobs_queue (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'done', 'dead')),
  priority INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  fence BIGINT NOT NULL,
  unique_key TEXT,
  run_at_ms BIGINT NOT NULL,
  due_at_ms BIGINT NOT NULL,
  worker TEXT,
  progress DOUBLE PRECISION NOT NULL DEFAULT 0,
  note TEXT,
  last_error TEXT,
  created_at_ms BIGINT NOT NULL,
  finished_at_ms BIGINT
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
CREATE INDEX jobs_queue_due ON jobs_queue (priority DESC, run_at_ms, id)
  WHERE state IN ('queued', 'leased');
CREATE UNIQUE INDEX jobs_queue_unique ON jobs_queue (org_id, kind, unique_key)
  WHERE unique_key IS NOT NULL AND state IN ('queued', 'leased');
CREATE INDEX jobs_queue_finished ON jobs_queue (state, finished_at_ms)
  WHERE state IN ('done', 'dead');
)sql";

constexpr std::string_view kCronUpSqlite = R"sql(
CREATE TABLE jobs_cron (
  kind TEXT NOT NULL,
  minute INTEGER NOT NULL,
  job_id TEXT NOT NULL,
  PRIMARY KEY (kind, minute)
);
)sql";

constexpr std::string_view kCronUpPostgres = R"sql(
CREATE TABLE jobs_cron (
  kind TEXT NOT NULL,
  minute BIGINT NOT NULL,
  job_id TEXT NOT NULL,
  PRIMARY KEY (kind, minute)
);
)sql";

}  // namespace

std::vector<sql::Migration> migrations() {
  return {
      {.version = 50,
       .name = "jobs_queue",
       .up = {.sqlite = kQueueUpSqlite, .postgres = kQueueUpPostgres},
       .down = {.sqlite = "DROP TABLE jobs_queue;", .postgres = "DROP TABLE jobs_queue;"}},
      {.version = 51,
       .name = "jobs_cron",
       .up = {.sqlite = kCronUpSqlite, .postgres = kCronUpPostgres},
       .down = {.sqlite = "DROP TABLE jobs_cron;", .postgres = "DROP TABLE jobs_cron;"}},
  };
}

}  // namespace asahi::jobs
