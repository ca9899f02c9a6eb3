#include "memory/ageing/ageing.h"
#include "memory/http/routes.h"
#include "memory/wiring/tiers.h"

namespace asahi::memory {
namespace {

Task<http::Response> start_migration(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(const ageing::Ageing::Request request, ageing::Ageing::parse(body));
  ASAHI_CO_TRY(const ageing::Run run, co_await parts.ageing->request(tenant_of(context), request));
  if (!run.dry_run) {
    co_await note(
        parts, context, "memory.migration.start", "memory/migration/" + run.id,
        {{"source_tier", tier_name(run.step.source)}, {"target_tier", tier_name(run.step.target)}});
  }
  co_return json_reply(run.dry_run ? 200 : 202, ageing::run_json(run));
}

Task<http::Response> get_migration(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(
      const ageing::Run run,
      co_await parts.ageing->find(tenant_of(context), std::string(context.path_param("id"))));
  co_return json_reply(200, ageing::run_json(run));
}

Task<http::Response> warm_health(const RouteParts& parts, http::Context&) {
  ASAHI_CO_TRY(const json::object health, co_await parts.tiers->warm_health());
  co_return json_reply(health.at("healthy").as_bool() ? 200 : 503, health);
}

}  // namespace

void add_ageing_routes(const RouteAdder& routes) {
  using enum http::Method;
  if (routes.parts().ageing != nullptr) {
    routes.add(kPost, "/storage/migrations", "system:migrate", start_migration);
    routes.add(kGet, "/storage/migrations/{id}", "system:migrate", get_migration);
  }
  if (routes.parts().tiers != nullptr) routes.add(kGet, "/health/warm", "public", warm_health);
}

}  // namespace asahi::memory
