#include "identity/tokens/jwt_authenticator.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/http/ascii.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxUserId = 255;  // what the tables hold

}  // namespace

std::string_view bearer_jwt(const http::Request& request) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view value = request.headers.get("Authorization");
  if (value.size() <= kScheme.size() || !http::iequals(value.substr(0, kScheme.size()), kScheme))
    return {};
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return looks_like_jwt(value) ? value : std::string_view();
}

Result<std::shared_ptr<JwtAuthenticator>> JwtAuthenticator::make(Parts parts) {
  for (const ExternalIssuer& external : parts.issuers) {
    const auto wrong = [&](std::string_view what) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("external issuer '{}': {}", external.name, what));
    };
    if (external.name.empty() || external.issuer.empty())
      return wrong("needs a name and an issuer");
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
      return &other != &external &&
             (other.issuer == external.issuer || other.name == external.name);
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

bool JwtAuthenticator::applies(const http::Context& context) const {
  return !bearer_jwt(context.request).empty();
}

std::optional<Result<std::shared_ptr<const Principal>>> JwtAuthenticator::try_authenticate(
    http::Context& context) {
  const std::string_view token = bearer_jwt(context.request);
  if (token.size() > kMaxJwtBytes) return refuse(JwtFault::kTooLong);
  if (auto known = memo_.find(token)) return known;
  return std::nullopt;
}

Task<std::shared_ptr<const Principal>> JwtAuthenticator::authenticate(http::Context& context) {
  const std::string token(bearer_jwt(context.request));
  ASAHI_CO_TRY(Verified verified, co_await verify(token));
  const auto left = verified.expires_at - parts_.clock.now();
  memo_.put(token, verified.principal,
            parts_.clock.steady_now() + std::min<std::chrono::nanoseconds>(left, kRemember));
  co_return std::move(verified.principal);
}

Task<JwtAuthenticator::Verified> JwtAuthenticator::verify(std::string token) {
  const auto issuer = claimed_issuer(token);
  if (!issuer) co_return refuse(JwtFault::kMalformed);
  if (*issuer == parts_.own.issuer()) co_return co_await verify_own(std::move(token));
  for (External& external : externals_) {
    if (external.settings.issuer == *issuer)
      co_return co_await verify_external(external, std::move(token));
  }
  co_return refuse(JwtFault::kIssuer);
}

Task<JwtAuthenticator::Verified> JwtAuthenticator::verify_own(std::string token) {
  auto claims = parts_.own.verify(token);
  if (!claims) co_return refuse(claims.error());
  const auto scopes = scopes_to_permissions(claims->scopes);
  if (!scopes) co_return refuse(JwtFault::kClaims);
  auto principal = std::make_shared<Principal>();
  principal->kind = Principal::Kind::kToken;
  principal->org_id = claims->org_id;
  if (!claims->key_prefix.empty()) {
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

Task<JwtAuthenticator::Verified> JwtAuthenticator::verify_external(External& issuer,
                                                                   std::string token) {
  const ExternalIssuer& settings = issuer.settings;
  const auto parts = split_jwt(token);
  if (!parts) co_return refuse(parts.error());
  if (parts->alg == JwtAlg::kHs256) co_return refuse(JwtFault::kAlgorithm);
  ASAHI_CO_TRY(const auto keys, co_await issuer.keys->keys(parts->kid, parts->alg));
  const auto claims =
      verify_jwt(*parts, *keys, {.issuer = settings.issuer, .audience = settings.audience},
                 parts_.clock.now());
  if (!claims) co_return refuse(claims.error());

  auto principal = std::make_shared<Principal>();
  principal->kind = Principal::Kind::kToken;
  principal->user_id = fmt::format("jwt:{}:{}", settings.name, claims->subject);
  if (principal->user_id.size() > kMaxUserId) co_return refuse(JwtFault::kClaims);
  principal->org_id = settings.org_id;
  if (principal->org_id.empty()) {
    const auto* org = find_claim(claims->all, settings.org_claim);
    if (org == nullptr || !org->is_string() || !is_org_id(org->get_string()))
      co_return refuse(JwtFault::kClaims);
    principal->org_id = org->get_string();
  }
  principal->role = map_role(claims->all, settings.roles);
  if (principal->role.empty()) co_return refuse("no_role");
  if (const auto known = builtin_role(principal->role)) {
    principal->permissions = *known;
  } else {
    ASAHI_CO_TRY(principal->permissions,
                 co_await parts_.users.permissions(principal->org_id, principal->role));
  }
  if (const auto scopes = scopes_of(claims->all))
    principal->permissions = principal->permissions & *scopes;
  if (auto set = co_await set_org(principal); !set) co_return std::unexpected(set.error());
  co_return Verified{std::move(principal), claims->expires_at};
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
