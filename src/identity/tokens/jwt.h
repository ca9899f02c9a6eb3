#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "identity/tokens/jwt_key.h"

namespace asahi::identity {

/// Signed tokens: RFC 7515 (compact form only), RFC 7519, with the advice of RFC 8725. Everything
/// here is pure.

/// Why a token was refused. For logs and tests only: clients get `bad_token()` for all of them.
enum class JwtFault {
  kTooLong,
  kMalformed,  ///< not three parts, broken base64url or JSON, a member twice, nested too deep
  kAlgorithm,  ///< none, unknown, or not the key's
  kCritical,   ///< `crit`: an extension that must be understood, and none is
  kType,       ///< `typ` of another kind of token
  kUnknownKey,
  kSignature,
  kExpired,
  kNotYetValid,  ///< nbf or iat in the future
  kIssuer,
  kAudience,
  kClaims,  ///< a claim is missing or of the wrong type
};
std::string_view to_string(JwtFault fault);

/// The one answer to a token that is not accepted, whatever the reason; the words are those for API
/// keys.
Error bad_token();

template <class T>
using JwtResult = std::expected<T, JwtFault>;

constexpr std::size_t kMaxJwtBytes = 8 * 1024;

/// A token taken apart, nothing about it verified. Views into the token.
struct JwtParts {
  JwtAlg alg = JwtAlg::kHs256;
  std::optional<std::string> kid;
  std::string_view signed_text;  ///< header and payload as they stand
  std::string_view payload;      ///< base64url
  std::string signature;
};
JwtResult<JwtParts> split_jwt(std::string_view token);

/// True for text of the shape a.b.c, which no API key has.
bool looks_like_jwt(std::string_view text);
/// What the token says about its issuer, unverified: only good to choose the keys that it is then
/// verified with.
std::optional<std::string> claimed_issuer(std::string_view token);

/// What a token must say besides being signed.
struct JwtRules {
  std::string issuer;               ///< `iss`, exactly
  std::string audience;             ///< one of `aud`
  std::chrono::seconds leeway{60};  ///< clocks may differ by this much
};

struct JwtClaims {
  std::string issuer, subject, id;
  std::vector<std::string> audience;
  Clock::Time expires_at{};
  std::optional<Clock::Time> issued_at, not_before;
  json::object all;

  /// A text claim, empty when absent or not text.
  std::string text(std::string_view name) const;
};

/// Signature, `exp` (required), `nbf`, `iat`, `iss`, `aud` (required), `sub` (required).
JwtResult<JwtClaims> verify_jwt(std::string_view token, const JwtKeySet& keys,
                                const JwtRules& rules, Clock::Time now);
/// The same for a token that was split already.
JwtResult<JwtClaims> verify_jwt(const JwtParts& parts, const JwtKeySet& keys, const JwtRules& rules,
                                Clock::Time now);

/// `claims` as they are, in compact form, signed with a key that can sign.
std::string sign_jwt(const JwtKey& key, const json::object& claims);

}  // namespace asahi::identity
