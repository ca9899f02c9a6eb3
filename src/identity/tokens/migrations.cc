#include "identity/tokens/migrations.h"

namespace asahi::identity {
namespace {

// A spent token stays until its family ends, so that its second use is noticed. Times are
// milliseconds since the epoch: they come from the injected clock and are compared, never shown.
constexpr std::string_view kUpPostgres = R"sql(
CREATE TABLE refresh_tokens (
  token_hash VARCHAR(64) PRIMARY KEY,
  family VARCHAR(64) NOT NULL,
  org_id VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  issued_at_ms BIGINT NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  family_ends_at_ms BIGINT NOT NULL,
  spent_at_ms BIGINT,
  revoked_at_ms BIGINT
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_end ON refresh_tokens (family_ends_at_ms);
)sql";

constexpr std::string_view kUpSqlite = R"sql(
CREATE TABLE refresh_tokens (
  token_hash TEXT PRIMARY KEY,
  family TEXT NOT NULL,
  org_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  issued_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  family_ends_at_ms INTEGER NOT NULL,
  spent_at_ms INTEGER,
  revoked_at_ms INTEGER
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_end ON refresh_tokens (family_ends_at_ms);
)sql";

constexpr std::string_view kDown = "DROP TABLE refresh_tokens;";

}  // namespace

std::vector<sql::Migration> token_migrations() {
  return {{210, "refresh_tokens", {kUpSqlite, kUpPostgres}, {kDown, kDown}}};
}

}  // namespace asahi::identity
