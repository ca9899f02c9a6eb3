#include "memory/http/health_routes.h"

#include <memory>

#include "base/json.h"
#include "net/event.h"
#include "net/http/server.h"

namespace asahi::memory {
namespace {

constexpr std::chrono::seconds kPatience{2};

json::object alive(const ProcessHealth& health) {
  return {{"status", health.draining ? "draining" : "ok"},
          {"service", health.service},
          {"component", health.component},
          {"version", health.version}};
}

/// Asks all dependencies at once; who does not answer in time counts as away.
struct Asked {
  explicit Asked(net::Loop& loop) : done(loop) {}
  net::Event done;
  std::vector<std::optional<Result<void>>> answers;
  std::vector<std::chrono::nanoseconds> took;
  std::size_t waiting = 0;
};

Aw<void> ask(std::shared_ptr<Asked> asked, std::function<Task<void>()> check, std::size_t at,
             const Clock& clock) {
  const auto started = clock.steady_now();
  auto answer = co_await check();
  asked->took[at] = clock.steady_now() - started;
  asked->answers[at] = std::move(answer);
  if (--asked->waiting == 0) asked->done.set();
}

Aw<http::Response> ready(const ProcessHealth& health) {
  net::Loop& loop = *net::Loop::current();
  auto asked = std::make_shared<Asked>(loop);
  asked->waiting = health.dependencies.size();
  asked->answers.resize(asked->waiting);
  asked->took.resize(asked->waiting, kPatience);
  for (std::size_t i = 0; i < health.dependencies.size(); ++i)
    loop.spawn("readiness", ask(asked, health.dependencies[i].check, i, health.clock));
  if (asked->waiting > 0) {
    const auto timer =
        loop.at(std::chrono::steady_clock::now() + kPatience, [asked] { asked->done.set(); });
    co_await asked->done.wait();
  }
  json::object dependencies;
  bool whole = !health.draining;
  for (std::size_t i = 0; i < health.dependencies.size(); ++i) {
    const auto& answer = asked->answers[i];
    json::object& one = dependencies[health.dependencies[i].name].emplace_object();
    const bool good = answer && *answer;
    whole = whole && good;
    one["status"] = good ? "healthy" : "unavailable";
    one["latency_ms"] = std::chrono::duration<double, std::milli>(asked->took[i]).count();
    if (!good) one["error"] = answer ? answer->error().message : "no answer in time";
  }
  json::object body = alive(health);
  body["status"] = health.draining ? "draining" : whole ? "ready" : "unavailable";
  body["dependencies"] = std::move(dependencies);
  co_return http::Response::json(whole ? 200 : 503, json::serialize(body));
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
