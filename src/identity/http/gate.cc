#include "identity/http/gate.h"

#include <fmt/format.h>

#include <utility>

#include "base/utf8.h"
#include "identity/http/authenticators.h"
#include "net/http/ascii.h"

namespace asahi::identity {
namespace {

using std::chrono::seconds;

constexpr std::string_view kPublic = "public";
constexpr std::string_view kAuthenticated = "authenticated";
constexpr std::size_t kShownAgent = 256;

std::string_view subject_of(LimitScope scope) {
  switch (scope) {
    case LimitScope::kIp:
      return "address";
    case LimitScope::kKey:
      return "key";
    case LimitScope::kUser:
      return "user";
    case LimitScope::kOrg:
      return "organisation";
    case LimitScope::kModel:
      break;
  }
  return "model";
}

std::string user_of(const Principal* caller) {
  return caller == nullptr ? "anonymous" : actor_of(*caller);
}

}  // namespace

IdentityGate::IdentityGate(Parts parts)
    : parts_(std::move(parts)), nobody_(std::make_shared<const Principal>()) {
  auto everybody = std::make_shared<Principal>();
  everybody->permissions = *builtin_role("operator");
  anonymous_ = std::move(everybody);
}

std::string IdentityGate::client_ip(const http::Request& request) const {
  if (parts_.options.trusted_proxies.empty()) return request.remote_address;
  std::string forwarded;  // of all fields, as if they were one
  for (const auto& [name, value] : request.headers) {
    if (!http::iequals(name, "X-Forwarded-For")) continue;
    if (!forwarded.empty()) forwarded += ',';
    forwarded += value;
  }
  return identity::client_ip(request.remote_address, forwarded, parts_.options.trusted_proxies);
}

Authenticator* IdentityGate::authenticator_for(const http::Context& context) const {
  for (const auto& authenticator : parts_.authenticators) {
    if (authenticator->applies(context)) return authenticator.get();
  }
  return nullptr;
}

IdentityGate::Caller IdentityGate::without_credential(const http::Route& route) const {
  if (route.access == kPublic) return nobody_;
  return parts_.options.auth_required ? nullptr : anonymous_;
}

Result<void> IdentityGate::check_access(const Principal& caller, const http::Route& route) const {
  if (route.access == kPublic) return {};
  if (!caller.org_active) {
    return fail(Errc::kForbidden,
                "this organisation is not active; ask the operator of the installation");
  }
  if (route.access == kAuthenticated) return {};
  const auto permission = parse_permission(route.access);
  if (!permission) {
    return fail(Errc::kInternal, fmt::format("the route {} asks for the unknown permission '{}'",
                                             route.pattern, route.access));
  }
  if (caller.may(*permission)) return {};
  auto lacking = fail(Errc::kForbidden, fmt::format("this needs the permission {}", route.access));
  // Users have a role, keys and machine clients have scopes.
  lacking.error().reason = caller.role.empty() ? "insufficient_scope" : "forbidden";
  lacking.error().details = fmt::format("\"required_permission\":\"{}\"", route.access);
  return lacking;
}

std::optional<CallerLimits> IdentityGate::known_limits(const Principal& caller) const {
  if (caller.kind == Principal::Kind::kAnonymous)
    return CallerLimits{};  // an address has no others
  if (parts_.limits_of.known) return parts_.limits_of.known(caller);
  const std::int64_t usual = parts_.options.requests_per_minute;
  return CallerLimits{caller.requests_per_minute.value_or(usual), usual};
}

void IdentityGate::collect_asks(const http::Context& context, const Principal& caller,
                                const CallerLimits& limits,
                                std::vector<RateLimiter::Ask>& asks) const {
  const GateOptions& options = parts_.options;
  std::size_t count = 0;
  // The elements stay from call to call, so that their texts need no memory of their own.
  const auto ask = [&](LimitScope scope, std::string_view id, std::int64_t most) {
    if (most <= 0) return;
    if (asks.size() <= count) asks.emplace_back();
    Limit& limit = asks[count++].limit;
    limit.scope = scope;
    limit.id.assign(id);
    limit.org.assign(scope == LimitScope::kIp ? std::string_view()
                                              : std::string_view(caller.org_id));
    limit.max = most;
  };
  if (caller.kind == Principal::Kind::kAnonymous) {
    ask(LimitScope::kIp, counted_address(client_ip(context.request)), options.anonymous_per_minute);
  } else {
    if (caller.key_prefix.empty()) {
      ask(LimitScope::kUser, caller.user_id, limits.key_per_minute);
    } else {
      ask(LimitScope::kKey, caller.key_prefix, limits.key_per_minute);
    }
    if (caller.kind != Principal::Kind::kOperator)
      ask(LimitScope::kOrg, caller.org_id, limits.tenant_per_minute);
  }
  asks.resize(count);
}

Result<void> IdentityGate::apply(http::Context& context, const Principal& caller,
                                 const LimitVerdict& verdict) const {
  const auto reset =
      std::chrono::ceil<seconds>(parts_.clock.now().time_since_epoch() + verdict.reset);
  context.limits = {verdict.max, verdict.remaining, reset.count()};
  if (verdict.allowed) return {};
  auto refused = fail(Errc::kRateLimited,
                      fmt::format("more than {} requests per minute of this {}; wait and try again",
                                  verdict.max, subject_of(verdict.scope)));
  refused.error().retry_after = verdict.retry_after;
  if (SecurityLog* const security = parts_.denials.security()) {
    security->note(
        {.event = SecurityEvent::kRateLimitExceeded,
         .severity = SecuritySeverity::kMedium,
         .org_id = caller.org_id,
         .user_id = actor_of(caller),
         .address = client_ip(context.request),
         .request_id = context.request_id,
         .resource = fmt::format("{} {}", http::to_string(context.request.method), context.route),
         .result = "denied",
         .details = {{"limit", fmt::format("{} per minute of this {}", verdict.max,
                                           subject_of(verdict.scope))}}});
  }
  return refused;
}

void IdentityGate::note_success(const http::Context& context, const http::Route& route,
                                const Principal& caller) const {
  SecurityLog* const security = parts_.denials.security();
  // A cookie is looked up with every request: its login was noted.
  if (security == nullptr || caller.kind == Principal::Kind::kSession) return;
  security->note(
      {.event = SecurityEvent::kAuthSuccess,
       .org_id = caller.org_id,
       .user_id = actor_of(caller),
       .address = client_ip(context.request),
       .request_id = context.request_id,
       .resource = fmt::format("{} {}", http::to_string(context.request.method), route.pattern),
       .result = "allowed"});
}

std::unexpected<Error> IdentityGate::refuse(http::Context& context, const http::Route& route,
                                            const Principal* caller, Error error) const {
  const bool unknown = error.code == Errc::kUnauthenticated || error.reason == "auth_locked_out";
  if (!unknown && error.code != Errc::kForbidden) return std::unexpected(std::move(error));
  AuditEntry entry;
  entry.org_id = caller == nullptr ? Principal::kDefaultOrg : caller->org_id;
  entry.user_id = user_of(caller);
  entry.action = unknown ? "auth_failure" : "access_denied";
  entry.resource = fmt::format("{} {}", http::to_string(context.request.method), route.pattern);
  entry.details["reason"] = error.message;
  entry.details["request_id"] = context.request_id;
  entry.ip_address = client_ip(context.request);
  entry.user_agent = mended_utf8(context.request.headers.get("User-Agent"), kShownAgent);
  entry.result = "denied";
  if (unknown) parts_.denials.add_failure(entry.ip_address);
  parts_.denials.add(std::move(entry));
  if (error.code == Errc::kUnauthenticated)
    context.reply_headers.add("WWW-Authenticate", "Bearer realm=\"asahi\"");
  return std::unexpected(std::move(error));
}

std::optional<Result<void>> IdentityGate::try_enter(http::Context& context,
                                                    const http::Route& route) {
  Caller caller;
  if (Authenticator* const how = route.access == kPublic ? nullptr : authenticator_for(context)) {
    auto verified = how->try_authenticate(context);
    if (!verified) return std::nullopt;
    if (!*verified)
      return Result<void>(refuse(context, route, nullptr, std::move(verified->error())));
    caller = **std::move(verified);
  } else {
    caller = without_credential(route);
    if (caller == nullptr) {
      return Result<void>(
          refuse(context, route, nullptr,
                 fail(Errc::kUnauthenticated, std::string(ApiKeys::kRefused)).error()));
    }
  }
  if (auto allowed = check_access(*caller, route); !allowed) {
    return Result<void>(refuse(context, route, caller.get(), std::move(allowed.error())));
  }
  const bool free = route.access == kPublic && is_read(context.request.method);
  if (!free) {
    thread_local std::vector<RateLimiter::Ask> asks;
    const auto limits = known_limits(*caller);
    if (!limits) return std::nullopt;
    collect_asks(context, *caller, *limits, asks);
    if (!asks.empty()) {
      const auto verdict = parts_.limiter.try_take(asks);
      if (!verdict) return std::nullopt;
      if (auto ok = apply(context, *caller, *verdict); !ok) return ok;
    }
  }
  context.caller = std::move(caller);
  return Result<void>{};
}

Task<void> IdentityGate::enter(http::Context& context, const http::Route& route) {
  Caller caller;
  if (Authenticator* const how = route.access == kPublic ? nullptr : authenticator_for(context)) {
    auto quick = how->try_authenticate(context);
    if (!quick) {
      if (parts_.denials.failures(client_ip(context.request)) >=
          parts_.options.failures_per_minute) {
        auto refused = fail(Errc::kRateLimited,
                            "too many refused credentials from this address; wait a minute");
        refused.error().retry_after = seconds(60);
        co_return refused;
      }
      quick = co_await how->authenticate(context);
      // What is remembered of it was noted when it was verified.
      if (*quick) note_success(context, route, ***quick);
    }
    if (!*quick) co_return refuse(context, route, nullptr, std::move(quick->error()));
    caller = **std::move(quick);
  } else {
    caller = without_credential(route);
    if (caller == nullptr) {
      co_return refuse(context, route, nullptr,
                       fail(Errc::kUnauthenticated, std::string(ApiKeys::kRefused)).error());
    }
  }
  if (auto allowed = check_access(*caller, route); !allowed) {
    co_return refuse(context, route, caller.get(), std::move(allowed.error()));
  }
  const bool free = route.access == kPublic && is_read(context.request.method);
  if (!free) {
    std::vector<RateLimiter::Ask> asks;
    std::optional<CallerLimits> limits = known_limits(*caller);
    if (!limits) limits = co_await parts_.limits_of.found(caller);
    collect_asks(context, *caller, *limits, asks);
    if (!asks.empty()) {
      const LimitVerdict verdict = co_await parts_.limiter.take(std::move(asks));
      if (auto ok = apply(context, *caller, verdict); !ok) co_return ok;
    }
  }
  context.caller = std::move(caller);
  co_return Result<void>{};
}

}  // namespace asahi::identity
