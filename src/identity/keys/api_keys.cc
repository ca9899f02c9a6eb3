#include "identity/keys/api_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "base/hash.h"
#include "base/ids.h"
#include "identity/keys/key_text.h"
#include "identity/keys/memo.h"
#include "identity/keys/sql_values.h"

namespace asahi::identity {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr int kMostDays = 3'650;
constexpr int kTries = 50;
/// A verified key is read anew after the first time by one of its requests, and by all after the
/// second.
constexpr seconds kFresh{45}, kRemembered{60};
/// A prefix that no key has. Short: another process may just be making one.
constexpr seconds kAbsent{2};

constexpr std::string_view kColumns =
    "k.key_prefix, k.key_hash, k.org_id, k.user_id, k.name, k.scopes, k.allowed_models, "
    "k.created_at, k.expires_at, "
    "k.valid_until, k.last_used_at, k.revoked, k.rotated_from, k.rate_limit_per_minute, "
    "k.tokens_per_minute, k.semantic_cache, k.systems";

std::unexpected<Error> refused() {
  return fail(Errc::kUnauthenticated, std::string(ApiKeys::kRefused));
}
std::unexpected<Error> not_found(const std::string& prefix) {
  return fail(Errc::kNotFound,
              fmt::format("no API key with the prefix '{}'; see GET /governance/api-keys", prefix));
}

Result<ApiKey> read_key(const sql::Rows& rows, std::size_t row) {
  ApiKey key;
  key.prefix = rows.text(row, "key_prefix");
  key.org_id = rows.text(row, "org_id");
  key.user_id = rows.text(row, "user_id");
  key.name = rows.text(row, "name");
  ASAHI_TRY(key.scopes, read_list(rows, row, "scopes"));
  ASAHI_TRY(key.allowed_models, read_list(rows, row, "allowed_models"));
  ASAHI_TRY(key.created_at, read_time(rows, row, "created_at"));
  ASAHI_TRY(key.expires_at, read_time(rows, row, "expires_at"));
  ASAHI_TRY(key.valid_until, read_time_or_null(rows, row, "valid_until"));
  ASAHI_TRY(key.last_used_at, read_time_or_null(rows, row, "last_used_at"));
  key.revoked = rows.boolean(row, "revoked");
  key.rotated_from = rows.text(row, "rotated_from");
  key.requests_per_minute = read_integer_or_null(rows, row, "rate_limit_per_minute");
  key.tokens_per_minute = read_integer_or_null(rows, row, "tokens_per_minute");
  key.semantic_cache = rows.boolean(row, "semantic_cache");
  if (!rows.is_null(row, "systems")) {
    ASAHI_TRY(key.systems, read_list(rows, row, "systems"));
  }
  return key;
}

Clock::Time end_of(const ApiKey& key) {
  return key.valid_until ? std::min(*key.valid_until, key.expires_at) : key.expires_at;
}

/// What is remembered of a prefix. Immutable but for the marks.
struct Remembered {
  bool opens = false;                    ///< false: no such key, revoked or over
  std::string hash;                      ///< of the key; empty: no such key
  std::optional<Digest128> fingerprint;  ///< of the key once it was verified
  Principal principal;
  Clock::Steady fresh_until{};
  Clock::Steady expires{};
  std::atomic<bool> refreshing{false};
  std::atomic<std::int64_t> used_at{0};  ///< steady nanoseconds; 0: not since it was last written
};

using Entry = std::shared_ptr<Remembered>;
using Verified = Result<std::shared_ptr<const Principal>>;

class SqlApiKeys final : public ApiKeys {
 public:
  SqlApiKeys(ApiKeysOptions options, sql::Database& database, Invalidation& invalidation,
             const Clock& clock)
      : options_(std::move(options)),
        database_(database),
        invalidation_(invalidation),
        clock_(clock),
        remembered_(options_.max_remembered) {
    random_bytes(fingerprint_key_.data(), fingerprint_key_.size());
    invalidation.listen([this](std::string_view kind, std::string_view id) {
      if (kind == "key") {
        note_use(remembered_.find(id, clock_.steady_now()));
        remembered_.erase(id);
      } else if (kind.empty()) {
        remembered_.clear();
      } else if (kind == "org") {
        remembered_.erase_if([&](const Entry& entry) { return entry->principal.org_id == id; });
      }
    });
  }

  Task<IssuedApiKey> create(NewApiKey wanted) override {
    ApiKey key;
    key.org_id = std::move(wanted.org_id);
    key.user_id = std::move(wanted.user_id);
    key.name = std::move(wanted.name);
    key.scopes = std::move(wanted.scopes);
    key.allowed_models = std::move(wanted.allowed_models);
    key.requests_per_minute = wanted.requests_per_minute;
    key.tokens_per_minute = wanted.tokens_per_minute;
    key.semantic_cache = wanted.semantic_cache;
    key.systems = std::move(wanted.systems);
    const int days = wanted.expires_in_days.value_or(options_.expiry_days);
    if (auto ok = check(key, days); !ok) co_return std::unexpected(std::move(ok.error()));
    key.created_at = clock_.now();
    key.expires_at = key.created_at + hours(24) * days;
    for (int i = 0; i < kTries; ++i) {
      IssuedApiKey issued{key, Secret(make_key_text(options_.prefix, key.org_id))};
      issued.key.prefix = issued.value.reveal().substr(0, kPrefixLength);
      ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(insertion(issued)));
      if (rows.affected() == 0) continue;  // another key has this prefix
      co_await invalidation_.publish("key", issued.key.prefix);
      co_return issued;
    }
    co_return no_prefix_left();
  }

  Task<std::vector<ApiKey>> list(std::string org_id, std::int64_t limit,
                                 std::int64_t offset) override {
    ASAHI_CO_TRY(
        const sql::Rows rows,
        co_await database_.query({fmt::format("SELECT {} FROM api_keys k WHERE k.org_id = ? "
                                              "ORDER BY k.id DESC LIMIT ? OFFSET ?",
                                              kColumns),
                                  {org_id, limit, offset}}));
    std::vector<ApiKey> keys;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_CO_TRY(ApiKey key, read_key(rows, row));
      keys.push_back(std::move(key));
    }
    co_return keys;
  }

  Task<ApiKey> get(std::string org_id, std::string prefix) override {
    ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(selection(org_id, prefix)));
    if (rows.empty()) co_return not_found(prefix);
    co_return read_key(rows, 0);
  }

  Task<void> revoke(std::string org_id, std::string prefix) override {
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await database_.query(
                     {"UPDATE api_keys SET revoked = TRUE WHERE org_id = ? AND key_prefix = ?",
                      {org_id, prefix}}));
    if (rows.affected() == 0) co_return not_found(prefix);
    co_await invalidation_.publish("key", prefix);
    co_return Result<void>{};
  }

  Task<std::int64_t> revoke_all(std::string org_id, std::string user_id) override {
    sql::Statement statement{
        "UPDATE api_keys SET revoked = TRUE WHERE org_id = ? AND revoked = FALSE", {org_id}};
    if (!user_id.empty()) {
      statement.sql += " AND user_id = ?";
      statement.params.emplace_back(user_id);
    }
    ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
    if (rows.affected() > 0) co_await invalidation_.publish("org", org_id);
    co_return rows.affected();
  }

  Task<IssuedApiKey> rotate(std::string org_id, std::string prefix) override {
    const auto issued = std::make_shared<IssuedApiKey>();
    const Clock::Time now = clock_.now();
    auto done =
        co_await database_.transaction([this, issued, org_id, prefix, now](sql::Session& session) {
          return rotate_within(session, org_id, prefix, now, *issued);
        });
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_await invalidation_.publish("key", prefix);
    co_await invalidation_.publish("key", issued->key.prefix);
    co_return std::move(*issued);
  }

  bool is_ours(std::string_view text) const override {
    return text.size() > options_.prefix.size() && text.starts_with(options_.prefix) &&
           text[options_.prefix.size()] == '_';
  }

  std::optional<Verified> try_verify(std::string_view text) override {
    if (!is_key_text(options_.prefix, text)) return Verified(refused());
    const Clock::Steady now = clock_.steady_now();
    const auto found = remembered_.find(text.substr(0, kPrefixLength), now);
    if (!found) return std::nullopt;
    const Entry& entry = *found;
    if (entry->opens && now > entry->fresh_until && !entry->refreshing) return std::nullopt;
    return compare(entry, text, now);
  }

  Task<std::shared_ptr<const Principal>> verify(std::string text) override {
    if (!is_key_text(options_.prefix, text)) co_return refused();
    const std::string prefix = text.substr(0, kPrefixLength);
    if (const auto known = remembered_.find(prefix, clock_.steady_now())) {
      // One of the key's requests reads it anew, the others go on with what is known.
      const Clock::Steady now = clock_.steady_now();
      const bool refresh =
          (*known)->opens && now > (*known)->fresh_until && !(*known)->refreshing.exchange(true);
      if (!refresh) co_return compare(*known, text, now);
    }
    if (lookups_.fetch_add(1) >= options_.max_lookups) {
      --lookups_;
      if (const auto old = remembered_.find(prefix, clock_.steady_now())) {
        (*old)->refreshing = false;
        co_return compare(*old, text, clock_.steady_now());
      }
      auto busy = fail(Errc::kUnavailable,
                       "too many API keys are being looked up at this moment; try again");
      busy.error().retry_after = seconds(1);
      co_return busy;
    }
    const std::uint64_t generation = remembered_.generation(prefix);
    auto rows =
        co_await database_.query({fmt::format("SELECT {}, t.org_id AS tenant, t.plan, t.active "
                                              "FROM api_keys k LEFT JOIN tenants t ON "
                                              "t.org_id = k.org_id WHERE k.key_prefix = ?",
                                              kColumns),
                                  {prefix}});
    --lookups_;
    const Clock::Steady now = clock_.steady_now();
    if (!rows) {
      // The database is away. What is still remembered holds to its end.
      if (const auto old = remembered_.find(prefix, now)) {
        (*old)->refreshing = false;
        co_return compare(*old, text, now);
      }
      co_return std::unexpected(std::move(rows.error()));
    }
    ASAHI_CO_TRY(const Entry entry, remember(*rows, now));
    note_use(remembered_.find(prefix, now));
    remembered_.put(prefix, entry, entry->expires, generation);
    co_return compare(entry, text, now);
  }

  Task<void> write_last_used() override {
    const Clock::Steady steady = clock_.steady_now();
    const Clock::Time now = clock_.now();
    std::map<std::string, Clock::Time, std::less<>> used;
    {
      const std::lock_guard lock(used_mutex_);
      used.swap(used_);
    }
    remembered_.each([&](const std::string& prefix, const Entry& entry) {
      if (const std::int64_t at = entry->used_at.exchange(0); at != 0) {
        used[prefix] = now - (steady - Clock::Steady(std::chrono::nanoseconds(at)));
      }
    });
    // One statement per second of use and not per key: what is written is a hint to people.
    std::map<std::int64_t, std::vector<std::string>> by_second;
    for (auto& [prefix, at] : used) {
      by_second[std::chrono::floor<seconds>(at).time_since_epoch().count()].push_back(prefix);
    }
    constexpr std::size_t kMost = 200;
    for (const auto& [second, prefixes] : by_second) {
      for (std::size_t at = 0; at < prefixes.size(); at += kMost) {
        sql::Statement statement{"UPDATE api_keys SET last_used_at = ? WHERE key_prefix IN (",
                                 {format_rfc3339(Clock::Time(seconds(second)))}};
        for (std::size_t i = at; i < std::min(prefixes.size(), at + kMost); ++i) {
          statement.sql += i == at ? "?" : ", ?";
          statement.params.emplace_back(prefixes[i]);
        }
        statement.sql += ')';
        ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
      }
    }
    co_return Result<void>{};
  }

 private:
  static Result<void> check(const ApiKey& key, int days) {
    if (key.org_id.empty() || key.org_id.size() > 255)
      return fail_field("org_id", "org_id must have 1 to 255 characters");
    if (key.user_id.empty() || key.user_id.size() > 255) {
      return fail_field("user_id", "user_id must have 1 to 255 characters");
    }
    if (key.name.size() > 255) return fail_field("name", "name must have at most 255 characters");
    if (key.scopes.size() > 32 || !scopes_to_permissions(key.scopes)) {
      return fail_field(
          "scopes", "scopes may be infer, analytics, admin, all, * and the names of permissions");
    }
    if (key.allowed_models.size() > 200)
      return fail_field("allowed_models", "allowed_models may name at most 200 models");
    if (days < 1 || days > kMostDays) {
      return fail_field("expires_in_days",
                        fmt::format("expires_in_days is {}; it must be 1 to {}", days, kMostDays));
    }
    const auto limited = [](const std::optional<std::int64_t>& limit) {
      return limit && (*limit < 1 || *limit > 1'000'000'000);
    };
    if (limited(key.requests_per_minute)) {
      return fail_field("rate_limit_per_minute", "rate_limit_per_minute must be 1 to 1000000000");
    }
    if (limited(key.tokens_per_minute))
      return fail_field("tokens_per_minute", "tokens_per_minute must be 1 to 1000000000");
    return {};
  }

  static std::unexpected<Error> no_prefix_left() {
    return fail(
        Errc::kInternal,
        "no free key prefix was found; the organisation's first four letters have too many keys");
  }

  std::string hash(std::string_view text) const {
    return to_hex(hmac_sha256(options_.pepper.reveal(), text));
  }

  sql::Statement insertion(const IssuedApiKey& issued) const {
    const ApiKey& key = issued.key;
    return {
        "INSERT INTO api_keys (key_prefix, key_hash, user_id, org_id, scopes, expires_at, "
        "created_at, name, "
        "rotated_from, rate_limit_per_minute, allowed_models, tokens_per_minute, semantic_cache, "
        "systems) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key_prefix) DO "
        "NOTHING",
        {key.prefix, hash(issued.value.reveal()), key.user_id, key.org_id, list_json(key.scopes),
         format_rfc3339(key.expires_at), format_rfc3339(key.created_at), text_or_null(key.name),
         text_or_null(key.rotated_from), value_or_null(key.requests_per_minute),
         list_json(key.allowed_models), value_or_null(key.tokens_per_minute),
         std::int64_t{key.semantic_cache ? 1 : 0},
         key.systems ? sql::Value(list_json(*key.systems)) : sql::Value()}};
  }

  static sql::Statement selection(const std::string& org_id, const std::string& prefix) {
    return {
        fmt::format("SELECT {} FROM api_keys k WHERE k.org_id = ? AND k.key_prefix = ?", kColumns),
        {org_id, prefix}};
  }

  Result<void> rotate_within(sql::Session& session, const std::string& org_id,
                             const std::string& prefix, Clock::Time now,
                             IssuedApiKey& issued) const {
    ASAHI_TRY(const sql::Rows rows, session.query(selection(org_id, prefix)));
    if (rows.empty()) return not_found(prefix);
    ASAHI_TRY(const ApiKey old, read_key(rows, 0));
    if (old.status(now) != "active") {
      return fail(Errc::kConflict, fmt::format("the key {} is {}; only active keys are rotated",
                                               prefix, old.status(now)));
    }
    const Clock::Time until =
        std::min(now + hours(options_.rotation_overlap_hours), old.expires_at);
    // Of two rotations at once the second finds nothing left to change.
    ASAHI_TRY(
        const sql::Rows changed,
        session.query(
            {"UPDATE api_keys SET valid_until = ? WHERE key_prefix = ? AND valid_until IS NULL AND "
             "revoked = FALSE",
             {format_rfc3339(until), prefix}}));
    if (changed.affected() == 0)
      return fail(Errc::kConflict, fmt::format("the key {} was just rotated or revoked", prefix));
    issued.key = old;
    issued.key.rotated_from = prefix;
    issued.key.last_used_at.reset();
    issued.key.created_at = now;
    issued.key.expires_at = now + (old.expires_at - old.created_at);
    for (int i = 0; i < kTries; ++i) {
      issued.value = Secret(make_key_text(options_.prefix, org_id));
      issued.key.prefix = issued.value.reveal().substr(0, kPrefixLength);
      ASAHI_TRY(const sql::Rows inserted, session.query(insertion(issued)));
      if (inserted.affected() > 0) return {};
    }
    return no_prefix_left();
  }

  Result<Entry> remember(const sql::Rows& rows, Clock::Steady now) const {
    auto entry = std::make_shared<Remembered>();
    if (rows.empty()) {
      entry->fresh_until = entry->expires = now + kAbsent;
      return entry;
    }
    ASAHI_TRY(ApiKey key, read_key(rows, 0));
    entry->hash = rows.text(0, "key_hash");
    const auto left = end_of(key) - clock_.now();
    entry->opens = !key.revoked && left > left.zero();
    entry->expires = now + (entry->opens ? std::min<std::chrono::nanoseconds>(kRemembered, left)
                                         : seconds(kRemembered));
    entry->fresh_until = now + kFresh;
    Principal& principal = entry->principal;
    principal.kind = Principal::Kind::kApiKey;
    principal.org_id = std::move(key.org_id);
    principal.user_id = std::move(key.user_id);
    principal.key_prefix = std::move(key.prefix);
    const auto permissions = scopes_to_permissions(key.scopes);
    if (!permissions)
      return fail(Errc::kCorrupt,
                  fmt::format("the key {} has unknown scopes", principal.key_prefix));
    principal.permissions = *permissions;
    principal.allowed_models = std::move(key.allowed_models);
    principal.requests_per_minute = key.requests_per_minute;
    principal.tokens_per_minute = key.tokens_per_minute;
    principal.semantic_cache = key.semantic_cache;
    principal.systems = std::move(key.systems);
    const bool registered = !rows.is_null(0, "tenant");
    principal.org_active = !registered || rows.boolean(0, "active");
    principal.plan =
        registered ? find_plan(rows.text(0, "plan")).value_or(Plan{}) : options_.default_plan;
    return entry;
  }

  Verified compare(const Entry& entry, std::string_view text, Clock::Steady now) {
    const Digest128 fingerprint = keyed_digest(fingerprint_key_, {text});
    if (!entry->fingerprint || *entry->fingerprint != fingerprint) {
      // As long for a prefix that nobody has as for a wrong key.
      const bool equal = equal_constant_time(hash(text), entry->hash);
      if (!equal || !entry->opens) return refused();
      return verified(entry, fingerprint, now);
    }
    entry->used_at.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    return std::shared_ptr<const Principal>(entry, &entry->principal);
  }

  /// The key was shown to be right: from now on its fingerprint is enough.
  std::shared_ptr<const Principal> verified(const Entry& entry, const Digest128& fingerprint,
                                            Clock::Steady now) {
    auto known = std::make_shared<Remembered>();
    known->opens = true;
    known->hash = entry->hash;
    known->fingerprint = fingerprint;
    known->principal = entry->principal;
    known->fresh_until = entry->fresh_until;
    known->expires = entry->expires;
    known->used_at = now.time_since_epoch().count();
    const std::string& prefix = known->principal.key_prefix;
    const std::uint64_t generation = remembered_.generation(prefix);
    // Only in the place of what it was made from: an invalidation in between has removed that.
    if (const auto current = remembered_.find(prefix, now); current && *current == entry) {
      remembered_.put(prefix, known, known->expires, generation);
    }
    return {known, &known->principal};
  }

  /// Keeps when a key was used whose entry goes.
  void note_use(const std::optional<Entry>& entry) {
    if (!entry) return;
    const std::int64_t at = (*entry)->used_at.exchange(0);
    if (at == 0) return;
    const std::lock_guard lock(used_mutex_);
    if (used_.size() >= options_.max_remembered) return;
    used_[(*entry)->principal.key_prefix] =
        clock_.now() - (clock_.steady_now() - Clock::Steady(std::chrono::nanoseconds(at)));
  }

  const ApiKeysOptions options_;
  sql::Database& database_;
  Invalidation& invalidation_;
  const Clock& clock_;
  Digest128 fingerprint_key_{};
  Memo<Entry> remembered_;
  std::atomic<std::size_t> lookups_{0};
  std::mutex used_mutex_;
  std::map<std::string, Clock::Time, std::less<>> used_;
};

}  // namespace

std::string_view ApiKey::status(Clock::Time now) const {
  if (revoked) return "revoked";
  if (end_of(*this) <= now) return "expired";
  return valid_until ? "rotated" : "active";
}

Result<std::unique_ptr<ApiKeys>> make_api_keys(ApiKeysOptions options, sql::Database& database,
                                               Invalidation& invalidation, const Clock& clock) {
  const auto small_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  if (options.prefix.size() != 3 || !std::ranges::all_of(options.prefix, small_letter)) {
    return fail_field("governance.auth_key_prefix",
                      "the prefix of keys must be three small letters, such as ask");
  }
  if (options.pepper.reveal().size() < 32)
    return fail(Errc::kInvalidArgument, "the key pepper is too short");
  return std::make_unique<SqlApiKeys>(std::move(options), database, invalidation, clock);
}

}  // namespace asahi::identity
