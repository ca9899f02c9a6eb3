#include "identity/users/migrations.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kPostgres = R"sql(
CREATE TABLE users (
  id VARCHAR(64) PRIMARY KEY,
  email VARCHAR(320) NOT NULL UNIQUE,
  password_hash VARCHAR(255),
  full_name VARCHAR(255) NOT NULL DEFAULT '',
  org_id VARCHAR(255) NOT NULL,
  role VARCHAR(64) NOT NULL,
  active BOOLEAN NOT NULL DEFAULT true,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  last_active TIMESTAMPTZ,
  sso_subject VARCHAR(512) UNIQUE
);
CREATE INDEX idx_users_org_id ON users (org_id);
CREATE TABLE roles (
  org_id VARCHAR(255) NOT NULL,
  name VARCHAR(64) NOT NULL,
  permissions JSONB NOT NULL DEFAULT '[]',
  description VARCHAR(500) NOT NULL DEFAULT '',
  PRIMARY KEY (org_id, name)
);
)sql";

constexpr std::string_view kSqlite = R"sql(
CREATE TABLE users (
  id TEXT PRIMARY KEY NOT NULL,
  email TEXT NOT NULL UNIQUE,
  password_hash TEXT,
  full_name TEXT NOT NULL DEFAULT '',
  org_id TEXT NOT NULL,
  role TEXT NOT NULL,
  active INTEGER NOT NULL DEFAULT 1,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  last_active TEXT,
  sso_subject TEXT UNIQUE
);
CREATE INDEX idx_users_org_id ON users (org_id);
CREATE TABLE roles (
  org_id TEXT NOT NULL,
  name TEXT NOT NULL,
  permissions TEXT NOT NULL DEFAULT '[]',
  description TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (org_id, name)
);
)sql";

constexpr std::string_view kDown = R"sql(
DROP TABLE roles;
DROP TABLE users;
)sql";

}  // namespace

sql::Migration users_migration() {
  return {
      .version = 202, .name = "identity_users", .up = {kSqlite, kPostgres}, .down = {kDown, kDown}};
}

}  // namespace asahi::identity
