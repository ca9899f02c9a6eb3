#include "identity/oidc/id_token.h"

#include "base/hash.h"

namespace asahi::identity {
namespace {

std::string_view raw(const Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

std::expected<JwtClaims, std::string_view> verify_id_token(std::string_view token,
                                                           const JwtKeySet& keys,
                                                           const IdTokenRules& rules,
                                                           Clock::Time now) {
  const auto parts = split_jwt(token);
  if (!parts) return std::unexpected(to_string(parts.error()));
  if (parts->alg == JwtAlg::kHs256) return std::unexpected(to_string(JwtFault::kAlgorithm));
  auto claims =
      verify_jwt(*parts, keys, {.issuer = rules.issuer, .audience = rules.client_id}, now);
  if (!claims) return std::unexpected(to_string(claims.error()));
  if (!claims->issued_at) return std::unexpected("iat");
  // Of several audiences one asked for the token; it must be us.
  const bool has_party = claims->all.contains("azp");
  if ((claims->audience.size() > 1 && !has_party) ||
      (has_party && claims->text("azp") != rules.client_id)) {
    return std::unexpected("azp");
  }
  if (rules.nonce.empty() || !equal_constant_time(claims->text("nonce"), rules.nonce))
    return std::unexpected("nonce");
  if (claims->all.contains("at_hash")) {
    const std::string half = base64url_encode(raw(sha256(rules.access_token)).substr(0, 16));
    if (claims->text("at_hash") != half) return std::unexpected("at_hash");
  }
  return std::move(*claims);
}

std::string pkce_challenge(std::string_view verifier) {
  return base64url_encode(raw(sha256(verifier)));
}

}  // namespace asahi::identity
