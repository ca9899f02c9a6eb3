#include "memory/http/ops_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "identity/principal.h"
#include "memory/http/stats_json.h"
#include "memory/knowledge/knowledge.h"
#include "memory/ops/systems.h"
#include "memory/outside/orchestrator.h"
#include "net/http/query_params.h"

namespace asahi::memory {
namespace {

using SharedOps = std::shared_ptr<const OpsRouteParts>;
constexpr const char* kService = "akosha";
constexpr std::array<std::string_view, 6> kFamilies = {"akosha_", "circuit_",  "analytics_",
                                                       "kg_",     "security_", "embedding_"};

/// Whoever sent nothing for so long has stopped, or cannot.
constexpr std::chrono::days kSilentAfter{7};

json::object system_json(const SystemSummary& system, Clock::Time now) {
  const bool silent = !system.last_upload || now - *system.last_upload > kSilentAfter;
  json::object records;
  std::uint64_t all = 0;
  for (const auto& [tier, count] : system.records) {
    records[tier] = count;
    all += count;
  }
  return {{"system_id", system.system_id},
          {"records", std::move(records)},
          {"total_records", all},
          {"uploads", system.uploads},
          {"last_upload", system.last_upload ? json::value(format_rfc3339(*system.last_upload))
                                             : json::value(nullptr)},
          {"silent", silent},
          {"shard", system.shard}};
}

json::object counts_json(const SystemProfile::Counts& counts) {
  json::object out;
  for (const auto& [value, count] : counts) out[value] = count;
  return out;
}

json::object profile_json(const SystemProfile& profile) {
  return {{"memories", profile.memories},
          {"languages", counts_json(profile.languages)},
          {"sources", counts_json(profile.sources)},
          {"projects", counts_json(profile.projects)},
          {"users", counts_json(profile.users)},
          {"kinds", counts_json(profile.kinds)},
          {"days", counts_json(profile.days)},
          {"partial", profile.partial}};
}

/// Memories of the last day by the hour they are of, out of the hourly series; hours without one
/// are left out. Empty where series are not served or away.
Aw<json::array> hours_of(const RouteParts& parts, std::string tenant, std::string system_id) {
  json::array hours;
  if (parts.knowledge == nullptr) co_return hours;
  const Clock::Time now = parts.clock.now();
  const auto found = co_await parts.knowledge->run([&] {
    return parts.knowledge->series().read(tenant, {.metric = "conversation_count",
                                                   .system_id = system_id,
                                                   .from = now - std::chrono::hours(24),
                                                   .to = now});
  });
  if (!found) co_return hours;
  for (const series::Point& point : found->points)
    hours.push_back(json::object{{"at", format_rfc3339(point.at)}, {"memories", point.value}});
  co_return hours;
}

Task<http::Response> list_systems(SharedOps parts, http::Context& context) {
  ASAHI_CO_TRY(const std::int64_t limit,
               http::QueryParams(context.request).integer("limit", 100, 1, 1000));
  const std::string after = context.request.query_param("cursor").value_or("");
  const RouteParts& shared = *parts->shared;
  ASAHI_CO_TRY(const auto systems,
               co_await systems_of(stores_of(shared), *shared.ledger, reach_of(context), ""));
  json::array list;
  json::value next(nullptr);
  for (const SystemSummary& system : systems) {
    if (!after.empty() && system.system_id <= after) continue;
    if (list.size() == static_cast<std::size_t>(limit)) {
      next = list.back().at("system_id");
      break;
    }
    list.push_back(system_json(system, shared.clock.now()));
  }
  co_return json_reply(
      200,
      {{"systems", std::move(list)}, {"total", systems.size()}, {"next_cursor", std::move(next)}});
}

Task<http::Response> get_system(SharedOps parts, http::Context& context) {
  const std::string id(context.path_param("system_id"));
  if (auto ok = check_system_id(id); !ok) co_return std::unexpected(ok.error());
  const Reach reach = reach_of(context);
  if (auto ok = reach.check(id); !ok) co_return std::unexpected(ok.error());
  const RouteParts& shared = *parts->shared;
  ASAHI_CO_TRY(const auto systems,
               co_await systems_of(stores_of(shared), *shared.ledger, reach, id));
  if (systems.empty())
    co_return fail(Errc::kNotFound, fmt::format("nothing is known of the system '{}'", id));
  json::object system = system_json(systems.front(), shared.clock.now());
  json::object profile = profile_json(co_await profile_of(stores_of(shared), reach.tenant(), id));
  profile["hours"] = co_await hours_of(shared, reach.tenant(), id);
  system["profile"] = std::move(profile);
  co_return json_reply(200, system);
}

Task<http::Response> health(SharedOps parts, http::Context&) {
  co_return json_reply(200, {{"status", "ok"}, {"service", kService}, {"version", parts->version}});
}

Task<http::Response> alive(SharedOps, http::Context&) {
  co_return http::Response::json(200, R"({"status":"ok"})");
}

Task<http::Response> ready(SharedOps parts, http::Context&) {
  const Health::Report report = co_await parts->health.look();
  co_return json_reply(report.ready() ? 200 : 503, health_json(report));
}

Task<http::Response> status(SharedOps parts, http::Context&) {
  const Health::Report report = co_await parts->health.look();
  json::object body = health_json(report);
  body["service"] = kService;
  body["version"] = parts->version;
  body["uptime_seconds"] = std::chrono::duration_cast<std::chrono::seconds>(
                               parts->shared->clock.steady_now() - parts->started)
                               .count();
  body["checked_at"] = format_rfc3339(report.at);
  body["fallback_mode"] = parts->shared->orchestrator.status().fallback;
  co_return json_reply(200, body);
}

Task<http::Response> get_settings(SharedOps parts, http::Context& context) {
  co_return json_reply(200, parts->settings.show(operates(context)));
}

Task<http::Response> change_settings(SharedOps parts, http::Context& context) {
  if (!operates(context)) {
    co_return fail(Errc::kForbidden,
                   "these settings are those of the whole process; changing them needs the "
                   "permission manage_tenants, and a credential of all systems");
  }
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(const json::object report, parts->settings.change(body));
  co_await note(*parts->shared, context, "memory.settings.update", "memory/settings", report);
  co_return json_reply(200, {{"changed", report}, {"until", "the process ends"}});
}

Task<http::Response> circuits(SharedOps parts, http::Context& context) {
  json::array list;
  for (const auto& [name, stats] : parts->circuits(reach_of(context).tenant()))
    list.push_back(circuit_json(name, stats));
  co_return json_reply(200, {{"circuit_breakers", std::move(list)}});
}

Task<http::Response> metrics(SharedOps parts, http::Context& context) {
  const auto families = parts->metrics.collect();
  co_return json_reply(200, {{"timestamp", format_rfc3339(parts->shared->clock.now())},
                             {"metrics", metrics_json(families, operates(context))}});
}

}  // namespace

json::object metrics_json(const std::vector<telemetry::FamilySnapshot>& families, bool all) {
  json::object out;
  for (const telemetry::FamilySnapshot& family : families) {
    const bool ours = std::ranges::any_of(
        kFamilies, [&](std::string_view prefix) { return family.name.starts_with(prefix); });
    if (!ours) continue;
    std::map<telemetry::Labels, telemetry::Sample> sums;
    for (const telemetry::Sample& sample : family.samples) {
      telemetry::Labels labels = sample.labels;
      if (!all) std::erase_if(labels, [](const auto& label) { return label.first == "system_id"; });
      auto [at, fresh] = sums.try_emplace(labels, sample);
      if (fresh) continue;
      at->second.value += sample.value;
      for (std::size_t i = 0; i < sample.buckets.size() && i < at->second.buckets.size(); ++i)
        at->second.buckets[i] += sample.buckets[i];
    }
    json::array series;
    for (const auto& [labels, sample] : sums) {
      json::object one;
      json::object& named = one["labels"].emplace_object();
      for (const auto& [name, value] : labels) named[name] = value;
      if (family.type == telemetry::MetricType::kHistogram) {
        one["count"] = sample.count();
        one["sum"] = sample.value;
        json::object& buckets = one["buckets"].emplace_object();
        for (std::size_t i = 0; i < family.bounds.size() && i < sample.buckets.size(); ++i)
          buckets[fmt::format("{}", family.bounds[i])] = sample.buckets[i];
        buckets["+Inf"] = sample.count();
      } else {
        one["value"] = sample.value;
      }
      series.push_back(std::move(one));
    }
    const char* type = family.type == telemetry::MetricType::kCounter ? "counter"
                       : family.type == telemetry::MetricType::kGauge ? "gauge"
                                                                      : "histogram";
    out[family.name] =
        json::object{{"type", type}, {"help", family.help}, {"series", std::move(series)}};
  }
  return out;
}

void add_ops_routes(const RouteAdder& routes, OpsRouteParts given) {
  using enum http::Method;
  const auto parts = std::make_shared<const OpsRouteParts>(std::move(given));
  const auto add = [&](http::Method method, std::string_view pattern, std::string_view access,
                       Task<http::Response> (*body)(SharedOps, http::Context&)) {
    routes.add_body(method, pattern, access,
                    [parts, body](http::Context& context) { return body(parts, context); });
  };
  // A process that has nothing but the memory tells these of itself (health_routes.h), and its
  // series as Prometheus reads them.
  if (!routes.mount().empty()) {
    add(kGet, "/health", "public", health);
    add(kGet, "/healthz", "public", alive);
    add(kGet, "/ready", "public", ready);
    add(kGet, "/metrics", "system:status", metrics);
  }
  add(kGet, "/status", "public", status);
  add(kGet, "/systems", "system:status", list_systems);
  add(kGet, "/systems/{system_id}", "system:status", get_system);
  add(kGet, "/settings", "admin:settings", get_settings);
  add(kPatch, "/settings", "admin:settings", change_settings);
  add(kGet, "/circuit-breakers", "system:status", circuits);
}

}  // namespace asahi::memory
