#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "base/task.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// Whose refresh token it is.
struct RefreshOwner {
  std::string org_id, user_id;
};

/// Refresh tokens (table `refresh_tokens`): 256 random bits, of which the table holds the SHA-256.
/// Each is spent by its use and followed by another of the same family, that is, of the same login.
/// A spent one that is used again was copied: the whole family is revoked (RFC 9700 §4.14.2).
/// Callable from any loop.
class RefreshTokens {
 public:
  struct Options {
    std::chrono::seconds life{86'400};  ///< of one token, unused
    std::chrono::seconds family_life{
        30 * 86'400};  ///< then a new login is needed however often it was renewed
  };
  struct Renewed {
    RefreshOwner owner;
    Secret token;
  };

  /// Both outlive it.
  RefreshTokens(Options options, sql::Database& database, const Clock& clock)
      : options_(options), database_(database), clock_(clock) {}

  /// The first token of a login. Also removes what this user's earlier logins left behind. Errors:
  /// unavailable, timeout.
  Task<Secret> issue(RefreshOwner owner);
  /// Spends a token and hands out the next one. Errors: unauthenticated (unknown, spent, expired,
  /// revoked: all alike), unavailable, timeout.
  Task<Renewed> renew(std::string token);
  /// Ends the token's family. Unknown tokens are fine. Errors: unavailable, timeout.
  Task<void> revoke(std::string token);
  /// Ends all logins of a user (removed, password changed); returns how many tokens that took away.
  Task<std::int64_t> revoke_user(std::string user_id);
  /// Removes the rows of families that have ended; returns how many. For a job once an hour or so.
  Task<std::int64_t> remove_ended();

 private:
  std::int64_t now_ms() const;
  const Options options_;
  sql::Database& database_;
  const Clock& clock_;
};

}  // namespace asahi::identity
