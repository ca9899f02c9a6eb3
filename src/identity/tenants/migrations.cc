#include "identity/tenants/migrations.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kPostgres = R"sql(
CREATE TABLE tenants (
  org_id VARCHAR(255) PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  plan VARCHAR(20) NOT NULL DEFAULT 'starter',
  settings JSONB NOT NULL DEFAULT '{}',
  compliance_frameworks JSONB NOT NULL DEFAULT '[]',
  data_residency VARCHAR(10),
  active BOOLEAN NOT NULL DEFAULT true,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_tenants_name ON tenants (name);
)sql";

constexpr std::string_view kSqlite = R"sql(
CREATE TABLE tenants (
  org_id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  plan TEXT NOT NULL DEFAULT 'starter',
  settings TEXT NOT NULL DEFAULT '{}',
  compliance_frameworks TEXT NOT NULL DEFAULT '[]',
  data_residency TEXT,
  active INTEGER NOT NULL DEFAULT 1,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX idx_tenants_name ON tenants (name);
)sql";

constexpr std::string_view kDown = "DROP TABLE tenants;";

}  // namespace

sql::Migration tenants_migration() {
  return {.version = 201,
          .name = "identity_tenants",
          .up = {kSqlite, kPostgres},
          .down = {kDown, kDown}};
}

}  // namespace asahi::identity
