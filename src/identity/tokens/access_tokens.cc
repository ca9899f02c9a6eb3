#include "identity/tokens/access_tokens.h"

#include "base/ids.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxText = 255;

std::int64_t seconds(Clock::Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

json::array list_of(const std::vector<std::string>& items) {
  json::array out;
  for (const std::string& item : items) out.emplace_back(item);
  return out;
}

/// Reads typed members; `good` tells whether all that were there had the right type.
class Reader {
 public:
  explicit Reader(const json::object& claims) : claims_(claims) {}
  bool good() const { return good_; }

  std::string text(std::string_view name) {
    const auto* value = claims_.if_contains(name);
    if (value == nullptr) return {};
    const auto* string = value->if_string();
    good_ = good_ && string != nullptr && string->size() <= kMaxText;
    return good_ ? std::string(*string) : std::string();
  }
  std::vector<std::string> texts(std::string_view name) {
    std::vector<std::string> out;
    const auto* value = claims_.if_contains(name);
    if (value == nullptr) return out;
    const auto* list = value->if_array();
    if (list == nullptr) {
      good_ = false;
      return out;
    }
    for (const json::value& item : *list) {
      good_ = good_ && item.is_string();
      if (good_) out.emplace_back(item.get_string());
    }
    return out;
  }
  std::optional<std::int64_t> number(std::string_view name) {
    const auto* value = claims_.if_contains(name);
    if (value == nullptr) return std::nullopt;
    const auto* whole = value->if_int64();
    good_ = good_ && whole != nullptr && *whole >= 0;
    return good_ ? std::optional(*whole) : std::nullopt;
  }

 private:
  const json::object& claims_;
  bool good_ = true;
};

}  // namespace

Result<Secret> AccessTokens::issue(AccessClaims claims,
                                   std::optional<std::chrono::seconds> life) const {
  const Clock::Time now = clock_.now();
  json::object body{{"iss", options_.issuer},
                    {"aud", options_.audience},
                    {"sub", claims.subject},
                    {"org_id", claims.org_id},
                    {"role", claims.role},
                    {"scopes", list_of(claims.scopes)},
                    {"plan", claims.plan},
                    {"iat", seconds(now)},
                    {"exp", seconds(now + life.value_or(options_.life))},
                    {"jti", entity_id("tok_", now)}};
  if (!claims.key_prefix.empty()) {
    body["key_prefix"] = claims.key_prefix;
    body["key_user"] = claims.key_user;
    if (!claims.allowed_models.empty()) body["allowed_models"] = list_of(claims.allowed_models);
    if (claims.requests_per_minute) body["rpm"] = *claims.requests_per_minute;
    if (claims.tokens_per_minute) body["tpm"] = *claims.tokens_per_minute;
    if (!claims.semantic_cache) body["semantic_cache"] = 0;
  }
  if (claims.systems) body["systems"] = list_of(*claims.systems);
  if (!claims.made_by.empty()) body["made_by"] = claims.made_by;
  if (claims.machine) body["machine"] = 1;
  std::string token = sign_jwt(keys_.signer(), body);
  if (token.size() > kMaxJwtBytes) {
    return fail(Errc::kTooLarge,
                "too many allowed models or systems for a token; use an API key, or allow fewer");
  }
  return Secret(std::move(token));
}

JwtResult<AccessClaims> AccessTokens::verify(std::string_view token) const {
  const auto keys = keys_.verifiers();
  const JwtRules rules{.issuer = options_.issuer, .audience = options_.audience};
  const auto verified = verify_jwt(token, *keys, rules, clock_.now());
  if (!verified) return std::unexpected(verified.error());
  Reader reader(verified->all);
  AccessClaims claims;
  claims.subject = verified->subject;
  claims.id = verified->id;
  claims.expires_at = verified->expires_at;
  claims.org_id = reader.text("org_id");
  claims.role = reader.text("role");
  claims.plan = reader.text("plan");
  claims.scopes = reader.texts("scopes");
  claims.key_prefix = reader.text("key_prefix");
  claims.key_user = reader.text("key_user");
  claims.allowed_models = reader.texts("allowed_models");
  claims.requests_per_minute = reader.number("rpm");
  claims.tokens_per_minute = reader.number("tpm");
  claims.semantic_cache = reader.number("semantic_cache").value_or(1) != 0;
  claims.made_by = reader.text("made_by");
  claims.machine = reader.number("machine").value_or(0) != 0;
  auto systems = read_systems(verified->all.if_contains("systems"));
  if (!systems) return std::unexpected(JwtFault::kClaims);
  claims.systems = std::move(*systems);
  // No scopes would mean "everything" for keys of old (see scopes_to_permissions): a token always
  // names them.
  if (!reader.good() || claims.org_id.empty() || claims.scopes.empty() ||
      claims.role.empty() == claims.key_prefix.empty() ||
      (claims.machine && claims.made_by.empty())) {
    return std::unexpected(JwtFault::kClaims);
  }
  return claims;
}

}  // namespace asahi::identity
