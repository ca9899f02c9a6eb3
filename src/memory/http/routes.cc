#include "memory/http/routes.h"

#include "base/log.h"
#include "identity/principal.h"
#include "memory/measure/operation.h"
#include "net/http/query_params.h"
#include "net/http/server.h"

namespace asahi::memory {
namespace {

using identity::SecurityEvent;
using identity::SecurityLog;
using identity::SecuritySeverity;

void inspect_address(SecurityLog& log, const http::Context& context) {
  for (const auto& [name, value] : context.path_params) log.inspect(context, name, value);
  if (const std::string& query = context.request.query; !query.empty()) {
    const auto plain = http::percent_decode(query, true);
    log.inspect(context, "query", plain ? *plain : query);
  }
}

void note_outcome(SecurityLog& log, const http::Context& context,
                  const Result<http::Response>& outcome) {
  if (outcome) {
    log.note(context, {.event = SecurityEvent::kDataAccess, .result = "allowed"});
    return;
  }
  const Error& error = outcome.error();
  if (error.code == Errc::kForbidden) {
    log.note(context, {.event = SecurityEvent::kDataAccess,
                       .severity = SecuritySeverity::kMedium,
                       .result = "denied",
                       .details = {{"field", error.field}, {"reason", error.message}}});
    return;
  }
  if (error.code == Errc::kInvalidArgument) {
    log.note(context, {.event = SecurityEvent::kSchemaValidationFailure,
                       .severity = SecuritySeverity::kLow,
                       .result = "denied",
                       .details = {{"field", error.field}, {"reason", error.message}}});
    // What was wrong of an id or a name stands in the message.
    if (identity::looks_like_traversal(error.message))
      log.note(context, {.event = SecurityEvent::kPathTraversalAttempt,
                         .severity = SecuritySeverity::kHigh,
                         .result = "denied",
                         .details = {{"where", error.field}, {"value", error.message}}});
    return;
  }
  log.note(context, {.event = SecurityEvent::kDataAccess,
                     .result = "failed",
                     .details = {{"reason", error.message}}});
}

}  // namespace

RouteAdder::RouteAdder(http::Router& router, SharedRouteParts parts, std::string mount)
    : router_(router), parts_(std::move(parts)), mount_(std::move(mount)) {}

void RouteAdder::add(http::Method method, std::string_view pattern, std::string_view access,
                     RouteBody body, std::size_t max_body_bytes) const {
  add_body(
      method, pattern, access,
      [parts = parts_, body](http::Context& context) { return body(*parts, context); },
      max_body_bytes);
}

void RouteAdder::add_body(http::Method method, std::string_view pattern, std::string_view access,
                          Body body, std::size_t max_body_bytes) const {
  const RouteKind kind = kind_of(method, pattern);
  const Operation operation(parts_->metrics, std::string(kind.operation));
  telemetry::Gauge& active = ActiveRequest::gauge(parts_->metrics);
  SecurityLog* const log = access == "public" ? nullptr : parts_->security;
  const http::Handler handler = [body, log, parts = parts_, operation, part = kind.part,
                                 &active](http::Context& context) -> Aw<http::Response> {
    const ActiveRequest in_work(active);
    const Clock::Steady begun = parts->clock.steady_now();
    if (log != nullptr) inspect_address(*log, context);
    auto response = co_await body(context);
    if (log != nullptr) note_outcome(*log, context, response);
    operation.ended(response.has_value(), parts->clock.steady_now() - begun);
    if (response) co_return std::move(*response);
    // That something is not there is an answer.
    if (part && response.error().code != Errc::kNotFound)
      count_error(parts->metrics, parts->clock, *part, response.error());
    co_return http::native_error(response.error(), context);
  };
  for (const char* version : {"", "/api/v1"}) {
    router_.add({.method = method,
                 .pattern = version + mount_ + std::string(pattern),
                 .handler = handler,
                 .access = access,
                 .max_body_bytes = max_body_bytes});
  }
}

http::Response json_reply(int status, const json::object& body) {
  return http::Response::json(status, json::serialize(body));
}

Result<json::object> body_of(const http::Request& request) {
  if (request.body.empty()) return json::object{};
  ASAHI_TRY(json::value value, parse_json(request.body));
  if (!value.is_object()) return fail(Errc::kInvalidArgument, "the body must be a JSON object");
  return std::move(value.get_object());
}

Aw<void> note(const RouteParts& parts, const http::Context& context, std::string action,
              std::string resource, json::object details) {
  const identity::Principal& caller = identity::principal_of(context);
  identity::AuditEntry entry;
  entry.org_id = caller.org_id;
  entry.user_id = identity::actor_of(caller);
  entry.action = std::move(action);
  entry.resource = std::move(resource);
  entry.details = std::move(details);
  entry.ip_address = context.request.remote_address;
  entry.user_agent = std::string(context.request.headers.get("user-agent").substr(0, 256));
  const auto stored = co_await parts.audit.append(std::move(entry));
  if (!stored) {
    Logger("memory").error("an entry is missing in the audit log",
                           {{"error", stored.error().message}});
  }
}

}  // namespace asahi::memory
