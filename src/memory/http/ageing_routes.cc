#include "memory/ageing/ageing.h"
#include "memory/http/routes.h"
#include "memory/wiring/tiers.h"
#include "net/http/query_params.h"

namespace asahi::memory {
namespace {

/// Runs move what is old of all systems, and count it.
Result<std::string> tenant_of_runs(const http::Context& context) {
  const Reach reach = reach_of(context);
  if (auto ok = reach.check_whole("the ageing of memories"); !ok)
    return std::unexpected(ok.error());
  return reach.tenant();
}

Task<http::Response> start_migration(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string tenant, tenant_of_runs(context));
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(const ageing::Ageing::Request request, ageing::Ageing::parse(body));
  ASAHI_CO_TRY(const ageing::Run run, co_await parts.ageing->request(tenant, request));
  if (!run.dry_run) {
    co_await note(
        parts, context, "memory.migration.start", "memory/migration/" + run.id,
        {{"source_tier", tier_name(run.step.source)}, {"target_tier", tier_name(run.step.target)}});
  }
  co_return json_reply(run.dry_run ? 200 : 202, ageing::run_json(run));
}

Task<http::Response> list_migrations(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string tenant, tenant_of_runs(context));
  const http::QueryParams params(context.request);
  ageing::RunQuery query{.org_id = tenant, .scheduled = operates(context)};
  ASAHI_CO_TRY(const std::int64_t limit, params.integer("limit", 50, 1, 1000));
  query.limit = static_cast<std::size_t>(limit);
  ASAHI_CO_TRY(query.cursor, params.text("cursor", 64));
  ASAHI_CO_TRY(const ageing::RunPage page, co_await parts.ageing->list(std::move(query)));
  json::array runs;
  for (const ageing::Run& run : page.runs) runs.push_back(ageing::run_json(run));
  const ageing::Ageing::Plan plan = parts.ageing->plan();
  co_return json_reply(
      200, {{"migrations", std::move(runs)},
            {"next_cursor", page.next.empty() ? json::value(nullptr) : json::value(page.next)},
            {"plan",
             {{"schedule", plan.schedule},
              {"next_run", plan.next_run ? json::value(format_rfc3339(*plan.next_run)) : nullptr},
              {"hot_days", plan.hot_days},
              {"warm_days", plan.warm_days}}}});
}

Task<http::Response> get_migration(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string tenant, tenant_of_runs(context));
  ASAHI_CO_TRY(const ageing::Run run,
               co_await parts.ageing->find(tenant, std::string(context.path_param("id"))));
  co_return json_reply(200, ageing::run_json(run));
}

Task<http::Response> remove_expired(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  bool dry_run = false;
  for (const auto& member : body) {
    if (member.key() != "dry_run") co_return fail_field(std::string(member.key()), "no such field");
    if (!member.value().is_bool()) co_return fail_field("dry_run", "it is not true or false");
    dry_run = member.value().get_bool();
  }
  ASAHI_CO_TRY(const std::string tenant, tenant_of_runs(context));
  ASAHI_CO_TRY(const Tiers::Expiry done, co_await parts.tiers->expire_cold(tenant, dry_run));
  const std::string before = format_rfc3339(done.before);
  if (!dry_run) {
    co_await parts.search.erased(tenant);
    co_await note(parts, context, "memory.retention.remove", "memory/cold",
                  {{"before", before}, {"records_removed", done.expired.records}});
  }
  co_return json_reply(200, {{"dry_run", dry_run},
                             {"before", before},
                             {"records_removed", done.expired.records},
                             {"files_removed", done.expired.files}});
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
    routes.add(kGet, "/storage/migrations", "system:migrate", list_migrations);
    routes.add(kGet, "/storage/migrations/{id}", "system:migrate", get_migration);
  }
  if (routes.parts().tiers == nullptr) return;
  routes.add(kPost, "/storage/retention", "system:migrate", remove_expired);
  routes.add(kGet, "/health/warm", "public", warm_health);
}

}  // namespace asahi::memory
