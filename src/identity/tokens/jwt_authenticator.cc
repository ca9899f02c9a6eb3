#include "identity/tokens/jwt_authenticator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "net/http/ascii.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxUserId = 255;  // what the tables hold

}  // namespace

std::string_view bearer_token(const http::Request& request) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view value = request.headers.get("Authorization");
  if (value.size() <= kScheme.size() || !http::iequals(value.substr(0, kScheme.size()), kScheme))
    return {};
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

std::string_view bearer_jwt(const http::Request& request) {
  const std::string_view value = bearer_token(request);
  return looks_like_jwt(value) ? value : std::string_view();
}

bool issuer_fits(std::string_view issuer, std::string_view jwks_uri) {
  const auto named = http::Origin::parse(issuer);
  const auto keys = http::Origin::parse(jwks_uri.substr(0, jwks_uri.find('?')));
  if (!named || !keys || named->tls != keys->tls || named->host != keys->host ||
      named->port != keys->port)
    return false;
  const std::string& path = named->base_path;
  return keys->base_path == path || keys->base_path.starts_with(path + "/");
}

Result<std::shared_ptr<JwtAuthenticator>> JwtAuthenticator::make(Parts parts) {
  for (const ExternalIssuer& external : parts.issuers) {
    const auto wrong = [&](std::string_view what) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("external issuer '{}': {}", external.name, what));
    };
    if (external.name.empty()) return wrong("needs a name");
    if (external.issuer == parts.own.issuer())
      return wrong("has the issuer name of this gateway's own tokens");
    if (external.audience.empty())
      return wrong("needs an audience: tokens meant for others would be accepted");
    if (external.org_id.empty() && external.org_claim.empty())
      return wrong("needs org_id or org_claim");
    if (auto url = request_to(http::Method::kGet, external.jwks_uri); !url) {
      return wrong("jwks_uri: " + url.error().message);
    }
    const auto same = [&](const ExternalIssuer& other) {
      return &other != &external && ((other.issuer == external.issuer && !other.issuer.empty()) ||
                                     other.name == external.name);
    };
    if (std::ranges::any_of(parts.issuers, same))
      return wrong("shares its name or issuer with another one");
  }
  return std::shared_ptr<JwtAuthenticator>(new JwtAuthenticator(std::move(parts)));
}

JwtAuthenticator::JwtAuthenticator(Parts parts)
    : parts_(std::move(parts)), memo_(parts_.max_remembered, parts_.clock) {
  for (ExternalIssuer& settings : parts_.issuers) {
    auto keys = std::make_unique<RemoteJwks>(settings.jwks_uri, parts_.fetch, parts_.clock,
                                             settings.jwks_life);
    externals_.push_back({std::move(settings), std::move(keys)});
  }
}

std::string_view JwtAuthenticator::token_of(const http::Request& request) const {
  return parts_.elsewhere.service != nullptr ? bearer_token(request) : bearer_jwt(request);
}

bool JwtAuthenticator::applies(const http::Context& context) const {
  return !token_of(context.request).empty();
}

std::optional<Result<std::shared_ptr<const Principal>>> JwtAuthenticator::try_authenticate(
    http::Context& context) {
  const std::string_view token = token_of(context.request);
  if (token.size() > kMaxJwtBytes) return refuse(JwtFault::kTooLong);
  if (auto known = memo_.find(token)) return known;
  return std::nullopt;
}

Task<std::shared_ptr<const Principal>> JwtAuthenticator::authenticate(http::Context& context) {
  const std::string token(token_of(context.request));
  ASAHI_CO_TRY(Verified verified, co_await verify(token));
  const auto left = verified.expires_at - parts_.clock.now();
  memo_.put(token, verified.principal,
            parts_.clock.steady_now() + std::min<std::chrono::nanoseconds>(left, kRemember));
  co_return std::move(verified.principal);
}

Task<JwtAuthenticator::Verified> JwtAuthenticator::verify(std::string token) {
  const auto issuer = claimed_issuer(token);
  if (issuer && *issuer == parts_.own.issuer()) co_return co_await verify_own(std::move(token));
  for (External& external : externals_) {
    if (!issuer) break;
    const ExternalIssuer& settings = external.settings;
    const bool known = settings.issuer.empty() ? issuer_fits(*issuer, settings.jwks_uri)
                                               : settings.issuer == *issuer;
    if (known) co_return co_await verify_external(external, *issuer, std::move(token));
  }
  if (parts_.elsewhere.service != nullptr) co_return co_await verify_elsewhere(std::move(token));
  co_return refuse(issuer ? JwtFault::kIssuer : JwtFault::kMalformed);
}

Task<JwtAuthenticator::Verified> JwtAuthenticator::verify_elsewhere(std::string token) {
  auto claims = co_await parts_.elsewhere.service->claims(std::move(token));
  if (!claims) co_return std::unexpected(claims.error());
  std::string subject;
  for (const char* name : {"sub", "user_id"}) {
    const json::value* told = claims->if_contains(name);
    if (subject.empty() && told != nullptr && told->is_string())
      subject = std::string(told->get_string());
  }
  if (subject.empty()) co_return refuse(JwtFault::kClaims);
  // The service has looked at the time; an earlier end than our memory's counts here, too.
  Clock::Time expires_at = parts_.clock.now() + kRemember;
  if (const json::value* exp = claims->if_contains("exp"); exp != nullptr && exp->is_int64())
    expires_at = std::min(expires_at, Clock::Time(std::chrono::seconds(std::clamp<std::int64_t>(
                                          exp->get_int64(), 0, 9'000'000'000))));
  if (expires_at <= parts_.clock.now()) co_return refuse(JwtFault::kExpired);
  co_return co_await admit(parts_.elsewhere.settings, std::move(subject), std::move(*claims),
                           expires_at);
}

Task<JwtAuthenticator::Verified> JwtAuthenticator::verify_own(std::string token) {
  auto claims = parts_.own.verify(token);
  if (!claims) co_return refuse(claims.error());
  const auto scopes = scopes_to_permissions(claims->scopes);
  if (!scopes) co_return refuse(JwtFault::kClaims);
  auto principal = std::make_shared<Principal>();
  principal->kind = Principal::Kind::kToken;
  principal->org_id = claims->org_id;
  principal->systems = claims->systems;
  principal->made_by = claims->made_by;
  if (!claims->made_by.empty()) {
    ASAHI_CO_TRY(const bool stands, co_await maker_stands(*claims));
    if (!stands) co_return refuse("maker_gone");
  }
  if (claims->machine) {
    principal->user_id = claims->subject;
    principal->role = claims->role;
    principal->permissions = *scopes;
  } else if (!claims->key_prefix.empty()) {
    ASAHI_CO_TRY(const bool opens, co_await parts_.key_opens(claims->org_id, claims->key_prefix));
    if (!opens) co_return refuse("key_revoked");
    principal->user_id = claims->key_user;
    principal->key_prefix = claims->key_prefix;
    principal->permissions = *scopes;
    principal->allowed_models = std::move(claims->allowed_models);
    principal->requests_per_minute = claims->requests_per_minute;
    principal->tokens_per_minute = claims->tokens_per_minute;
    principal->semantic_cache = claims->semantic_cache;
  } else {
    const auto user = co_await parts_.users.get(claims->org_id, claims->subject);
    if (!user && user.error().code != Errc::kNotFound) co_return std::unexpected(user.error());
    if (!user || !user->active) co_return refuse("user_gone");
    // The role of now, not that of then; and never more than the token says.
    ASAHI_CO_TRY(const auto permissions,
                 co_await parts_.users.permissions(user->org_id, user->role));
    principal->user_id = user->id;
    principal->role = user->role;
    principal->permissions = permissions & *scopes;
  }
  if (auto set = co_await set_org(principal); !set) co_return std::unexpected(set.error());
  co_return Verified{std::move(principal), claims->expires_at};
}

Task<bool> JwtAuthenticator::maker_stands(const AccessClaims& claims) {
  constexpr std::string_view kKey = "key:";
  if (claims.made_by.starts_with(kKey)) {
    const auto opens = co_await parts_.key_opens(claims.org_id, claims.made_by.substr(kKey.size()));
    if (!opens && opens.error().code == Errc::kNotFound) co_return false;
    co_return opens;
  }
  const auto user = co_await parts_.users.get(claims.org_id, claims.made_by);
  if (user) co_return user->active;
  if (user.error().code != Errc::kNotFound) co_return std::unexpected(user.error());
  // Users have ids that nobody else has (see Users): what does not look like one was none of ours,
  // and what does is gone.
  co_return !claims.made_by.starts_with("usr_");
}

Task<JwtAuthenticator::Verified> JwtAuthenticator::verify_external(External& issuer,
                                                                   std::string issuer_name,
                                                                   std::string token) {
  const ExternalIssuer& settings = issuer.settings;
  const auto parts = split_jwt(token);
  if (!parts) co_return refuse(parts.error());
  if (parts->alg == JwtAlg::kHs256) co_return refuse(JwtFault::kAlgorithm);
  ASAHI_CO_TRY(const auto keys, co_await issuer.keys->keys(parts->kid, parts->alg));
  auto claims =
      verify_jwt(*parts, *keys, {.issuer = std::move(issuer_name), .audience = settings.audience},
                 parts_.clock.now());
  if (!claims) co_return refuse(claims.error());
  co_return co_await admit(settings, std::move(claims->subject), std::move(claims->all),
                           claims->expires_at);
}

Task<JwtAuthenticator::Verified> JwtAuthenticator::admit(const ExternalIssuer& settings,
                                                         std::string subject, json::object claims,
                                                         Clock::Time expires_at) {
  for (const std::string& name : settings.required) {
    if (find_claim(claims, name) == nullptr) {
      co_return fail(Errc::kForbidden, fmt::format("the token has no claim '{}'; tokens of others "
                                                   "need {}",
                                                   name, fmt::join(settings.required, ", ")));
    }
  }
  auto principal = std::make_shared<Principal>();
  principal->kind = Principal::Kind::kToken;
  principal->user_id = fmt::format("jwt:{}:{}", settings.name, subject);
  if (principal->user_id.size() > kMaxUserId) co_return refuse(JwtFault::kClaims);
  principal->org_id = settings.org_id;
  const auto* org = settings.org_claim.empty() ? nullptr : find_claim(claims, settings.org_claim);
  if (org != nullptr || principal->org_id.empty()) {
    if (org == nullptr || !org->is_string() || !is_org_id(org->get_string()))
      co_return refuse(JwtFault::kClaims);
    principal->org_id = org->get_string();
  }
  principal->role = map_role(claims, settings.roles);
  if (principal->role.empty()) co_return refuse("no_role");
  if (const auto known = builtin_role(principal->role)) {
    principal->permissions = *known;
  } else {
    ASAHI_CO_TRY(principal->permissions,
                 co_await parts_.users.permissions(principal->org_id, principal->role));
  }
  if (const auto scopes = scopes_of(claims))
    principal->permissions = principal->permissions & *scopes;
  auto systems = read_systems(claims.if_contains("systems"));
  if (!systems) co_return refuse(JwtFault::kClaims);
  principal->systems = std::move(*systems);
  if (auto set = co_await set_org(principal); !set) co_return std::unexpected(set.error());
  co_return Verified{std::move(principal), expires_at};
}

Task<void> JwtAuthenticator::set_org(std::shared_ptr<Principal> principal) {
  ASAHI_CO_TRY(const auto org, co_await parts_.find_org(principal->org_id));
  principal->org_active = org.active;
  if (!org.plan.empty()) principal->plan = find_plan(org.plan);
  co_return Result<void>{};
}

std::unexpected<Error> JwtAuthenticator::refuse(JwtFault fault) { return refuse(to_string(fault)); }

std::unexpected<Error> JwtAuthenticator::refuse(std::string_view reason) {
  if (const auto held_back = refusals_.pass(parts_.clock.steady_now())) {
    log_.info("a token was refused", {{"reason", reason}, {"suppressed", *held_back}});
  }
  return std::unexpected(bad_token());
}

}  // namespace asahi::identity
