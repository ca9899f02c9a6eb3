#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "identity/tokens/jwt.h"

namespace asahi::identity {

/// What the id token of a login must say.
struct IdTokenRules {
  std::string issuer;
  std::string client_id;
  std::string nonce;
  std::string access_token;  ///< that came with it, for `at_hash`
};

/// The checks of OpenID Connect Core §3.1.3.7 and §3.1.3.8 after the signature's: audience and
/// `azp`, times, nonce, `at_hash` when present. Only RS256 and ES256. On failure a word for the
/// log.
std::expected<JwtClaims, std::string_view> verify_id_token(std::string_view token,
                                                           const JwtKeySet& keys,
                                                           const IdTokenRules& rules,
                                                           Clock::Time now);

/// S256 of RFC 7636 §4.2.
std::string pkce_challenge(std::string_view verifier);

}  // namespace asahi::identity
