#include "net/http/cors.h"

#include <algorithm>

namespace asahi::http {

Cors::Cors(std::vector<std::string> origins) : origins_(std::move(origins)) {
  any_ = std::ranges::find(origins_, "*") != origins_.end();
}

bool Cors::allows(std::string_view origin) const {
  return !origin.empty() && (any_ || std::ranges::find(origins_, origin) != origins_.end());
}

std::optional<Response> Cors::preflight(const Request& request) const {
  if (!enabled() || request.method != Method::kOptions || !request.headers.has("Origin") ||
      !request.headers.has("Access-Control-Request-Method")) {
    return std::nullopt;
  }
  Response response;
  response.status = 204;
  if (!allows(request.headers.get("Origin"))) return response;
  response.headers.add("Access-Control-Allow-Methods",
                       "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  const std::string_view wanted = request.headers.get("Access-Control-Request-Headers");
  if (!wanted.empty()) response.headers.add("Access-Control-Allow-Headers", std::string(wanted));
  response.headers.add("Access-Control-Max-Age", "600");
  return response;
}

void Cors::append_fields(std::string& out, const Request& request) const {
  if (!enabled()) return;
  const std::string_view origin = request.headers.get("Origin");
  if (!any_) out += "Vary: Origin\r\n";
  if (!allows(origin)) return;
  if (any_) {
    out += "Access-Control-Allow-Origin: *\r\n";
  } else {
    out += "Access-Control-Allow-Origin: ";
    out += origin;
    out += "\r\nAccess-Control-Allow-Credentials: true\r\n";
  }
  out +=
      "Access-Control-Expose-Headers: X-Request-Id, Retry-After, X-RateLimit-Limit, "
      "X-RateLimit-Remaining, "
      "X-RateLimit-Reset\r\n";
}

}  // namespace asahi::http
