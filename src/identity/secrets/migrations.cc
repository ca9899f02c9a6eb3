#include "identity/secrets/migrations.h"

namespace asahi::identity {
namespace {

// A replaced or removed row stays as a record of who set which key when; its ciphertext goes.
constexpr std::string_view kProviderKeysPostgres = R"sql(
CREATE TABLE provider_keys (
  id VARCHAR(64) PRIMARY KEY,
  org_id VARCHAR(255) NOT NULL,
  vendor VARCHAR(50) NOT NULL,
  ciphertext TEXT NOT NULL,
  hint VARCHAR(4) NOT NULL,
  active BOOLEAN NOT NULL DEFAULT true,
  created_by VARCHAR(255) NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  ended_at TIMESTAMPTZ
);
CREATE UNIQUE INDEX idx_provider_keys_active ON provider_keys (org_id, vendor) WHERE active;
)sql";

constexpr std::string_view kProviderKeysSqlite = R"sql(
CREATE TABLE provider_keys (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL,
  vendor TEXT NOT NULL,
  ciphertext TEXT NOT NULL,
  hint TEXT NOT NULL,
  active INTEGER NOT NULL DEFAULT 1,
  created_by TEXT NOT NULL,
  created_at TEXT NOT NULL,
  ended_at TEXT
);
CREATE UNIQUE INDEX idx_provider_keys_active ON provider_keys (org_id, vendor) WHERE active;
)sql";

}  // namespace

std::vector<sql::Migration> secrets_migrations() {
  return {
      {.version = 240,
       .name = "identity_provider_keys",
       .up = {.sqlite = kProviderKeysSqlite, .postgres = kProviderKeysPostgres},
       .down = {.sqlite = "DROP TABLE provider_keys;", .postgres = "DROP TABLE provider_keys;"}},
  };
}

}  // namespace asahi::identity
