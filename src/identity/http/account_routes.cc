#include <fmt/format.h>

#include "base/hash.h"
#include "base/ids.h"
#include "identity/http/authenticators.h"
#include "identity/http/route_support.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMostPassword =
    1'024;  // longer than allowed, so that the rule of passwords itself answers

std::unexpected<Error> closed(Error error) {
  if (error.code == Errc::kUnavailable) error.reason = "signup_unavailable";
  return std::unexpected(std::move(error));
}

/// A new organisation under an id made from its name.
Task<Tenant> found_organisation(const RouteParts& parts, std::string name) {
  if (parts.signup == "off") {
    co_return fail(Errc::kForbidden,
                   "sign-up is switched off; ask the operator of the installation for an account");
  }
  const std::string slug = slug_of(name);
  std::string org_id = slug;
  for (int i = 0; i < 5; ++i) {
    // The operator's own organisation is not to be had by its name.
    if (org_id != Principal::kDefaultOrg) {
      auto founded =
          co_await parts.tenants.create({.org_id = org_id, .name = name}, parts.signup == "first");
      if (founded) co_return founded;
      if (founded.error().code != Errc::kConflict) co_return closed(std::move(founded.error()));
    }
    org_id = random_id(slug + "-", 6);
  }
  co_return fail(Errc::kConflict, "no free id was found for this name; choose another name");
}

/// Takes back an organisation whose founding failed half-way.
Aw<void> abandon(const RouteParts& parts, std::string org_id) {
  (void)co_await parts.tenants.remove(org_id);
}

struct Founded {
  Tenant tenant;
  User user;
};

/// An organisation with its first admin, or neither.
Task<Founded> found_with_admin(const RouteParts& parts, std::string org_name, User admin,
                               std::optional<Secret> password) {
  ASAHI_CO_TRY(Tenant tenant, co_await found_organisation(parts, std::move(org_name)));
  admin.org_id = tenant.org_id;
  admin.role = "admin";
  auto user = co_await parts.users.create(std::move(admin), std::move(password));
  if (!user) {
    co_await abandon(parts, tenant.org_id);
    co_return closed(std::move(user.error()));
  }
  co_return Founded{std::move(tenant), std::move(*user)};
}

/// POST /signup: an organisation, its first admin and a key with all rights.
Task<http::Response> sign_up(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  ASAHI_CO_TRY(std::string org_name, fields.required_text("org_name"));
  ASAHI_CO_TRY(std::string user_id, fields.text("user_id"));
  User admin;
  ASAHI_CO_TRY(admin.email, fields.text("email", 320));
  ASAHI_CO_TRY(admin.full_name, fields.text("full_name"));
  if (user_id.empty() && admin.email.empty())
    co_return fail_field("email", "email or user_id is missing");
  std::optional<Secret> password;
  if (fields.has("password")) {
    ASAHI_CO_TRY(std::string text, fields.text("password", kMostPassword));
    password = Secret(std::move(text));
  }
  Tenant tenant;
  if (admin.email.empty()) {
    ASAHI_CO_TRY(tenant, co_await found_organisation(parts, std::move(org_name)));
  } else {
    ASAHI_CO_TRY(Founded founded, co_await found_with_admin(parts, std::move(org_name),
                                                            std::move(admin), std::move(password)));
    tenant = std::move(founded.tenant);
    user_id = std::move(founded.user.id);
  }
  auto issued = co_await parts.keys.create(
      {.org_id = tenant.org_id, .user_id = user_id, .name = "first key", .scopes = {"admin"}});
  if (!issued) {
    // The user may not be there: then there is nothing to remove.
    (void)co_await parts.users.remove(tenant.org_id, user_id);
    co_await abandon(parts, tenant.org_id);
    co_return closed(std::move(issued.error()));
  }
  co_await audit(parts, context, tenant.org_id, "tenant.signup", "tenant/" + tenant.org_id,
                 {{"user_id", user_id}, {"key", issued->key.prefix}});
  co_return json_reply(201, {{"org_id", tenant.org_id},
                             {"org_name", tenant.name},
                             {"plan", tenant.plan},
                             {"api_key", issued->value.reveal()},
                             {"prefix", issued->key.prefix},
                             {"user_id", user_id},
                             {"expires_at", format_rfc3339(issued->key.expires_at)}});
}

json::object tokens_json(const TokenPair& pair) {
  return {{"access_token", pair.access_token.reveal()},
          {"refresh_token", pair.refresh_token.reveal()},
          {"token_type", "Bearer"},
          {"expires_in", pair.expires_in.count()}};
}

/// What a login answers: tokens, the dashboard's session as a cookie, who and where one is.
Task<http::Response> logged_in(const RouteParts& parts, const http::Context& context, User user,
                               int status) {
  ASAHI_CO_TRY(const OrgState org, co_await parts.tenants.state(user.org_id));
  if (!org.active)
    co_return fail(Errc::kForbidden,
                   "this organisation is not active; ask the operator of the installation");
  ASAHI_CO_TRY(const PermissionSet permissions,
               co_await parts.users.permissions(user.org_id, user.role));
  json::object body;
  if (parts.tokens != nullptr) {
    ASAHI_CO_TRY(const TokenPair pair,
                 co_await parts.tokens->issue(user, permissions, org.plan ? org.plan->name : ""));
    body = tokens_json(pair);
  }
  ASAHI_CO_TRY(const Session session, co_await parts.sessions.open(user));
  body["csrf_token"] = session.csrf_token;
  body["user"] = user_json(user);
  body["org"] = json::object{{"org_id", user.org_id},
                             {"plan", org.plan ? json::value(org.plan->name) : json::value()}};
  http::Response response = json_reply(status, body);
  response.headers.add("Set-Cookie",
                       Sessions::cookie(session, wants_secure_cookie(context.request)));
  response.headers.add("Cache-Control", "no-store");
  co_return response;
}

/// POST /auth/signup: an organisation and its first admin, logged in.
Task<http::Response> sign_up_with_password(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  User admin;
  ASAHI_CO_TRY(admin.email, fields.required_text("email", 320));
  ASAHI_CO_TRY(admin.full_name, fields.text("full_name"));
  ASAHI_CO_TRY(std::string password, fields.required_text("password", kMostPassword));
  ASAHI_CO_TRY(std::string org_name, fields.text("org_name"));
  if (org_name.empty()) org_name = admin.email.substr(0, admin.email.find('@'));
  if (org_name.empty())
    co_return fail_field("email", "email must be an address such as name@example.com");
  ASAHI_CO_TRY(Founded founded,
               co_await found_with_admin(parts, std::move(org_name), std::move(admin),
                                         Secret(std::move(password))));
  co_await audit(parts, context, founded.tenant.org_id, "tenant.signup",
                 "tenant/" + founded.tenant.org_id, {{"user_id", founded.user.id}});
  co_return co_await logged_in(parts, context, std::move(founded.user), 201);
}

/// E-mail and password of the body; refusals are audited.
Task<User> user_of_body(const RouteParts& parts, const http::Context& context) {
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  ASAHI_CO_TRY(std::string email, fields.required_text("email", 320));
  ASAHI_CO_TRY(std::string password, fields.required_text("password", kMostPassword));
  auto user = co_await parts.users.log_in(std::move(email), Secret(std::move(password)),
                                          parts.gate.client_ip(context.request));
  if (!user) audit_failure(parts, context, user.error());
  co_return user;
}

Task<http::Response> log_in(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const User user, co_await user_of_body(parts, context));
  auto response = co_await logged_in(parts, context, user, 200);
  if (response) {
    co_await audit(parts, context, user.org_id, "auth.login", "user/" + user.id,
                   {{"user_id", user.id}});
    if (SecurityLog* const security = parts.denials.security()) {
      security->note({.event = SecurityEvent::kAuthSuccess,
                      .org_id = user.org_id,
                      .user_id = user.id,
                      .address = parts.gate.client_ip(context.request),
                      .request_id = context.request_id,
                      .resource = "POST /auth/login",
                      .result = "allowed"});
    }
  }
  co_return response;
}

Task<http::Response> refresh(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  ASAHI_CO_TRY(std::string token, fields.required_text("refresh_token", 8'192));
  auto pair = co_await parts.tokens->refresh(std::move(token));
  if (!pair) {
    audit_failure(parts, context, pair.error());
    co_return std::unexpected(std::move(pair.error()));
  }
  http::Response response = json_reply(200, tokens_json(*pair));
  response.headers.add("Cache-Control", "no-store");
  co_return response;
}

/// Ends what the request brings: the session of its cookie, the refresh token of its body. Ending
/// twice is fine.
Task<http::Response> log_out(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  ASAHI_CO_TRY(std::string token, fields.text("refresh_token", 8'192));
  ASAHI_CO_TRY(const auto session,
               co_await parts.sessions.find(std::string(Sessions::id_in(context.request))));
  if (session) {
    if (!equal_constant_time(context.request.headers.get("X-CSRF-Token"), session->csrf_token)) {
      co_return fail(
          Errc::kForbidden,
          "a change needs the session's token in the header X-CSRF-Token; GET /auth/me tells it");
    }
    if (auto done = co_await parts.sessions.close(session->id); !done)
      co_return std::unexpected(std::move(done.error()));
    co_await audit(parts, context, session->org_id, "auth.logout", "user/" + session->user_id,
                   {{"user_id", session->user_id}});
  }
  if (!token.empty() && parts.tokens != nullptr) {
    if (auto done = co_await parts.tokens->revoke(std::move(token)); !done)
      co_return std::unexpected(std::move(done.error()));
  }
  http::Response response = json_reply(200, {{"logged_out", true}});
  response.headers.add("Set-Cookie",
                       Sessions::expired_cookie(wants_secure_cookie(context.request)));
  co_return response;
}

std::string_view kind_name(Principal::Kind kind) {
  switch (kind) {
    case Principal::Kind::kApiKey:
      return "api_key";
    case Principal::Kind::kToken:
      return "token";
    case Principal::Kind::kSession:
      return "session";
    case Principal::Kind::kOperator:
      return "operator";
    case Principal::Kind::kAnonymous:
      break;
  }
  return "anonymous";
}

Task<http::Response> who_am_i(const RouteParts& parts, http::Context& context) {
  const Principal& caller = principal_of(context);
  json::object body{{"kind", kind_name(caller.kind)},
                    {"org_id", caller.org_id},
                    {"user_id", text_or_null_json(caller.user_id)},
                    {"role", text_or_null_json(caller.role)},
                    {"key_prefix", text_or_null_json(caller.key_prefix)},
                    {"permissions", list_of(caller.permissions.names())},
                    {"systems", systems_json(caller.systems)},
                    {"plan", caller.plan ? json::value(caller.plan->name) : json::value()}};
  const bool person =
      caller.kind == Principal::Kind::kSession || caller.kind == Principal::Kind::kToken;
  if (person && !caller.user_id.empty()) {
    if (const auto user = co_await parts.users.get(caller.org_id, caller.user_id))
      body["user"] = user_json(*user);
  }
  if (caller.kind == Principal::Kind::kSession) {
    ASAHI_CO_TRY(const auto session,
                 co_await parts.sessions.find(std::string(Sessions::id_in(context.request))));
    if (session) body["csrf_token"] = session->csrf_token;
  }
  http::Response response = json_reply(200, body);
  response.headers.add("Cache-Control", "no-store");
  co_return response;
}

/// Removes the account that e-mail and password name, with its keys; with the last user the
/// organisation goes too.
Task<http::Response> delete_account(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const User user, co_await user_of_body(parts, context));
  if (auto done = co_await parts.users.remove(user.org_id, user.id); !done)
    co_return std::unexpected(std::move(done.error()));
  if (auto done = co_await parts.sessions.close_all(user.id); !done)
    co_return std::unexpected(std::move(done.error()));
  ASAHI_CO_TRY(std::int64_t keys, co_await parts.keys.revoke_all(user.org_id, user.id));
  ASAHI_CO_TRY(const auto left, co_await parts.users.list(user.org_id, 1, 0));
  if (left.empty()) {
    ASAHI_CO_TRY(const std::int64_t others, co_await parts.keys.revoke_all(user.org_id, ""));
    keys += others;
    auto removed = co_await parts.tenants.remove(user.org_id);
    if (!removed && removed.error().code != Errc::kNotFound)
      co_return std::unexpected(std::move(removed.error()));
  }
  co_await audit(parts, context, user.org_id, "user.remove", "user/" + user.id,
                 {{"user_id", user.id}, {"keys_revoked", keys}, {"org_removed", left.empty()}});
  http::Response response = json_reply(200, {{"deleted", true},
                                             {"user_id", user.id},
                                             {"keys_revoked", keys},
                                             {"org_removed", left.empty()}});
  response.headers.add("Set-Cookie",
                       Sessions::expired_cookie(wants_secure_cookie(context.request)));
  co_return response;
}

}  // namespace

void add_account_routes(http::Router& router, const SharedRouteParts& parts) {
  using enum http::Method;
  add_both(router, parts, kPost, "/signup", "public", sign_up);
  add_both(router, parts, kPost, "/auth/signup", "public", sign_up_with_password);
  add_both(router, parts, kPost, "/auth/login", "public", log_in);
  if (parts->tokens != nullptr) add_both(router, parts, kPost, "/auth/refresh", "public", refresh);
  add_both(router, parts, kPost, "/auth/logout", "public", log_out);
  add_both(router, parts, kGet, "/auth/me", "authenticated", who_am_i);
  add_both(router, parts, kPost, "/auth/delete-account", "public", delete_account);
}

}  // namespace asahi::identity
