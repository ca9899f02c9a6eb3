#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "base/task.h"
#include "identity/keys/invalidation.h"
#include "identity/principal.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// An API key without its secret part (table `api_keys`).
struct ApiKey {
  std::string prefix;  ///< first 12 characters; names the key
  std::string org_id, user_id, name;
  std::vector<std::string> scopes;          ///< empty: full access (keys of before scopes)
  std::vector<std::string> allowed_models;  ///< empty: all
  Clock::Time created_at{};
  Clock::Time expires_at{};
  /// Set when it was rotated: the end of the overlap in which it still opens.
  std::optional<Clock::Time> valid_until;
  std::optional<Clock::Time> last_used_at;  ///< within a minute or so
  bool revoked = false;
  std::string rotated_from;  ///< prefix of its predecessor
  std::optional<std::int64_t> requests_per_minute, tokens_per_minute;
  bool semantic_cache = true;  ///< answers of like questions may serve its questions
  Systems systems;             ///< of the memory; nothing: all

  /// "active", "rotated" (valid until the overlap ends), "expired" or "revoked".
  std::string_view status(Clock::Time now) const;
};

struct NewApiKey {
  std::string org_id, user_id, name;
  std::vector<std::string> scopes, allowed_models;
  std::optional<int> expires_in_days;  ///< 1 to 3650; empty: the default of the options
  std::optional<std::int64_t> requests_per_minute, tokens_per_minute;
  bool semantic_cache = true;
  Systems systems;
};

struct IssuedApiKey {
  ApiKey key;
  Secret value;  ///< the whole key; shown once and stored nowhere
};

struct ApiKeysOptions {
  std::string prefix = "ask";
  int expiry_days = 90;
  int rotation_overlap_hours = 24;
  Secret pepper;  ///< see `read_pepper`
  std::size_t max_remembered = 100'000;
  /// Look-ups of keys in SQL at a time; more: unavailable, so that a flood of made-up keys stays
  /// outside.
  std::size_t max_lookups = 64;
  std::optional<Plan> default_plan;  ///< as TenantsOptions
};

/// API keys: `ask_{first 4 of org_id}_{32 random [a-z0-9]}`, stored as HMAC-SHA256 under the
/// server's pepper. A key that was verified is remembered for at most 60 s under a keyed
/// fingerprint, and dropped at once when it is revoked (see Invalidation). Callable from any loop.
class ApiKeys {
 public:
  static constexpr std::size_t kPrefixLength = 12;
  static constexpr std::string_view kRefused =
      "the credential is missing, wrong, expired or revoked";

  virtual ~ApiKeys() = default;
  /// Errors: invalid_argument (unknown scope, life, limits).
  virtual Task<IssuedApiKey> create(NewApiKey key) = 0;
  /// Newest first.
  virtual Task<std::vector<ApiKey>> list(std::string org_id, std::int64_t limit,
                                         std::int64_t offset) = 0;
  /// Errors: not_found, also for a key of another organisation (so below).
  virtual Task<ApiKey> get(std::string org_id, std::string prefix) = 0;
  /// Revoking twice is fine.
  virtual Task<void> revoke(std::string org_id, std::string prefix) = 0;
  /// Every key of a user, or with an empty `user_id` of the organisation; returns how many.
  virtual Task<std::int64_t> revoke_all(std::string org_id, std::string user_id) = 0;
  /// A successor with the same rights; the old key opens until the overlap ends. Errors: conflict
  /// (it does not open any more, or was rotated already).
  virtual Task<IssuedApiKey> rotate(std::string org_id, std::string prefix) = 0;

  /// True for text that looks like a key of ours ("ask_…").
  virtual bool is_ours(std::string_view text) const = 0;
  /// Who the key belongs to, without suspending; empty: ask `verify`. Errors: unauthenticated, with
  /// `kRefused`.
  virtual std::optional<Result<std::shared_ptr<const Principal>>> try_verify(
      std::string_view key) = 0;
  /// Also unavailable: the database is away, or too many unknown keys are asked for.
  virtual Task<std::shared_ptr<const Principal>> verify(std::string key) = 0;
  /// Writes when keys were last used.
  virtual Task<void> write_last_used() = 0;
};

/// Errors: invalid_argument (prefix, pepper). `database`, `invalidation` and `clock` outlive it;
/// listens to `invalidation`.
Result<std::unique_ptr<ApiKeys>> make_api_keys(ApiKeysOptions options, sql::Database& database,
                                               Invalidation& invalidation, const Clock& clock);

/// The server's pepper: `given` (ASAHI_KEY_PEPPER, 32 bytes or more), else the content of
/// <data_dir>/key_pepper, which is made with mode 0600 when absent. All replicas that share a
/// database need the same. Errors: unavailable, invalid_argument, corrupt.
Result<Secret> read_pepper(const Secret& given, const std::string& data_dir);

}  // namespace asahi::identity
