#include <fmt/format.h>

#include "identity/http/route_support.h"

namespace asahi::identity {
namespace {

Result<std::string> org_of_query(const http::Context& context) {
  return org_for(principal_of(context), context.request.query_param("org_id").value_or(""));
}

Task<http::Response> list_users(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id, org_of_query(context));
  ASAHI_CO_TRY(const Page page, page_of(context.request));
  ASAHI_CO_TRY(const auto users, co_await parts.users.list(org_id, page.limit, page.offset));
  json::array rows;
  for (const User& user : users) rows.push_back(user_json(user));
  co_return json_reply(200,
                       {{"org_id", org_id}, {"count", users.size()}, {"users", std::move(rows)}});
}

Task<http::Response> create_user(const RouteParts& parts, http::Context& context) {
  const Principal& caller = principal_of(context);
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  User user;
  ASAHI_CO_TRY(const std::string wanted, fields.text("org_id"));
  ASAHI_CO_TRY(user.org_id, org_for(caller, wanted));
  ASAHI_CO_TRY(user.email, fields.required_text("email", 320));
  ASAHI_CO_TRY(user.full_name, fields.text("full_name"));
  ASAHI_CO_TRY(user.role, fields.text("role", 64));
  if (user.role.empty()) user.role = "viewer";
  ASAHI_CO_TRY(const PermissionSet permissions,
               co_await parts.users.permissions(user.org_id, user.role));
  if (auto ok = check_grant(caller, permissions); !ok)
    co_return std::unexpected(std::move(ok.error()));
  std::optional<Secret> password;
  if (fields.has("password")) {
    ASAHI_CO_TRY(std::string text, fields.text("password", 1024));
    password = Secret(std::move(text));
  }
  ASAHI_CO_TRY(const User created,
               co_await parts.users.create(std::move(user), std::move(password)));
  co_await audit(parts, context, created.org_id, "user.create", "user/" + created.id,
                 {{"role", created.role}});
  co_return json_reply(201, user_json(created));
}

Task<http::Response> remove_user(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id, org_of_query(context));
  std::string user_id(context.path_param("user_id"));
  if (user_id.empty()) user_id = context.request.query_param("user_id").value_or("");
  if (user_id.empty()) co_return fail_field("user_id", "user_id is missing");
  if (auto done = co_await parts.users.remove(org_id, user_id); !done)
    co_return std::unexpected(std::move(done.error()));
  if (auto done = co_await parts.sessions.close_all(user_id); !done)
    co_return std::unexpected(std::move(done.error()));
  ASAHI_CO_TRY(const std::int64_t keys, co_await parts.keys.revoke_all(org_id, user_id));
  co_await audit(parts, context, org_id, "user.remove", "user/" + user_id,
                 {{"keys_revoked", keys}});
  co_return json_reply(200, {{"user_id", user_id}, {"removed", true}, {"keys_revoked", keys}});
}

json::object role_json(const Role& role) {
  return {{"name", role.name},
          {"permissions", list_of(role.permissions.names())},
          {"description", role.description},
          {"built_in", role.built_in}};
}

Task<http::Response> list_roles(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id, org_of_query(context));
  ASAHI_CO_TRY(const auto roles, co_await parts.roles.list(org_id));
  json::array rows;
  for (const Role& role : roles) rows.push_back(role_json(role));
  co_return json_reply(200,
                       {{"org_id", org_id}, {"count", roles.size()}, {"roles", std::move(rows)}});
}

Task<http::Response> put_role(const RouteParts& parts, http::Context& context) {
  const Principal& caller = principal_of(context);
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  ASAHI_CO_TRY(const std::string wanted, fields.text("org_id"));
  ASAHI_CO_TRY(const std::string org_id, org_for(caller, wanted));
  Role role;
  ASAHI_CO_TRY(role.name, fields.required_text("name", 64));
  ASAHI_CO_TRY(role.description, fields.text("description", 500));
  ASAHI_CO_TRY(const auto names, fields.texts("permissions", 32));
  for (const std::string& name : names) {
    const auto permission = parse_permission(name);
    if (!permission)
      co_return fail_field("permissions", fmt::format("'{}' is no permission", name));
    role.permissions.add(*permission);
  }
  if (auto ok = check_grant(caller, role.permissions); !ok)
    co_return std::unexpected(std::move(ok.error()));
  ASAHI_CO_TRY(const Role stored, co_await parts.roles.put(org_id, std::move(role)));
  co_await audit(parts, context, org_id, "role.put", "role/" + stored.name,
                 {{"permissions", list_of(stored.permissions.names())}});
  co_return json_reply(201, role_json(stored));
}

}  // namespace

void add_org_routes(http::Router& router, const SharedRouteParts& parts) {
  using enum http::Method;
  add_both(router, parts, kGet, "/org/users", "manage_users", list_users);
  add_both(router, parts, kPost, "/org/users", "manage_users", create_user);
  add_both(router, parts, kDelete, "/org/users", "manage_users", remove_user);
  add_both(router, parts, kDelete, "/org/users/{user_id}", "manage_users", remove_user);
  add_both(router, parts, kGet, "/org/roles", "manage_users", list_roles);
  add_both(router, parts, kPost, "/org/roles", "manage_users", put_role);
}

}  // namespace asahi::identity
