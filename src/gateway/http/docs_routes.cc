#include <fmt/format.h>

#include "gateway/embedded_files.h"
#include "gateway/http/admin_routes.h"

namespace asahi::gateway {
namespace {

std::string_view content_type(std::string_view path) {
  const auto ends = [&](std::string_view suffix) { return path.ends_with(suffix); };
  if (ends(".html")) return "text/html; charset=utf-8";
  if (ends(".js")) return "text/javascript; charset=utf-8";
  if (ends(".css")) return "text/css; charset=utf-8";
  if (ends(".svg")) return "image/svg+xml";
  if (ends(".png")) return "image/png";
  if (ends(".ico")) return "image/x-icon";
  if (ends(".woff2")) return "font/woff2";
  if (ends(".json")) return "application/json";
  return "application/octet-stream";
}

http::Response file_response(const EmbeddedFile& file, std::string_view path) {
  http::Response response;
  response.headers.add("Content-Type", std::string(content_type(path)));
  // Names of built assets carry a digest of their content; the pages do not.
  response.headers.add("Cache-Control", path.starts_with("dashboard/assets/")
                                            ? "public, max-age=31536000, immutable"
                                            : "no-cache");
  // Dialogs set inline styles; a dashboard may be pointed at another gateway.
  if (path == "dashboard/index.html") {
    response.headers.add("Content-Security-Policy",
                         "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' "
                         "data:; connect-src *; "
                         "frame-ancestors 'none'; base-uri 'none'; form-action 'self'");
  }
  response.body = std::string(file.bytes);
  return response;
}

http::Response page(std::string_view name) {
  const EmbeddedFile* file = embedded_file(name);
  return file == nullptr ? http::Response::text(404, "not built into this program\n")
                         : file_response(*file, name);
}

}  // namespace

void add_docs_routes(http::Router& router) {
  router.get(
      "/openapi.json",
      [](http::Context&) -> Aw<http::Response> { co_return page("api/openapi.json"); }, "public");
  for (const char* path : {"/docs", "/redoc"}) {
    router.get(
        path, [](http::Context&) -> Aw<http::Response> { co_return page("api/docs.html"); },
        "public");
  }
}

void add_dashboard_routes(http::Router& router) {
  router.get(
      "/", [](http::Context&) -> Aw<http::Response> { co_return page("dashboard/index.html"); },
      "public");
  router.get(
      "/favicon.svg",
      [](http::Context&) -> Aw<http::Response> { co_return page("dashboard/favicon.svg"); },
      "public");
  // Where browsers look without being told: from /docs, or a reply of the API opened in a tab.
  router.get(
      "/favicon.ico",
      [](http::Context&) -> Aw<http::Response> { co_return page("dashboard/favicon.ico"); },
      "public");
  router.get(
      "/assets/{path...}",
      [](http::Context& context) -> Aw<http::Response> {
        co_return page(fmt::format("dashboard/assets/{}", context.path_param("path")));
      },
      "public");
}

}  // namespace asahi::gateway
