#include <fmt/format.h>

#include "identity/http/route_support.h"

namespace asahi::identity {
namespace {

json::object key_json(const ApiKey& key, Clock::Time now) {
  const auto number = [](const std::optional<std::int64_t>& value) {
    return value ? json::value(*value) : json::value();
  };
  return {{"prefix", key.prefix},
          {"name", text_or_null_json(key.name)},
          {"user_id", key.user_id},
          {"org_id", key.org_id},
          {"scopes", list_of(key.scopes)},
          {"allowed_models", list_of(key.allowed_models)},
          {"rate_limit_per_minute", number(key.requests_per_minute)},
          {"tokens_per_minute", number(key.tokens_per_minute)},
          {"semantic_cache", key.semantic_cache},
          {"systems", systems_json(key.systems)},
          {"status", key.status(now)},
          {"revoked", key.revoked},
          {"created_at", format_rfc3339(key.created_at)},
          {"expires_at", format_rfc3339(key.expires_at)},
          {"valid_until", time_or_null_json(key.valid_until)},
          {"last_used_at", time_or_null_json(key.last_used_at)},
          {"rotated_from", text_or_null_json(key.rotated_from)}};
}

json::object issued_json(const IssuedApiKey& issued, Clock::Time now) {
  json::object body{{"api_key", issued.value.reveal()}};
  for (const auto& member : key_json(issued.key, now)) body.insert(member);
  return body;
}

std::string resource_of(const ApiKey& key) { return "api_key/" + key.prefix; }

/// What a key may do is in the log, what opens it is not.
json::object details_of(const ApiKey& key) {
  return {{"scopes", list_of(key.scopes)},
          {"systems", systems_json(key.systems)},
          {"user_id", key.user_id},
          {"expires_at", format_rfc3339(key.expires_at)}};
}

/// The organisation named in the query, where the caller may name one.
Result<std::string> org_of_query(const http::Context& context) {
  return org_for(principal_of(context), context.request.query_param("org_id").value_or(""));
}

Task<http::Response> create_key(const RouteParts& parts, http::Context& context) {
  const Principal& caller = principal_of(context);
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  NewApiKey wanted;
  ASAHI_CO_TRY(const std::string org_id, fields.text("org_id"));
  ASAHI_CO_TRY(wanted.org_id, org_for(caller, org_id));
  ASAHI_CO_TRY(wanted.user_id, fields.text("user_id"));
  if (wanted.user_id.empty()) wanted.user_id = caller.user_id.empty() ? "default" : caller.user_id;
  ASAHI_CO_TRY(wanted.name, fields.text("name"));
  ASAHI_CO_TRY(wanted.scopes, fields.texts("scopes", 32));
  ASAHI_CO_TRY(wanted.allowed_models, fields.texts("allowed_models", 200));
  ASAHI_CO_TRY(wanted.requests_per_minute, fields.integer("rate_limit_per_minute"));
  ASAHI_CO_TRY(wanted.tokens_per_minute, fields.integer("tokens_per_minute"));
  ASAHI_CO_TRY(const auto semantic_cache, fields.boolean("semantic_cache"));
  wanted.semantic_cache = semantic_cache.value_or(true);
  ASAHI_CO_TRY(wanted.systems, fields.systems());
  ASAHI_CO_TRY(const auto days, fields.integer("expires_in_days"));
  // Out of the range of int is out of the range of days too.
  if (days)
    wanted.expires_in_days = static_cast<int>(std::clamp<std::int64_t>(*days, -1, 1'000'000));
  const auto permissions = scopes_to_permissions(wanted.scopes);
  if (!permissions) {
    co_return fail_field(
        "scopes", "scopes may be infer, analytics, admin, all, * and the names of permissions");
  }
  if (auto ok = check_grant(caller, *permissions, wanted.systems); !ok)
    co_return std::unexpected(std::move(ok.error()));
  // The operator's first key for an organisation founds it.
  ASAHI_CO_TRY(const OrgState org, co_await parts.tenants.state(wanted.org_id));
  if (!org.known && wanted.org_id != Principal::kDefaultOrg &&
      caller.may(Permission::kManageTenants)) {
    auto founded = co_await parts.tenants.create({.org_id = wanted.org_id, .name = wanted.org_id});
    if (!founded && founded.error().code != Errc::kConflict)
      co_return std::unexpected(std::move(founded.error()));
    if (founded)
      co_await audit(parts, context, wanted.org_id, "tenant.create", "tenant/" + wanted.org_id);
  }
  ASAHI_CO_TRY(const IssuedApiKey issued, co_await parts.keys.create(std::move(wanted)));
  co_await audit(parts, context, issued.key.org_id, "api_key.create", resource_of(issued.key),
                 details_of(issued.key));
  co_return json_reply(201, issued_json(issued, parts.clock.now()));
}

Task<http::Response> list_keys(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id, org_of_query(context));
  ASAHI_CO_TRY(const Page page, page_of(context.request));
  ASAHI_CO_TRY(const auto keys, co_await parts.keys.list(org_id, page.limit, page.offset));
  json::array rows;
  for (const ApiKey& key : keys) rows.push_back(key_json(key, parts.clock.now()));
  co_return json_reply(200,
                       {{"org_id", org_id}, {"count", keys.size()}, {"keys", std::move(rows)}});
}

Task<http::Response> revoke_key(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id, org_of_query(context));
  const std::string prefix(context.path_param("prefix"));
  if (auto done = co_await parts.keys.revoke(org_id, prefix); !done)
    co_return std::unexpected(std::move(done.error()));
  co_await audit(parts, context, org_id, "api_key.revoke", "api_key/" + prefix);
  co_return json_reply(200, {{"prefix", prefix}, {"org_id", org_id}, {"revoked", true}});
}

Task<http::Response> rotate_key(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id, org_of_query(context));
  const std::string prefix(context.path_param("prefix"));
  ASAHI_CO_TRY(const ApiKey old, co_await parts.keys.get(org_id, prefix));
  // The successor's rights are handed out like any others.
  const auto permissions = scopes_to_permissions(old.scopes);
  if (auto ok = check_grant(principal_of(context),
                            permissions.value_or(PermissionSet::organisation()), old.systems);
      !ok) {
    co_return std::unexpected(std::move(ok.error()));
  }
  ASAHI_CO_TRY(const IssuedApiKey issued, co_await parts.keys.rotate(org_id, prefix));
  json::object details = details_of(issued.key);
  details["rotated_from"] = prefix;
  co_await audit(parts, context, org_id, "api_key.rotate", resource_of(issued.key),
                 std::move(details));
  co_return json_reply(201, issued_json(issued, parts.clock.now()));
}

}  // namespace

void add_key_routes(http::Router& router, const SharedRouteParts& parts) {
  using enum http::Method;
  add_both(router, parts, kPost, "/governance/api-keys", "manage_policy", create_key);
  add_both(router, parts, kGet, "/governance/api-keys", "manage_policy", list_keys);
  add_both(router, parts, kDelete, "/governance/api-keys/{prefix}", "manage_policy", revoke_key);
  add_both(router, parts, kPost, "/governance/api-keys/{prefix}/rotate", "manage_policy",
           rotate_key);
  add_both(router, parts, kPost, "/auth/keys", "manage_policy", create_key);
  add_both(router, parts, kDelete, "/auth/keys/{prefix}", "manage_policy", revoke_key);
}

}  // namespace asahi::identity
