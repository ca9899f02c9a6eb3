#include "identity/http/route_support.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "base/utf8.h"
#include "net/http/query_params.h"
#include "net/http/server.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kShownAgent = 256;

}  // namespace

void add_both(http::Router& router, const SharedRouteParts& parts, http::Method method,
              const std::string& pattern, std::string_view access, RouteBody body) {
  const http::Handler handler = [parts, body](http::Context& context) -> Aw<http::Response> {
    auto response = co_await body(*parts, context);
    if (!response) co_return http::native_error(response.error(), context);
    co_return std::move(*response);
  };
  for (const std::string& path : {pattern, "/api/v1" + pattern}) {
    router.add({.method = method, .pattern = path, .handler = handler, .access = access});
  }
}

Result<Fields> Fields::read(const http::Request& request) {
  Fields fields;
  if (request.body.empty()) return fields;
  ASAHI_TRY(json::value value, parse_json(request.body));
  if (!value.is_object()) return fail(Errc::kInvalidArgument, "the body must be a JSON object");
  fields.object_ = std::move(value.get_object());
  return fields;
}

const json::value* Fields::member(std::string_view name) const {
  const json::value* value = object_.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<std::string> Fields::text(std::string_view name, std::size_t most) const {
  const json::value* value = member(name);
  if (value == nullptr) return std::string();
  if (!value->is_string())
    return fail_field(std::string(name), fmt::format("{} must be a text", name));
  if (value->get_string().size() > most) {
    return fail_field(std::string(name), fmt::format("{} must have at most {} bytes", name, most));
  }
  return std::string(value->get_string());
}

Result<std::string> Fields::required_text(std::string_view name, std::size_t most) const {
  ASAHI_TRY(std::string value, text(name, most));
  if (value.empty()) return fail_field(std::string(name), fmt::format("{} is missing", name));
  return value;
}

Result<std::vector<std::string>> Fields::texts(std::string_view name, std::size_t most) const {
  const json::value* value = member(name);
  std::vector<std::string> items;
  if (value == nullptr) return items;
  if (!value->is_array() || value->get_array().size() > most) {
    return fail_field(std::string(name),
                      fmt::format("{} must be a list of at most {} texts", name, most));
  }
  for (const json::value& item : value->get_array()) {
    if (!item.is_string() || item.get_string().empty() || item.get_string().size() > 255) {
      return fail_field(std::string(name),
                        fmt::format("{} must hold texts of 1 to 255 bytes", name));
    }
    items.emplace_back(item.get_string());
  }
  return items;
}

Result<std::optional<std::int64_t>> Fields::integer(std::string_view name) const {
  const json::value* value = member(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_int64())
    return fail_field(std::string(name), fmt::format("{} must be a whole number", name));
  return value->get_int64();
}

Result<std::optional<bool>> Fields::boolean(std::string_view name) const {
  const json::value* value = member(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool())
    return fail_field(std::string(name), fmt::format("{} must be true or false", name));
  return value->get_bool();
}

Result<Systems> Fields::systems() const { return read_systems(member("systems")); }

Result<Page> page_of(const http::Request& request) {
  const http::QueryParams params(request);
  Page page;
  ASAHI_TRY(page.limit, params.integer("limit", page.limit, 1, 500));
  ASAHI_TRY(page.offset, params.integer("offset", page.offset, 0, 1'000'000'000));
  return page;
}

Result<std::string> org_for(const Principal& caller, std::string_view wanted) {
  if (wanted.empty() || wanted == caller.org_id) return caller.org_id;
  if (caller.may(Permission::kManageTenants)) return std::string(wanted);
  auto unknown =
      fail(Errc::kNotFound, fmt::format("no organisation '{}'", mended_utf8(wanted, 64)));
  unknown.error().reason = "organization_not_found";
  return unknown;
}

Result<void> check_grant(const Principal& caller, PermissionSet wanted, const Systems& systems) {
  if (!is_within(systems, caller.systems)) {
    auto beyond =
        fail(Errc::kForbidden,
             fmt::format("systems {} would give away more of the memory than the caller has: {}",
                         json::serialize(systems_json(systems)),
                         json::serialize(systems_json(caller.systems))));
    beyond.error().field = "systems";
    return beyond;
  }
  if ((wanted & caller.permissions) == wanted) return {};
  auto refused =
      fail(Errc::kForbidden, "this would give away permissions that the caller does not have");
  refused.error().reason = caller.role.empty() ? "insufficient_scope" : "forbidden";
  return refused;
}

Aw<void> audit(const RouteParts& parts, const http::Context& context, std::string org_id,
               std::string action, std::string resource, json::object details) {
  AuditEntry entry;
  entry.org_id = std::move(org_id);
  entry.user_id = actor_of(principal_of(context));
  // Public routes, whose callers may nothing, learn who it was on the way: a login is its user's.
  if (principal_of(context).permissions.empty()) {
    if (const json::value* user = details.if_contains("user_id");
        user != nullptr && user->is_string())
      entry.user_id = user->get_string();
  }
  entry.action = std::move(action);
  entry.resource = std::move(resource);
  entry.details = std::move(details);
  entry.details["request_id"] = context.request_id;
  entry.ip_address = parts.gate.client_ip(context.request);
  entry.user_agent = mended_utf8(context.request.headers.get("User-Agent"), kShownAgent);
  entry.data_classification = "confidential";
  const std::string what = entry.action;
  auto written = co_await parts.audit.append(std::move(entry));
  if (!written) {
    Logger("identity")
        .error("a change is not in the audit log", {{"action", what},
                                                    {"request_id", context.request_id},
                                                    {"error", written.error().message}});
  }
}

void audit_failure(const RouteParts& parts, const http::Context& context, const Error& error) {
  if (error.code != Errc::kUnauthenticated && error.reason != "auth_locked_out") return;
  AuditEntry entry;
  entry.org_id = Principal::kDefaultOrg;
  entry.user_id = "anonymous";
  entry.action = "auth_failure";
  entry.resource = fmt::format("{} {}", http::to_string(context.request.method), context.route);
  entry.details["reason"] = error.message;
  entry.details["request_id"] = context.request_id;
  entry.ip_address = parts.gate.client_ip(context.request);
  entry.user_agent = mended_utf8(context.request.headers.get("User-Agent"), kShownAgent);
  entry.result = "denied";
  parts.denials.add_failure(entry.ip_address);
  parts.denials.add(std::move(entry));
}

http::Response json_reply(int status, const json::object& body) {
  return http::Response::json(status, write_json(body));
}

json::value text_or_null_json(const std::string& text) {
  return text.empty() ? json::value() : json::value(text);
}

json::value time_or_null_json(const std::optional<Clock::Time>& time) {
  return time ? json::value(format_rfc3339(*time)) : json::value();
}

json::array list_of(const std::vector<std::string>& items) {
  json::array list;
  for (const std::string& item : items) list.emplace_back(item);
  return list;
}

json::object user_json(const User& user) {
  return {{"user_id", user.id},
          {"org_id", user.org_id},
          {"email", user.email},
          {"full_name", user.full_name},
          {"role", user.role},
          {"active", user.active},
          {"sso", !user.sso_subject.empty()},
          {"created_at", format_rfc3339(user.created_at)},
          {"last_active", time_or_null_json(user.last_active)}};
}

}  // namespace asahi::identity
