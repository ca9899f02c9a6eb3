#include "memory/http/health_routes.h"

#include "base/json.h"
#include "net/http/server.h"

namespace asahi::memory {
namespace {

json::object alive(const ProcessHealth& health) {
  return {{"status", health.draining ? "draining" : "ok"},
          {"service", health.service},
          {"component", health.component},
          {"version", health.version}};
}

Aw<http::Response> ready(const ProcessHealth& health) {
  json::object body = alive(health);
  const Health::Report report = co_await health.checks->look();
  const bool ready = !health.draining && report.ready();
  for (auto& [name, value] : health_json(report)) body[name] = value;
  if (health.draining) body["status"] = "draining";
  co_return http::Response::json(ready ? 200 : 503, json::serialize(body));
}

}  // namespace

void add_health_routes(http::Router& router, const ProcessHealth& health) {
  const auto tell_alive = [&health](http::Context&) -> Aw<http::Response> {
    co_return http::Response::json(200, json::serialize(alive(health)));
  };
  for (const char* version : {"", "/api/v1"}) {
    for (const char* path : {"/health", "/healthz"})
      router.get(std::string(version) + path, tell_alive, "public");
    router.get(
        std::string(version) + "/ready",
        [&health](http::Context&) -> Aw<http::Response> { return ready(health); }, "public");
  }
  if (!health.serve_metrics) return;
  router.get(
      "/metrics",
      [&health](http::Context&) -> Aw<http::Response> {
        if (health.measure) co_await health.measure();
        co_return http::Response::text(200, health.metrics.expose(),
                                       "text/plain; version=0.0.4; charset=utf-8");
      },
      "public");
}

}  // namespace asahi::memory
