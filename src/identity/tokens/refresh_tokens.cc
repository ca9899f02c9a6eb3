#include "identity/tokens/refresh_tokens.h"

#include <algorithm>

#include "base/hash.h"
#include "base/ids.h"
#include "base/log.h"
#include "identity/tokens/jwt.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kPrefix = "rt_";
constexpr std::size_t kLength = 3 + 43;  // 32 bytes in base64url

std::string make_token() {
  std::string bytes(32, '\0');
  random_bytes(bytes.data(), bytes.size());
  return std::string(kPrefix) + base64url_encode(bytes);
}

/// Plain SHA-256: what is hashed has 256 random bits and cannot be guessed.
std::string hash_of(std::string_view token) { return to_hex(sha256(token)); }

bool is_shaped(std::string_view token) {
  return token.size() == kLength && token.starts_with(kPrefix);
}

std::int64_t ms(std::chrono::seconds time) { return std::chrono::milliseconds(time).count(); }

sql::Statement insert(const std::string& token, const std::string& family,
                      const RefreshOwner& owner, std::int64_t now, std::int64_t expires,
                      std::int64_t family_ends) {
  return {
      "INSERT INTO refresh_tokens (token_hash, family, org_id, user_id, issued_at_ms, "
      "expires_at_ms, family_ends_at_ms) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)",
      {hash_of(token), family, owner.org_id, owner.user_id, now, std::min(expires, family_ends),
       family_ends}};
}

}  // namespace

std::int64_t RefreshTokens::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now().time_since_epoch())
      .count();
}

Task<Secret> RefreshTokens::issue(RefreshOwner owner) {
  const std::int64_t now = now_ms();
  std::string token = make_token();
  std::vector<sql::Statement> statements;
  statements.push_back({"DELETE FROM refresh_tokens WHERE user_id = ? AND family_ends_at_ms <= ?",
                        {owner.user_id, now}});
  statements.push_back(insert(token, entity_id("fam_", clock_.now()), owner, now,
                              now + ms(options_.life), now + ms(options_.family_life)));
  ASAHI_CO_TRY(std::ignore, co_await database_.batch(std::move(statements)));
  co_return Secret(std::move(token));
}

Task<RefreshTokens::Renewed> RefreshTokens::renew(std::string token) {
  if (!is_shaped(token)) co_return std::unexpected(bad_token());
  struct Outcome {
    bool found = false, reused = false;
    RefreshOwner owner;
    std::string family;
  };
  // Shared with the database's thread, which may outlive this frame when the request is dropped.
  auto outcome = std::make_shared<Outcome>();
  const std::string next = make_token();
  auto spend = [outcome, token, next, now = now_ms(),
                life = ms(options_.life)](sql::Session& session) -> Result<void> {
    *outcome = {};
    const std::string hash = hash_of(token);
    // The update decides: of two uses at a time one finds the token unspent.
    ASAHI_TRY(const auto spent,
              session.query({"UPDATE refresh_tokens SET spent_at_ms = ? WHERE token_hash = ? AND "
                             "spent_at_ms IS NULL AND "
                             "revoked_at_ms IS NULL AND expires_at_ms > ? RETURNING family, "
                             "org_id, user_id, family_ends_at_ms",
                             {now, hash, now}}));
    if (!spent.empty()) {
      outcome->found = true;
      outcome->owner = {spent.text(0, "org_id"), spent.text(0, "user_id")};
      ASAHI_TRY(std::ignore,
                session.query(insert(next, spent.text(0, "family"), outcome->owner, now, now + life,
                                     spent.integer(0, "family_ends_at_ms"))));
      return {};
    }
    ASAHI_TRY(const auto known,
              session.query(
                  {"SELECT family, org_id, user_id FROM refresh_tokens WHERE token_hash = ? AND "
                   "spent_at_ms IS NOT NULL AND revoked_at_ms IS NULL",
                   {hash}}));
    if (known.empty()) return {};
    outcome->reused = true;
    outcome->owner = {known.text(0, "org_id"), known.text(0, "user_id")};
    outcome->family = known.text(0, "family");
    ASAHI_TRY(std::ignore, session.query({"UPDATE refresh_tokens SET revoked_at_ms = ? WHERE "
                                          "family = ? AND revoked_at_ms IS NULL",
                                          {now, outcome->family}}));
    return {};
  };
  if (auto done = co_await database_.transaction(std::move(spend)); !done)
    co_return std::unexpected(done.error());
  if (outcome->reused) {
    static const Logger log("identity");
    log.warning("a refresh token was used twice; its login is revoked",
                {{"org_id", outcome->owner.org_id},
                 {"user_id", outcome->owner.user_id},
                 {"family", outcome->family}});
  }
  if (!outcome->found) co_return std::unexpected(bad_token());
  co_return Renewed{outcome->owner, Secret(next)};
}

Task<void> RefreshTokens::revoke(std::string token) {
  if (!is_shaped(token)) co_return Result<void>{};
  ASAHI_CO_TRY(
      std::ignore,
      co_await database_.query(
          {"UPDATE refresh_tokens SET revoked_at_ms = ? WHERE revoked_at_ms IS NULL AND family = "
           "(SELECT family FROM refresh_tokens WHERE token_hash = ?)",
           {now_ms(), hash_of(token)}}));
  co_return Result<void>{};
}

Task<std::int64_t> RefreshTokens::revoke_user(std::string user_id) {
  ASAHI_CO_TRY(const auto rows,
               co_await database_.query({"UPDATE refresh_tokens SET revoked_at_ms = ? WHERE "
                                         "user_id = ? AND revoked_at_ms IS NULL",
                                         {now_ms(), user_id}}));
  co_return rows.affected();
}

Task<std::int64_t> RefreshTokens::remove_ended() {
  ASAHI_CO_TRY(const auto rows,
               co_await database_.query(
                   {"DELETE FROM refresh_tokens WHERE family_ends_at_ms <= ?", {now_ms()}}));
  co_return rows.affected();
}

}  // namespace asahi::identity
