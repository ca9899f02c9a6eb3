#include <fmt/format.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "net/http/server.h"

namespace asahi::http {
namespace {

std::string_view public_code(Errc code) {
  switch (code) {
    case Errc::kInvalidArgument:
      return "validation_error";
    case Errc::kUnauthenticated:
      return "unauthorized";
    case Errc::kForbidden:
      return "forbidden";
    case Errc::kNotFound:
      return "not_found";
    case Errc::kConflict:
      return "conflict";
    case Errc::kTooLarge:
      return "payload_too_large";
    case Errc::kRateLimited:
      return "rate_limited";
    case Errc::kTimeout:
      return "deadline_exceeded";
    case Errc::kCancelled:
      return "client_closed_request";
    case Errc::kUnavailable:
      return "service_unavailable";
    case Errc::kUpstream:
      return "upstream_error";
    case Errc::kCorrupt:
    case Errc::kInternal:
      break;
  }
  return "internal_server_error";
}

}  // namespace

int http_status(Errc code) {
  switch (code) {
    case Errc::kInvalidArgument:
      return 400;
    case Errc::kUnauthenticated:
      return 401;
    case Errc::kForbidden:
      return 403;
    case Errc::kNotFound:
      return 404;
    case Errc::kConflict:
      return 409;
    case Errc::kTooLarge:
      return 413;
    case Errc::kRateLimited:
      return 429;
    case Errc::kTimeout:
      return 504;
    case Errc::kCancelled:
      return 499;
    case Errc::kUnavailable:
      return 503;
    case Errc::kUpstream:
      return 502;
    case Errc::kCorrupt:
    case Errc::kInternal:
      break;
  }
  return 500;
}

Response native_error(const Error& error, const Context& context) {
  const int status = http_status(error.code);
  // What went wrong inside is for the log; the client gets the id to ask with.
  const bool internal = status == 500;
  std::string body = "{\"error\":";
  append_json_string(body, internal || error.reason.empty() ? public_code(error.code)
                                                            : std::string_view(error.reason));
  body += ",\"message\":";
  // Messages quote what callers sent, in part: it may be no UTF-8, or end within a character.
  append_json_string(body, internal ? "internal error; quote the request id when you report it"
                                    : mended_utf8(error.message));
  body += ",\"details\":{";
  if (!error.field.empty()) {
    body += "\"field\":";
    append_json_string(body, mended_utf8(error.field));
  }
  if (!error.details.empty() && !internal) {
    if (!error.field.empty()) body += ',';
    body += error.details;
  }
  body += "},\"request_id\":";
  append_json_string(body, context.request_id);
  body += ",\"timestamp\":\"" + format_rfc3339(system_clock().now()) + '"';
  std::string retry_after;
  if (status == 429 || status == 503) {
    const auto wait = error.retry_after.value_or(std::chrono::seconds(1));
    retry_after = std::to_string(
        std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(wait).count()));
    body += ",\"retry_after_seconds\":" + retry_after;
  }
  body += '}';
  Response response = Response::json(status, std::move(body));
  if (!retry_after.empty()) response.headers.add("Retry-After", std::move(retry_after));
  return response;
}

}  // namespace asahi::http
