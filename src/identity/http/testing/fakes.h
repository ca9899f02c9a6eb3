#pragma once
// Stand-ins for what other folders bring, and the table that the gateway's migration 101 makes.

#include <set>
#include <string>

#include "identity/tokens/token_issuer.h"
#include "storage/sql/migrations.h"

namespace asahi::identity::testing {

/// Tokens are "access:<user>" and "refresh:<user>".
class PlainTokens final : public TokenIssuer {
 public:
  Task<TokenPair> issue(User user, PermissionSet, std::string) override {
    co_return TokenPair{Secret("access:" + user.id), Secret("refresh:" + user.id)};
  }
  Task<TokenPair> refresh(std::string token) override {
    if (revoked_.contains(token) || !token.starts_with("refresh:")) {
      co_return fail(Errc::kUnauthenticated, "the refresh token is wrong, expired or revoked");
    }
    co_return TokenPair{Secret("access:again"), Secret(token + "+")};
  }
  Task<void> revoke(std::string token) override {
    revoked_.insert(std::move(token));
    co_return Result<void>{};
  }

 private:
  std::set<std::string> revoked_;
};

/// `api_keys` as the gateway's migration 101 makes it, which this layer cannot include.
inline sql::Migration api_keys_table() {
  return {.version = 101,
          .name = "api_keys",
          .up = {.sqlite = "CREATE TABLE api_keys (id INTEGER PRIMARY KEY, key_prefix TEXT NOT "
                           "NULL UNIQUE, key_hash TEXT "
                           "NOT NULL, user_id TEXT NOT NULL, org_id TEXT NOT NULL, scopes TEXT NOT "
                           "NULL DEFAULT '[]', "
                           "expires_at TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0, "
                           "created_at TEXT NOT NULL, name "
                           "TEXT, last_used_at TEXT, rotated_from TEXT, rate_limit_per_minute "
                           "INTEGER, allowed_models TEXT)",
                 .postgres = "CREATE TABLE api_keys (id BIGSERIAL PRIMARY KEY, key_prefix "
                             "VARCHAR(12) NOT NULL UNIQUE, "
                             "key_hash VARCHAR(255) NOT NULL, user_id VARCHAR(255) NOT NULL, "
                             "org_id VARCHAR(255) NOT NULL, "
                             "scopes JSONB NOT NULL DEFAULT '[]', expires_at TIMESTAMPTZ NOT NULL, "
                             "revoked BOOLEAN NOT NULL "
                             "DEFAULT false, created_at TIMESTAMPTZ NOT NULL DEFAULT now(), name "
                             "VARCHAR(255), last_used_at "
                             "TIMESTAMPTZ, rotated_from VARCHAR(12), rate_limit_per_minute "
                             "INTEGER, allowed_models JSONB)"},
          .down = {.sqlite = "DROP TABLE api_keys", .postgres = "DROP TABLE api_keys"}};
}

}  // namespace asahi::identity::testing
