#include "gateway/analytics/migrations.h"

namespace asahi::gateway::analytics {
namespace {

// `start` counts minutes since 1970, `page` holds some neighbouring numbers of `analytics_keys`,
// `sums` is what gateway/analytics/rollup_cells.h encodes. Pages are read and written whole: out of
// line they would cost a second look-up, and they are dense already. Events from before this
// migration are added by the loader, from `backfill_next` to `backfill_end`.
constexpr std::string_view kPostgres = R"sql(
ALTER TABLE inference_events ADD COLUMN token_savings NUMERIC(18,9);
ALTER TABLE inference_events ADD COLUMN batching_savings NUMERIC(18,9);
CREATE TABLE analytics_keys (
  dimension SMALLINT NOT NULL,
  org_id VARCHAR(255) NOT NULL,
  key VARCHAR(255) NOT NULL,
  number BIGINT NOT NULL,
  PRIMARY KEY (dimension, org_id, key)
);
CREATE UNIQUE INDEX idx_analytics_keys_number ON analytics_keys (dimension, org_id, number);
CREATE TABLE analytics_rollups (
  org_id VARCHAR(255) NOT NULL,
  dimension SMALLINT NOT NULL,
  grain SMALLINT NOT NULL,
  start BIGINT NOT NULL,
  page BIGINT NOT NULL,
  sums BYTEA NOT NULL,
  PRIMARY KEY (org_id, dimension, grain, start, page)
) WITH (fillfactor = 70);
ALTER TABLE analytics_rollups ALTER COLUMN sums SET STORAGE EXTERNAL;
CREATE TABLE analytics_state (
  name VARCHAR(40) PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO analytics_state (name, value)
  SELECT 'backfill_end', COALESCE(MAX(id), 0) FROM inference_events;
INSERT INTO analytics_state (name, value) VALUES ('backfill_next', 0), ('keys_version', 0);
)sql";

constexpr std::string_view kSqlite = R"sql(
ALTER TABLE inference_events ADD COLUMN token_savings TEXT;
ALTER TABLE inference_events ADD COLUMN batching_savings TEXT;
CREATE TABLE analytics_keys (
  dimension INTEGER NOT NULL,
  org_id TEXT NOT NULL,
  key TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (dimension, org_id, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX idx_analytics_keys_number ON analytics_keys (dimension, org_id, number);
CREATE TABLE analytics_rollups (
  org_id TEXT NOT NULL,
  dimension INTEGER NOT NULL,
  grain INTEGER NOT NULL,
  start INTEGER NOT NULL,
  page INTEGER NOT NULL,
  sums BLOB NOT NULL,
  PRIMARY KEY (org_id, dimension, grain, start, page)
) WITHOUT ROWID;
CREATE TABLE analytics_state (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
);
INSERT INTO analytics_state (name, value)
  SELECT 'backfill_end', COALESCE(MAX(id), 0) FROM inference_events;
INSERT INTO analytics_state (name, value) VALUES ('backfill_next', 0), ('keys_version', 0);
)sql";

constexpr std::string_view kDown = R"sql(
DROP TABLE analytics_state;
DROP TABLE analytics_rollups;
DROP TABLE analytics_keys;
ALTER TABLE inference_events DROP COLUMN batching_savings;
ALTER TABLE inference_events DROP COLUMN token_savings;
)sql";

// The search index: gateway/analytics/search_index.h. Terms are bytes, so that both engines order
// them alike.
constexpr std::string_view kSearchPostgres = R"sql(
CREATE TABLE event_blocks (
  org_id VARCHAR(255) NOT NULL,
  block BIGINT NOT NULL,
  first_ms BIGINT NOT NULL,
  last_ms BIGINT NOT NULL,
  times BYTEA NOT NULL,
  PRIMARY KEY (org_id, block)
);
ALTER TABLE event_blocks ALTER COLUMN times SET STORAGE EXTERNAL;
CREATE TABLE event_terms (
  org_id VARCHAR(255) NOT NULL,
  block BIGINT NOT NULL,
  first_term BYTEA NOT NULL,
  page BYTEA NOT NULL,
  PRIMARY KEY (org_id, block, first_term)
);
ALTER TABLE event_terms ALTER COLUMN page SET STORAGE EXTERNAL;
INSERT INTO analytics_state (name, value) VALUES ('index_next', 0);
)sql";

constexpr std::string_view kSearchSqlite = R"sql(
CREATE TABLE event_blocks (
  org_id TEXT NOT NULL,
  block INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  times BLOB NOT NULL,
  PRIMARY KEY (org_id, block)
);
CREATE TABLE event_terms (
  org_id TEXT NOT NULL,
  block INTEGER NOT NULL,
  first_term BLOB NOT NULL,
  page BLOB NOT NULL,
  PRIMARY KEY (org_id, block, first_term)
);
INSERT INTO analytics_state (name, value) VALUES ('index_next', 0);
)sql";

constexpr std::string_view kSearchDown = R"sql(
DELETE FROM analytics_state WHERE name = 'index_next';
DROP TABLE event_terms;
DROP TABLE event_blocks;
)sql";

// Signs of invention in an answer. And of users and API keys: other pages, days and weeks folded
// from hours (rollup_cells.h); what is there is added anew from the events, as after the first of
// these migrations.
constexpr std::string_view kFoldedPostgres = R"sql(
ALTER TABLE inference_events ADD COLUMN hallucination BOOLEAN;
DELETE FROM analytics_rollups;
DELETE FROM analytics_state WHERE name IN ('folded_day', 'folded_week');
UPDATE analytics_state SET value = (SELECT COALESCE(MAX(id), 0) FROM inference_events)
  WHERE name = 'backfill_end';
UPDATE analytics_state SET value = 0 WHERE name = 'backfill_next';
)sql";

constexpr std::string_view kFoldedSqlite = R"sql(
ALTER TABLE inference_events ADD COLUMN hallucination INTEGER;
DELETE FROM analytics_rollups;
DELETE FROM analytics_state WHERE name IN ('folded_day', 'folded_week');
UPDATE analytics_state SET value = (SELECT COALESCE(MAX(id), 0) FROM inference_events)
  WHERE name = 'backfill_end';
UPDATE analytics_state SET value = 0 WHERE name = 'backfill_next';
)sql";

constexpr std::string_view kFoldedDown = R"sql(
ALTER TABLE inference_events DROP COLUMN hallucination;
DELETE FROM analytics_rollups;
DELETE FROM analytics_state WHERE name IN ('folded_day', 'folded_week');
UPDATE analytics_state SET value = (SELECT COALESCE(MAX(id), 0) FROM inference_events)
  WHERE name = 'backfill_end';
UPDATE analytics_state SET value = 0 WHERE name = 'backfill_next';
)sql";

// Requests and users are found by the search index (search_index.h). As indexes of the table they
// cost each event a page of its own each: more than all the rest of it.
constexpr std::string_view kSearchServes = R"sql(
DROP INDEX idx_events_request;
DROP INDEX idx_events_user;
)sql";

constexpr std::string_view kSearchServesDown = R"sql(
CREATE INDEX idx_events_request ON inference_events (org_id, request_id);
CREATE INDEX idx_events_user ON inference_events (org_id, user_id);
)sql";

// PostgreSQL only. Events come by COPY, 6 µs of the server's each instead of 9.4 with the two
// B-trees that go: models are found by search blocks, and bare times by summaries of ranges of
// blocks. Pages of rollups are replaced by new rows, so that room for new versions beside the old
// ones is of no use; and they stand whole in their row where they fit a block, as pieces in a
// second table cost an index entry and a look-up each.
constexpr std::string_view kCopyPostgres = R"sql(
DROP INDEX idx_events_timestamp;
DROP INDEX idx_events_model;
CREATE INDEX idx_events_timestamp ON inference_events USING brin (timestamp);
ALTER TABLE analytics_rollups SET (fillfactor = 100, toast_tuple_target = 8160);
ALTER TABLE event_blocks SET (toast_tuple_target = 8160);
ALTER TABLE event_terms SET (toast_tuple_target = 8160);
)sql";

constexpr std::string_view kCopyPostgresDown = R"sql(
DROP INDEX idx_events_timestamp;
CREATE INDEX idx_events_timestamp ON inference_events (timestamp);
CREATE INDEX idx_events_model ON inference_events (model_selected);
ALTER TABLE analytics_rollups SET (fillfactor = 70);
ALTER TABLE analytics_rollups RESET (toast_tuple_target);
ALTER TABLE event_blocks RESET (toast_tuple_target);
ALTER TABLE event_terms RESET (toast_tuple_target);
)sql";

// SQLite has nothing to change.
constexpr std::string_view kNothing = "SELECT 1;";

}  // namespace

std::vector<sql::Migration> analytics_migrations() {
  return {{.version = 150,
           .name = "analytics_rollups",
           .up = {.sqlite = kSqlite, .postgres = kPostgres},
           .down = {.sqlite = kDown, .postgres = kDown}},
          {.version = 151,
           .name = "event_search",
           .up = {.sqlite = kSearchSqlite, .postgres = kSearchPostgres},
           .down = {.sqlite = kSearchDown, .postgres = kSearchDown}},
          {.version = 152,
           .name = "folded_rollups",
           .up = {.sqlite = kFoldedSqlite, .postgres = kFoldedPostgres},
           .down = {.sqlite = kFoldedDown, .postgres = kFoldedDown}},
          {.version = 153,
           .name = "search_serves_requests_and_users",
           .up = {.sqlite = kSearchServes, .postgres = kSearchServes},
           .down = {.sqlite = kSearchServesDown, .postgres = kSearchServesDown}},
          {.version = 157,
           .name = "events_by_copy",
           .up = {.sqlite = kNothing, .postgres = kCopyPostgres},
           .down = {.sqlite = kNothing, .postgres = kCopyPostgresDown}}};
}

}  // namespace asahi::gateway::analytics
