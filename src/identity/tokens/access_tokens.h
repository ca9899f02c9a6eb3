#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "identity/permissions.h"
#include "identity/systems.h"
#include "identity/tokens/jwt.h"
#include "identity/tokens/signing_keys.h"

namespace asahi::identity {

/// What our own tokens say (spec §9.2). For a user `role` is set; for a machine client the key's
/// limits are.
struct AccessClaims {
  std::string subject;  ///< user id, or "key:<prefix>"
  std::string org_id;
  std::string role;
  std::string plan;
  std::vector<std::string> scopes;  ///< names of permissions; never empty

  // Machine clients: the API key that stands behind the token, so that its limits hold for the
  // token too.
  std::string key_prefix;
  std::string key_user;  ///< user id of the key
  std::vector<std::string> allowed_models;
  bool semantic_cache = true;
  std::optional<std::int64_t> requests_per_minute, tokens_per_minute;

  Systems systems;  ///< of the memory; nothing: all

  // Tokens that somebody made for somebody else (POST /auth/tokens).
  std::string made_by;   ///< "key:<prefix>", a user's id, "operator"; empty: not made so
  bool machine = false;  ///< `subject` is no user of ours: the scopes alone say what it may

  std::string id;            ///< `jti`; set by `issue`
  Clock::Time expires_at{};  ///< set by `issue`
};

/// Writes and reads our own access tokens. Thread-safe.
class AccessTokens {
 public:
  struct Options {
    std::string issuer = "asahi";
    std::string audience = "asahi-api";
    std::chrono::seconds life{3'600};
  };
  /// Both outlive it.
  AccessTokens(Options options, const SigningKeys& keys, const Clock& clock)
      : options_(std::move(options)), keys_(keys), clock_(clock) {}

  std::chrono::seconds life() const { return options_.life; }
  const std::string& issuer() const { return options_.issuer; }
  /// `life`: nothing is that of the options. Errors: too_large when the claims do not fit into a
  /// token (thousands of allowed models or systems).
  Result<Secret> issue(AccessClaims claims,
                       std::optional<std::chrono::seconds> life = std::nullopt) const;
  JwtResult<AccessClaims> verify(std::string_view token) const;

 private:
  const Options options_;
  const SigningKeys& keys_;
  const Clock& clock_;
};

}  // namespace asahi::identity
