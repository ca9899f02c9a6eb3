#include "identity/tokens/jwt.h"

#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "identity/tokens/strict_json.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kHeaderDepth = 4;
constexpr std::size_t kPayloadDepth = 8;
constexpr std::size_t kMaxKid = 256;
constexpr std::size_t kMaxIdentifier = 255;  // of sub, iss, jti: what the tables hold
constexpr std::size_t kMaxAudiences = 16;
constexpr double kMaxSeconds = 9e9;  // beyond, nanoseconds of 64 bits run over

std::optional<json::object> decode_object(std::string_view part, std::size_t max_depth) {
  const auto text = base64url_decode(part);
  return text ? parse_strict_object(*text, max_depth) : std::nullopt;
}

/// RFC 7519 NumericDate. False when the claim is there and no such number.
bool read_time(const json::object& claims, std::string_view name, std::optional<Clock::Time>& out) {
  const json::value* value = claims.if_contains(name);
  if (value == nullptr) return true;
  double seconds = -1;
  if (const auto* whole = value->if_int64()) seconds = static_cast<double>(*whole);
  if (const auto* fraction = value->if_double()) seconds = std::floor(*fraction);
  if (!(seconds >= 0 && seconds <= kMaxSeconds)) return false;
  out = Clock::Time(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
  return true;
}

/// False when the claim is there and no text that fits.
bool read_text(const json::object& claims, std::string_view name, std::string& out) {
  const json::value* value = claims.if_contains(name);
  if (value == nullptr) return true;
  const auto* text = value->if_string();
  if (text == nullptr || text->size() > kMaxIdentifier) return false;
  // They end up in tables, logs and headers.
  if (std::ranges::any_of(*text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }))
    return false;
  out.assign(text->data(), text->size());
  return true;
}

bool read_audience(const json::object& claims, std::vector<std::string>& out) {
  const json::value* value = claims.if_contains("aud");
  if (value == nullptr) return true;
  if (const auto* text = value->if_string()) {
    out.emplace_back(*text);
    return true;
  }
  const auto* list = value->if_array();
  if (list == nullptr || list->size() > kMaxAudiences) return false;
  for (const json::value& item : *list) {
    if (!item.is_string()) return false;
    out.emplace_back(item.get_string());
  }
  return true;
}

/// `typ` names what kind of token it is (RFC 8725 §3.11): a logout or event token is no access
/// token.
bool is_accepted_type(const json::value& type) {
  const auto* text = type.if_string();
  if (text == nullptr) return false;
  std::string name(*text);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  if (name.starts_with("application/")) name.erase(0, 12);
  return name == "jwt" || name == "at+jwt";
}

}  // namespace

std::string_view to_string(JwtFault fault) {
  switch (fault) {
    case JwtFault::kTooLong:
      return "too_long";
    case JwtFault::kMalformed:
      return "malformed";
    case JwtFault::kAlgorithm:
      return "algorithm";
    case JwtFault::kCritical:
      return "critical_extension";
    case JwtFault::kType:
      return "type";
    case JwtFault::kUnknownKey:
      return "unknown_key";
    case JwtFault::kSignature:
      return "signature";
    case JwtFault::kExpired:
      return "expired";
    case JwtFault::kNotYetValid:
      return "not_yet_valid";
    case JwtFault::kIssuer:
      return "issuer";
    case JwtFault::kAudience:
      return "audience";
    case JwtFault::kClaims:
      break;
  }
  return "claims";
}

Error bad_token() {
  return fail(Errc::kUnauthenticated, "the credential is missing, wrong, expired or revoked")
      .error();
}

std::string JwtClaims::text(std::string_view name) const {
  const json::value* value = all.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool looks_like_jwt(std::string_view text) { return std::ranges::count(text, '.') == 2; }

JwtResult<JwtParts> split_jwt(std::string_view token) {
  if (token.size() > kMaxJwtBytes) return std::unexpected(JwtFault::kTooLong);
  if (!looks_like_jwt(token)) return std::unexpected(JwtFault::kMalformed);
  const std::size_t first = token.find('.');
  const std::size_t second = token.find('.', first + 1);

  const auto header = decode_object(token.substr(0, first), kHeaderDepth);
  if (!header) return std::unexpected(JwtFault::kMalformed);
  JwtParts parts;
  const json::value* const alg = header->if_contains("alg");
  if (alg == nullptr || !alg->is_string()) return std::unexpected(JwtFault::kAlgorithm);
  const auto known = parse_jwt_alg(alg->get_string());
  if (!known) return std::unexpected(JwtFault::kAlgorithm);
  parts.alg = *known;
  if (header->contains("crit")) return std::unexpected(JwtFault::kCritical);
  if (const auto* type = header->if_contains("typ"); type != nullptr && !is_accepted_type(*type)) {
    return std::unexpected(JwtFault::kType);
  }
  if (const auto* kid = header->if_contains("kid")) {
    if (!kid->is_string() || kid->get_string().size() > kMaxKid)
      return std::unexpected(JwtFault::kMalformed);
    parts.kid.emplace(kid->get_string());
  }
  parts.signed_text = token.substr(0, second);
  parts.payload = token.substr(first + 1, second - first - 1);
  auto signature = base64url_decode(token.substr(second + 1));
  if (!signature || signature->empty()) return std::unexpected(JwtFault::kMalformed);
  parts.signature = std::move(*signature);
  return parts;
}

std::optional<std::string> claimed_issuer(std::string_view token) {
  const auto parts = split_jwt(token);
  if (!parts) return std::nullopt;
  const auto claims = decode_object(parts->payload, kPayloadDepth);
  std::string issuer;
  if (!claims || !read_text(*claims, "iss", issuer) || issuer.empty()) return std::nullopt;
  return issuer;
}

JwtResult<JwtClaims> verify_jwt(std::string_view token, const JwtKeySet& keys,
                                const JwtRules& rules, Clock::Time now) {
  const auto parts = split_jwt(token);
  if (!parts) return std::unexpected(parts.error());
  return verify_jwt(*parts, keys, rules, now);
}

JwtResult<JwtClaims> verify_jwt(const JwtParts& parts, const JwtKeySet& keys, const JwtRules& rules,
                                Clock::Time now) {
  const JwtKey* const key = keys.find(parts.kid, parts.alg);
  if (key == nullptr) {
    return std::unexpected(parts.kid && keys.has_kid(*parts.kid) ? JwtFault::kAlgorithm
                                                                 : JwtFault::kUnknownKey);
  }
  if (!key->verify(parts.signed_text, parts.signature))
    return std::unexpected(JwtFault::kSignature);

  auto object = decode_object(parts.payload, kPayloadDepth);
  if (!object) return std::unexpected(JwtFault::kMalformed);
  JwtClaims claims;
  std::optional<Clock::Time> expires_at;
  if (!read_text(*object, "iss", claims.issuer) || !read_text(*object, "sub", claims.subject) ||
      !read_text(*object, "jti", claims.id) || !read_audience(*object, claims.audience) ||
      !read_time(*object, "exp", expires_at) || !read_time(*object, "nbf", claims.not_before) ||
      !read_time(*object, "iat", claims.issued_at) || !expires_at || claims.subject.empty()) {
    return std::unexpected(JwtFault::kClaims);
  }
  claims.expires_at = *expires_at;
  if (rules.issuer.empty() || claims.issuer != rules.issuer)
    return std::unexpected(JwtFault::kIssuer);
  if (rules.audience.empty() ||
      std::ranges::find(claims.audience, rules.audience) == claims.audience.end()) {
    return std::unexpected(JwtFault::kAudience);
  }
  if (now >= claims.expires_at + rules.leeway) return std::unexpected(JwtFault::kExpired);
  if ((claims.not_before && *claims.not_before > now + rules.leeway) ||
      (claims.issued_at && *claims.issued_at > now + rules.leeway)) {
    return std::unexpected(JwtFault::kNotYetValid);
  }
  claims.all = std::move(*object);
  return claims;
}

std::string sign_jwt(const JwtKey& key, const json::object& claims) {
  std::string header = R"({"alg":")";
  header += to_string(key.alg());
  header += R"(","typ":"JWT","kid":)";
  append_json_string(header, key.kid());
  header += '}';
  std::string token = base64url_encode(header);
  token += '.';
  token += base64url_encode(write_json(claims));
  const std::string signature = base64url_encode(key.sign(token));
  token += '.';
  token += signature;
  return token;
}

}  // namespace asahi::identity
