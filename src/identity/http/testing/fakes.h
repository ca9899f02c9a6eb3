#pragma once
// Stand-ins for what other folders bring, and the table that the gateway's migration 101 makes.

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "identity/audit/audit.h"
#include "identity/limits/rate_limiter.h"
#include "identity/tokens/token_issuer.h"
#include "storage/sql/migrations.h"

namespace asahi::identity::testing {

/// Counts for ever: a window that never moves. `suspends`: answers only through `take`, as over
/// Redis.
class CountingLimiter final : public RateLimiter {
 public:
  explicit CountingLimiter(bool suspends = false) : suspends_(suspends) {}
  std::string_view backend() const override { return "memory"; }
  std::optional<LimitVerdict> try_take(std::span<const Ask> asks) override {
    if (suspends_) return std::nullopt;
    return decide(asks);
  }
  Aw<LimitVerdict> take(std::vector<Ask> asks) override { co_return decide(asks); }
  void adjust(const Limit&, std::int64_t, LimitStamp) override {}

  /// "key/ask_acme_abc" -> taken.
  std::int64_t taken(const std::string& counter) {
    const std::lock_guard lock(mutex_);
    return counts_[counter];
  }

 private:
  LimitVerdict decide(std::span<const Ask> asks) {
    const std::lock_guard lock(mutex_);
    LimitVerdict verdict;
    verdict.remaining = std::numeric_limits<std::int64_t>::max();
    for (const Ask& ask : asks) {
      const std::int64_t left = ask.limit.max - counts_[name(ask.limit)];
      if (left - ask.amount < verdict.remaining) {
        verdict.scope = ask.limit.scope;
        verdict.max = ask.limit.max;
        verdict.remaining = std::max<std::int64_t>(0, left - ask.amount);
      }
      if (left < ask.amount) verdict.allowed = false;
    }
    verdict.reset = std::chrono::seconds(60);
    if (!verdict.allowed) verdict.retry_after = std::chrono::seconds(7);
    if (verdict.allowed) {
      for (const Ask& ask : asks) counts_[name(ask.limit)] += ask.amount;
    }
    return verdict;
  }
  static std::string name(const Limit& limit) {
    constexpr std::array kScopes = {"ip", "key", "user", "org", "model"};
    return std::string(kScopes.at(static_cast<std::size_t>(limit.scope))) + '/' + limit.id;
  }

  const bool suspends_;
  std::mutex mutex_;
  std::map<std::string, std::int64_t> counts_;
};

/// Keeps what is recorded.
class AuditNotes final : public AuditLog {
 public:
  bool record(AuditEntry entry) override {
    const std::lock_guard lock(mutex_);
    entries_.push_back(std::move(entry));
    return true;
  }
  Task<std::string> append(AuditEntry entry) override {
    (void)record(std::move(entry));
    co_return "aud_1";
  }
  Task<std::vector<StoredAuditEntry>> query(AuditFilter) override {
    co_return std::vector<StoredAuditEntry>();
  }
  Task<AuditVerification> verify(std::string) override { co_return AuditVerification{}; }
  Task<std::int64_t> trim(std::string, Clock::Time) override { co_return 0; }
  bool flush(std::chrono::milliseconds) override { return true; }
  std::uint64_t dropped() const override { return 0; }

  std::vector<AuditEntry> entries() const {
    const std::lock_guard lock(mutex_);
    return entries_;
  }
  /// "api_key.create api_key/ask_acme_abc success" of everything so far.
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> lines;
    for (const AuditEntry& entry : entries_)
      lines.push_back(entry.action + ' ' + entry.resource + ' ' + entry.result);
    return lines;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<AuditEntry> entries_;
};

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
