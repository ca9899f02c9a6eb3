#pragma once
// What the module's routes have in common: reading bodies, speaking for an organisation, writing
// the audit log.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "identity/http/routes.h"

namespace asahi::identity {

using RouteBody = Task<http::Response> (*)(const RouteParts& parts, http::Context& context);
/// Adds a handler under its bare path and under /api/v1; its errors become native bodies.
void add_both(http::Router& router, const SharedRouteParts& parts, http::Method method,
              const std::string& pattern, std::string_view access, RouteBody body);

/// A request's JSON object with members of known kinds. Errors: invalid_argument, with the member
/// as field.
class Fields {
 public:
  /// An empty body is an empty object.
  static Result<Fields> read(const http::Request& request);

  /// Empty when absent or null; with `most` bytes at most.
  Result<std::string> text(std::string_view name, std::size_t most = 255) const;
  Result<std::string> required_text(std::string_view name, std::size_t most = 255) const;
  Result<std::vector<std::string>> texts(std::string_view name, std::size_t most) const;
  Result<std::optional<std::int64_t>> integer(std::string_view name) const;
  Result<std::optional<bool>> boolean(std::string_view name) const;
  /// The member `systems` (identity/systems.h); absent or null: all.
  Result<Systems> systems() const;
  bool has(std::string_view name) const { return member(name) != nullptr; }

 private:
  /// Null when absent or null.
  const json::value* member(std::string_view name) const;
  json::object object_;
};

struct Page {
  std::int64_t limit = 100, offset = 0;
};
/// `limit` (1 to 500) and `offset` of the query.
Result<Page> page_of(const http::Request& request);

/// The organisation that a request is about: the caller's own where none is named. Another one is
/// not found, but for callers with manage_tenants.
Result<std::string> org_for(const Principal& caller, std::string_view wanted);
/// Errors: forbidden, when `wanted` or `systems` has what the caller has not: nobody gives away
/// more than they have. Users and roles have no systems of their own: they have all.
Result<void> check_grant(const Principal& caller, PermissionSet wanted,
                         const Systems& systems = std::nullopt);

/// One mutation for the audit log, durable when it returns. What was done stays done when it cannot
/// be written; the log says so.
Aw<void> audit(const RouteParts& parts, const http::Context& context, std::string org_id,
               std::string action, std::string resource, json::object details = {});
/// A refused credential outside the gate (a login).
void audit_failure(const RouteParts& parts, const http::Context& context, const Error& error);

http::Response json_reply(int status, const json::object& body);
json::value text_or_null_json(const std::string& text);
json::value time_or_null_json(const std::optional<Clock::Time>& time);
json::array list_of(const std::vector<std::string>& items);
json::object user_json(const User& user);

}  // namespace asahi::identity
