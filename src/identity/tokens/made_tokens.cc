#include "identity/tokens/made_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/utf8.h"
#include "identity/http/route_support.h"
#include "net/http/server.h"

namespace asahi::identity {
namespace {

constexpr std::int64_t kLongest = 86'400, kUsual = 3'600;
constexpr std::size_t kMostRoles = 16, kMostId = 255, kShown = 64, kShownAgent = 256;

/// A token as it is asked for.
struct Wanted {
  std::string user_id;
  std::vector<std::string> roles;
  PermissionSet permissions;
  Systems systems;
  std::chrono::seconds life{kUsual};
};

/// What is written into logs as who acted, and is nobody's name.
bool is_reserved(std::string_view id) {
  return id == "operator" || id == "anonymous" || id == "api-token" || id.starts_with("key:") ||
         id.starts_with("jwt:");
}

bool is_user_id(std::string_view id) {
  return !id.empty() && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._:@-").contains(c);
  });
}

Task<PermissionSet> permissions_of(Users& users, std::string org, std::string role) {
  if (role == "operator") co_return *scopes_to_permissions({"write"});
  if (const auto known = builtin_role(role)) co_return *known;
  ASAHI_CO_TRY(const PermissionSet own, co_await users.permissions(std::move(org), role));
  if (own.empty()) {
    co_return fail_field("roles", fmt::format("'{}' is no role of this organisation; there are "
                                              "admin, operator, viewer and those of GET /org/roles",
                                              mended_utf8(role, kShown)));
  }
  co_return own;
}

Task<Wanted> read_wanted(const MadeTokens& parts, const Principal& caller,
                         const http::Request& request) {
  ASAHI_CO_TRY(const Fields fields, Fields::read(request));
  Wanted wanted;
  ASAHI_CO_TRY(wanted.user_id, fields.required_text("user_id", kMostId));
  if (!is_user_id(wanted.user_id) || is_reserved(wanted.user_id)) {
    co_return fail_field("user_id",
                         fmt::format("user_id '{}': expected 1 to {} of A-Z a-z 0-9 . _ "
                                     ": @ -, and not operator, anonymous, api-token, key: or jwt:",
                                     mended_utf8(wanted.user_id, kShown), kMostId));
  }
  ASAHI_CO_TRY(wanted.roles, fields.texts("roles", kMostRoles));
  if (wanted.roles.empty())
    co_return fail_field("roles", "roles is missing: a list of 1 to 16 roles, as in [\"viewer\"]");
  for (const std::string& role : wanted.roles) {
    ASAHI_CO_TRY(const PermissionSet one,
                 co_await permissions_of(parts.users, caller.org_id, role));
    wanted.permissions = wanted.permissions | one;
  }
  ASAHI_CO_TRY(wanted.systems, fields.systems());
  if (!fields.has("systems")) wanted.systems = caller.systems;
  ASAHI_CO_TRY(const auto life, fields.integer("ttl_seconds"));
  if (life && (*life < 1 || *life > kLongest)) {
    co_return fail_field("ttl_seconds",
                         fmt::format("ttl_seconds is {}: expected 1 to {}", *life, kLongest));
  }
  wanted.life = std::chrono::seconds(life.value_or(kUsual));
  co_return wanted;
}

/// Whether the id is no user's. A user gets what the role allows, and nothing more.
Task<bool> is_machine(const MadeTokens& parts, const Principal& caller, const Wanted& wanted) {
  const auto user = co_await parts.users.get(caller.org_id, wanted.user_id);
  if (!user && user.error().code == Errc::kNotFound) {
    // It is one that was, or somebody else's: a token would bring it back.
    if (!wanted.user_id.starts_with("usr_")) co_return true;
    co_return fail_field("user_id", fmt::format("there is no user '{}'", wanted.user_id));
  }
  if (!user) co_return std::unexpected(user.error());
  if (!user->active)
    co_return fail(Errc::kNotFound, fmt::format("the user '{}' is switched off", user->id));
  ASAHI_CO_TRY(const PermissionSet allowed,
               co_await parts.users.permissions(user->org_id, user->role));
  if (!((wanted.permissions & allowed) == wanted.permissions)) {
    co_return fail_field("roles",
                         fmt::format("the user '{}' has the role '{}', which does not allow all "
                                     "that these roles do",
                                     user->id, user->role));
  }
  co_return false;
}

Aw<void> note(const MadeTokens& parts, const http::Context& context, const Wanted& wanted) {
  const Principal& caller = principal_of(context);
  AuditEntry entry;
  entry.org_id = caller.org_id;
  entry.user_id = actor_of(caller);
  entry.action = "token.create";
  entry.resource = "token/" + wanted.user_id;
  entry.details = {{"roles", list_of(wanted.roles)},
                   {"systems", systems_json(wanted.systems)},
                   {"ttl_seconds", wanted.life.count()},
                   {"request_id", context.request_id}};
  entry.ip_address = parts.client_ip(context.request);
  entry.user_agent = mended_utf8(context.request.headers.get("User-Agent"), kShownAgent);
  if (const auto written = co_await parts.audit.append(std::move(entry)); !written) {
    Logger("identity")
        .error("a token is not in the audit log",
               {{"request_id", context.request_id}, {"error", written.error().message}});
  }
}

Task<http::Response> make_token(const MadeTokens& parts, http::Context& context) {
  const Principal& caller = principal_of(context);
  ASAHI_CO_TRY(const Wanted wanted, co_await read_wanted(parts, caller, context.request));
  if (auto ok = check_grant(caller, wanted.permissions, wanted.systems); !ok) {
    if (ok.error().field.empty()) ok.error().field = "roles";
    co_return std::unexpected(std::move(ok.error()));
  }
  ASAHI_CO_TRY(const bool machine, co_await is_machine(parts, caller, wanted));
  AccessClaims claims;
  claims.subject = wanted.user_id;
  claims.org_id = caller.org_id;
  claims.role = wanted.roles.front();
  claims.plan = caller.plan ? caller.plan->name : "";
  claims.scopes = wanted.permissions.names();
  // What runs the whole installation is in no token.
  std::erase(claims.scopes, to_string(Permission::kManageTenants));
  claims.systems = wanted.systems;
  claims.made_by = caller.made_by.empty() ? actor_of(caller) : caller.made_by;
  claims.machine = machine;
  ASAHI_CO_TRY(const Secret token, parts.tokens.issue(std::move(claims), wanted.life));
  co_await note(parts, context, wanted);
  http::Response response =
      json_reply(201, {{"token", token.reveal()},
                       {"token_type", "Bearer"},
                       {"expires_in", wanted.life.count()},
                       {"expires_at", format_rfc3339(parts.clock.now() + wanted.life)},
                       {"user_id", wanted.user_id},
                       {"roles", list_of(wanted.roles)},
                       {"systems", systems_json(wanted.systems)}});
  response.headers.set("Cache-Control", "no-store");
  co_return response;
}

}  // namespace

void add_made_token_routes(http::Router& router, MadeTokens given) {
  const auto parts = std::make_shared<const MadeTokens>(std::move(given));
  for (const char* pattern : {"/auth/tokens", "/api/v1/auth/tokens"}) {
    router.post(
        pattern,
        [parts](http::Context& context) -> Aw<http::Response> {
          auto response = co_await make_token(*parts, context);
          if (!response) co_return http::native_error(response.error(), context);
          co_return std::move(*response);
        },
        "manage_users");
  }
}

}  // namespace asahi::identity
