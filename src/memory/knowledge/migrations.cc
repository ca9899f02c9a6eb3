#include "memory/knowledge/graph_rows.h"

namespace asahi::memory::knowledge {

namespace {

// Times are nanoseconds since the epoch, the smallest number for "nobody knows when", the largest
// for "not yet". Digests are kept by their bits. `epoch` grows with each change of a tenant's
// graph.
constexpr std::string_view kGraph = R"sql(
CREATE TABLE memory_graphs (
  tenant TEXT PRIMARY KEY,
  epoch BIGINT NOT NULL,
  next_fact BIGINT NOT NULL,
  last_record_ns BIGINT NOT NULL,
  entities BIGINT NOT NULL DEFAULT 0,
  edges BIGINT NOT NULL DEFAULT 0,
  facts BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE memory_graph_sources (
  tenant TEXT NOT NULL,
  system_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  entities TEXT NOT NULL,
  PRIMARY KEY (tenant, system_id, conversation_id)
);
CREATE TABLE memory_graph_entities (
  tenant TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  first_seen_ns BIGINT NOT NULL,
  properties TEXT NOT NULL,
  system_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  PRIMARY KEY (tenant, entity_id)
);
CREATE TABLE memory_graph_facts (
  tenant TEXT NOT NULL,
  fact_id BIGINT NOT NULL,
  from_id TEXT NOT NULL,
  to_id TEXT NOT NULL,
  type TEXT NOT NULL,
  system_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  valid_from_ns BIGINT NOT NULL,
  valid_to_ns BIGINT NOT NULL,
  recorded_at_ns BIGINT NOT NULL,
  retracted_at_ns BIGINT NOT NULL,
  weight_micros BIGINT NOT NULL,
  ended INTEGER NOT NULL,
  ended_by BIGINT NOT NULL,
  properties TEXT NOT NULL,
  evidence TEXT NOT NULL,
  exclusive INTEGER NOT NULL,
  identity BIGINT NOT NULL,
  stated BIGINT NOT NULL,
  stated_to_ns BIGINT NOT NULL,
  cut_to_ns BIGINT NOT NULL,
  cut_by BIGINT NOT NULL,
  withdrawn INTEGER NOT NULL,
  PRIMARY KEY (tenant, fact_id)
);
CREATE TABLE memory_graph_versions (
  tenant TEXT NOT NULL,
  fact_id BIGINT NOT NULL,
  version INTEGER NOT NULL,
  valid_from_ns BIGINT NOT NULL,
  valid_to_ns BIGINT NOT NULL,
  recorded_at_ns BIGINT NOT NULL,
  retracted_at_ns BIGINT NOT NULL,
  weight_micros BIGINT NOT NULL,
  ended INTEGER NOT NULL,
  ended_by BIGINT NOT NULL,
  properties TEXT NOT NULL,
  evidence TEXT NOT NULL,
  PRIMARY KEY (tenant, fact_id, version)
);
)sql";
constexpr std::string_view kGraphDown = R"sql(
DROP TABLE memory_graph_versions;
DROP TABLE memory_graph_facts;
DROP TABLE memory_graph_entities;
DROP TABLE memory_graph_sources;
DROP TABLE memory_graphs;
)sql";

// Up to which writing of a store everything is derived, and up to which upload it is counted: a
// store that is read from its beginning once more is not counted twice.
constexpr std::string_view kFeeds = R"sql(
CREATE TABLE memory_derived (
  feed TEXT PRIMARY KEY,
  position BIGINT NOT NULL,
  counted_ms BIGINT NOT NULL
);
)sql";
constexpr std::string_view kFeedsDown = "DROP TABLE memory_derived;";

// What systems sent, as it came, by 5 minutes and by hour; what ingestion counted, by hour. REAL of
// PostgreSQL has four bytes.
constexpr std::string_view kSeries = R"sql(
CREATE TABLE memory_metric_points (
  tenant TEXT NOT NULL,
  metric TEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  row_id TEXT NOT NULL,
  system_id TEXT NOT NULL,
  value DOUBLE PRECISION NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (tenant, metric, at_ms, row_id)
);
CREATE INDEX memory_metric_points_old ON memory_metric_points (at_ms);
CREATE TABLE memory_metric_rollups (
  tenant TEXT NOT NULL,
  metric TEXT NOT NULL,
  width_ms BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  system_id TEXT NOT NULL,
  total DOUBLE PRECISION NOT NULL,
  least DOUBLE PRECISION NOT NULL,
  most DOUBLE PRECISION NOT NULL,
  points BIGINT NOT NULL,
  PRIMARY KEY (tenant, metric, width_ms, at_ms, system_id)
);
CREATE INDEX memory_metric_rollups_old ON memory_metric_rollups (width_ms, at_ms);
CREATE TABLE memory_system_hours (
  tenant TEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  system_id TEXT NOT NULL,
  conversations BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  duplicates BIGINT NOT NULL,
  vectors BIGINT NOT NULL,
  norms DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (tenant, at_ms, system_id)
);
CREATE INDEX memory_system_hours_old ON memory_system_hours (at_ms);
)sql";
constexpr std::string_view kSeriesDown = R"sql(
DROP TABLE memory_system_hours;
DROP TABLE memory_metric_rollups;
DROP TABLE memory_metric_points;
)sql";

// What stands around one entity, without the rest of the graph.
constexpr std::string_view kEnds = R"sql(
CREATE INDEX memory_graph_facts_from ON memory_graph_facts (tenant, from_id);
CREATE INDEX memory_graph_facts_to ON memory_graph_facts (tenant, to_id);
)sql";
constexpr std::string_view kEndsDown = R"sql(
DROP INDEX memory_graph_facts_to;
DROP INDEX memory_graph_facts_from;
)sql";

}  // namespace

std::vector<sql::Migration> migrations() {
  return {{.version = 315,
           .name = "memory_graph",
           .up = {.sqlite = kGraph, .postgres = kGraph},
           .down = {.sqlite = kGraphDown, .postgres = kGraphDown}},
          {.version = 316,
           .name = "memory_derived",
           .up = {.sqlite = kFeeds, .postgres = kFeeds},
           .down = {.sqlite = kFeedsDown, .postgres = kFeedsDown}},
          {.version = 317,
           .name = "memory_series",
           .up = {.sqlite = kSeries, .postgres = kSeries},
           .down = {.sqlite = kSeriesDown, .postgres = kSeriesDown}},
          {.version = 346,
           .name = "memory_graph_ends",
           .up = {.sqlite = kEnds, .postgres = kEnds},
           .down = {.sqlite = kEndsDown, .postgres = kEndsDown}}};
}

}  // namespace asahi::memory::knowledge
