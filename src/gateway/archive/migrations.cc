#include "gateway/archive/migrations.h"

namespace asahi::gateway {
namespace {

constexpr std::string_view kPostgres = R"sql(
CREATE TABLE event_archives (
  object_key VARCHAR(300) PRIMARY KEY,
  day VARCHAR(10) NOT NULL,
  node_id VARCHAR(64) NOT NULL,
  source_size BIGINT NOT NULL,
  source_time BIGINT NOT NULL,
  sha256 VARCHAR(64) NOT NULL,
  next_sha256 VARCHAR(64) NOT NULL DEFAULT '',
  bytes BIGINT NOT NULL,
  due_digest VARCHAR(64) NOT NULL DEFAULT '',
  rules_of TIMESTAMPTZ NOT NULL
);
)sql";

constexpr std::string_view kSqlite = R"sql(
CREATE TABLE event_archives (
  object_key TEXT PRIMARY KEY,
  day TEXT NOT NULL,
  node_id TEXT NOT NULL,
  source_size INTEGER NOT NULL,
  source_time INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  next_sha256 TEXT NOT NULL DEFAULT '',
  bytes INTEGER NOT NULL,
  due_digest TEXT NOT NULL DEFAULT '',
  rules_of TEXT NOT NULL
);
)sql";

constexpr std::string_view kDown = "DROP TABLE event_archives;";

}  // namespace

sql::Migration archive_migration() {
  return {.version = 170,
          .name = "event_archives",
          .up = {.sqlite = kSqlite, .postgres = kPostgres},
          .down = {.sqlite = kDown, .postgres = kDown}};
}

}  // namespace asahi::gateway
