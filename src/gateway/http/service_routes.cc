#include <fmt/format.h>

#include <algorithm>

#include "gateway/analytics/compute/cache_figures.h"
#include "gateway/http/admin_routes.h"
#include "gateway/http/errors.h"
#include "identity/principal.h"

namespace asahi::gateway {
namespace {

using OwnKeys = std::shared_ptr<const identity::OwnKeys::Keys>;

/// The keys that the caller's organisation has at vendors; null: none, or none that can be read.
Aw<OwnKeys> own_keys_of(const ServiceParts& parts, const http::Context& context) {
  if (parts.own_keys == nullptr) co_return nullptr;
  const auto caller = identity::shared_principal_of(context);
  if (auto known = parts.own_keys->try_get(*caller)) co_return *std::move(known);
  auto found = co_await parts.own_keys->get(caller->org_id);
  co_return found ? *std::move(found) : nullptr;
}

bool has_key(const ServiceParts& parts, const OwnKeys& own, const std::string& provider) {
  return parts.vendors.usable(provider) || own_key(own.get(), provider) != nullptr;
}

json::object models_json(const ServiceParts& parts, const Registry& registry, const OwnKeys& own) {
  json::array models;
  for (const ModelProfile& model : registry.all()) {
    const bool usable =
        has_key(parts, own, model.provider) &&
        parts.vendors.status(model.provider).state != VendorStatus::State::kUnreachable;
    const bool open = parts.dispatcher.breaker(model.provider).state(parts.clock.steady_now()) ==
                      Breaker::State::kOpen;
    const std::string_view availability = !usable ? "unavailable"
                                          : open  ? "degraded"
                                                  : to_string(model.availability);
    json::array supports;
    for (std::size_t i = 0; i < kCapabilityCount; ++i) {
      const auto capability = static_cast<Capability>(i);
      if (model.supports.has(capability)) supports.push_back(json::string(to_string(capability)));
    }
    models.push_back(
        json::object{{"name", model.name},
                     {"provider", model.provider},
                     {"cost_per_1k_input", model.input.dollars_per_1k()},
                     {"cost_per_1k_output", model.output.dollars_per_1k()},
                     {"cost_per_1k_input_tokens", model.input.dollars_per_1k()},
                     {"cost_per_1k_output_tokens", model.output.dollars_per_1k()},
                     {"cost_per_1k_cached_input_tokens", model.cached_input.dollars_per_1k()},
                     {"quality", model.quality},
                     {"quality_score", model.quality},
                     {"latency_ms", model.avg_latency_ms},
                     {"avg_latency_ms", model.avg_latency_ms},
                     {"max_input_tokens", model.max_input_tokens},
                     {"max_output_tokens", model.max_output_tokens},
                     {"description", model.description},
                     {"region", model.region},
                     {"supports", std::move(supports)},
                     {"availability", availability}});
  }
  json::array task_types;
  json::object defaults;
  for (const auto& [type, row] : parts.config.tasks) {
    task_types.push_back(json::string(type));
    defaults[type] = json::object{{"quality_threshold", row.quality_threshold},
                                  {"latency_budget_ms", row.latency_budget_ms},
                                  {"cache_ttl_hours", row.cache_ttl_hours}};
  }
  const std::size_t count = models.size();
  return {{"models", std::move(models)},
          {"count", count},
          {"task_types", std::move(task_types)},
          {"default_constraints", std::move(defaults)}};
}

json::object openai_model(const ModelProfile& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", 1'700'000'000},
          {"owned_by", model.provider},
          {"asahi",
           {{"cost_per_1k_input_tokens", model.input.dollars_per_1k()},
            {"cost_per_1k_output_tokens", model.output.dollars_per_1k()},
            {"quality_score", model.quality},
            {"avg_latency_ms", model.avg_latency_ms},
            {"max_input_tokens", model.max_input_tokens},
            {"max_output_tokens", model.max_output_tokens}}}};
}

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0
             ? 0
             : std::round(static_cast<double>(part) / static_cast<double>(whole) * 10'000) / 10'000;
}

json::object batching_json(const BatchStats& stats) {
  return {{"running", stats.running},
          {"batches_executed", stats.batches_executed},
          {"requests_processed", stats.requests_processed},
          {"batch_errors", stats.batch_errors},
          {"individual_fallbacks", stats.individual_fallbacks},
          {"queue_size", stats.queue_size}};
}

json::object features_json(const FeatureStats& stats) {
  return {{"enabled", stats.enabled},
          {"reason", stats.reason},
          {"requests", stats.requests},
          {"successes", stats.successes},
          {"failures", stats.failures},
          {"availability_percent", stats.availability_percent},
          {"average_ms", stats.average_ms},
          {"quality_with", stats.quality_with},
          {"quality_without", stats.quality_without},
          {"samples_with", stats.samples_with},
          {"samples_without", stats.samples_without}};
}

Aw<json::object> metrics_json(ServiceParts parts, std::string org) {
  const OrgTotals totals = parts.totals.of(org);
  const std::int64_t answered = totals.requests - totals.errors;
  json::object cost_by_model, requests_by_model, modes, cache_stats;
  for (const auto& [model, cost] : totals.cost_by_model) cost_by_model[model] = shown_dollars(cost);
  for (const auto& [model, count] : totals.requests_by_model) requests_by_model[model] = count;
  for (const auto& [mode, count] : totals.requests_by_mode) modes[mode] = count;
  json::object out{
      {"total_cost", shown_dollars(totals.cost)},
      {"total_requests", totals.requests},
      {"requests", totals.requests},
      {"errors", totals.errors},
      {"avg_latency_ms",
       answered == 0
           ? 0
           : std::round(totals.latency_ms_sum / static_cast<double>(answered) * 1000) / 1000},
      {"cache_hit_rate", ratio(totals.hits(), totals.lookups)},
      {"gpt4_equivalent_cost", shown_dollars(totals.baseline_cost)},
      {"estimated_savings_vs_gpt4", shown_dollars(totals.savings())},
      {"absolute_savings", shown_dollars(totals.savings())},
      {"savings_percent",
       totals.baseline_cost.nanos == 0
           ? 0.0
           : std::round(1000.0 * totals.savings().dollars() / totals.baseline_cost.dollars()) / 10},
      {"avg_quality",
       totals.quality_count == 0
           ? 0
           : std::round(totals.quality_sum / static_cast<double>(totals.quality_count) * 100) /
                 100},
      {"cache_cost_saved", shown_dollars(totals.cache_saved)},
      {"uptime_seconds",
       std::chrono::duration_cast<std::chrono::seconds>(parts.clock.steady_now() - parts.started)
           .count()},
      {"events_dropped", parts.events.dropped()},
  };
  const CacheConfig& tiers = parts.config.cache;
  const auto misses_by_tier = analytics::misses_by_tier(
      totals.lookups, totals.hits_by_tier,
      {false, tiers.tier1.enabled, parts.semantic != nullptr, tiers.tier3.enabled});
  for (std::size_t tier = 1; tier <= 3; ++tier) {
    const std::int64_t hits = totals.hits_by_tier[tier];
    const std::int64_t misses = misses_by_tier[tier];
    out[fmt::format("tier{}_hits", tier)] = hits;
    out[fmt::format("tier{}_misses", tier)] = misses;
    cache_stats[fmt::format("tier_{}", tier)] =
        json::object{{"hits", hits}, {"misses", misses}, {"hit_rate", ratio(hits, hits + misses)}};
  }
  cache_stats["overall_hit_rate"] = ratio(totals.hits(), totals.lookups);
  auto cache = co_await parts.cache.stats();
  out["cache_size"] = cache ? cache->entries : 0;
  out["cache_stats"] = std::move(cache_stats);
  out["cost_by_model"] = std::move(cost_by_model);
  out["requests_by_model"] = std::move(requests_by_model);
  out["mode_distribution"] = std::move(modes);
  if (parts.batcher != nullptr) out["batching"] = batching_json(parts.batcher->stats());
  if (parts.enricher != nullptr) out["feature_store"] = features_json(parts.enricher->stats());
  co_return out;
}

/// Prometheus text when the client prefers it to JSON (R3).
bool wants_text(const http::Request& request) {
  if (request.query_param("format") == "prometheus") return true;
  const std::string_view accept = request.headers.get("accept");
  const std::size_t text =
      std::min(accept.find("text/plain"), accept.find("application/openmetrics-text"));
  return text != std::string_view::npos && text < accept.find("application/json");
}

http::Response exposition(const ServiceParts& parts) {
  return http::Response::text(200, parts.exposition(), "text/plain; version=0.0.4; charset=utf-8");
}

Aw<json::object> health_json(ServiceParts parts) {
  json::object components;
  bool degraded = false;
  const auto add = [&](std::string_view name, std::string_view state) {
    components[name] = json::string(state);
    if (state == "degraded" || state == "unavailable") degraded = true;
  };
  add("cache", parts.cache.degraded() ? "degraded" : "healthy");
  add("router", parts.registry.get()->empty() ? "unavailable" : "healthy");
  add("registry", parts.registry.get()->empty() ? "unavailable" : "healthy");
  add("tracker", parts.events.healthy() && parts.loader.healthy() ? "healthy" : "degraded");
  add("observability", "healthy");
  add("governance",
      !parts.governance_healthy || parts.governance_healthy() ? "healthy" : "degraded");
  const bool postgres = parts.database.dialect() == sql::Dialect::kPostgres;
  add("postgres", !postgres ? "not_configured" : parts.loader.healthy() ? "healthy" : "degraded");
  add("redis", parts.cache.backend() != "redis" ? "not_configured"
               : parts.cache.degraded()         ? "degraded"
                                                : "healthy");
  add("pinecone", "not_configured");
  const bool embeds = parts.semantic != nullptr;
  add("embedder",
      !embeds ? "not_configured"
      : parts.semantic->cache->embedder_state() == SemanticCache::EmbedderState::kHealthy
          ? "healthy"
          : "degraded");
  bool anybody = parts.vendors.mock();
  for (const VendorStatus& vendor : parts.vendors.statuses()) {
    const bool open = parts.dispatcher.breaker(vendor.name).state(parts.clock.steady_now()) ==
                      Breaker::State::kOpen;
    if (vendor.state == VendorStatus::State::kNotConfigured) {
      components[vendor.name] = "not_configured";
      continue;
    }
    // A keyless server nobody has seen yet (Ollama on its default address) is an offer, not a
    // dependency.
    if (vendor.state == VendorStatus::State::kUnreachable && !vendor.seen &&
        !parts.vendors.needs_key(vendor.name)) {
      components[vendor.name] = "unavailable";
      continue;
    }
    anybody = true;
    add(vendor.name, open || vendor.state == VendorStatus::State::kUnreachable ? "degraded"
                     : vendor.state == VendorStatus::State::kHealthy           ? "reachable"
                                                                               : "healthy");
  }
  if (parts.vendors.mock()) components["mock"] = "healthy";
  const std::string_view status = parts.draining         ? "unhealthy"
                                  : degraded || !anybody ? "degraded"
                                                         : "healthy";
  co_return json::object{{"status", status},
                         {"version", parts.config.app.version},
                         {"timestamp", format_rfc3339(parts.clock.now())},
                         {"uptime_seconds", std::chrono::duration_cast<std::chrono::seconds>(
                                                parts.clock.steady_now() - parts.started)
                                                .count()},
                         {"cache_backend", parts.cache.backend()},
                         {"mock", parts.vendors.mock()},
                         {"components", std::move(components)}};
}

std::string_view word(VendorStatus::State state) {
  switch (state) {
    case VendorStatus::State::kUnknown:
      return "unknown";
    case VendorStatus::State::kHealthy:
      return "healthy";
    case VendorStatus::State::kUnreachable:
      return "unreachable";
    case VendorStatus::State::kNotConfigured:
      return "not_configured";
  }
  return "unknown";
}

}  // namespace

void add_both(http::Router& router, http::Method method, const std::string& pattern,
              std::string_view access, http::Handler handler) {
  router.add({.method = method,
              .pattern = pattern,
              .handler = handler,
              .errors = native_error,
              .access = access});
  router.add({.method = method,
              .pattern = "/api/v1" + pattern,
              .handler = std::move(handler),
              .errors = native_error,
              .access = access});
}

void add_service_routes(http::Router& router, ServiceParts parts) {
  const http::Handler metrics = [parts](http::Context& context) -> Aw<http::Response> {
    // Events are counted by their writer; what was recorded before this request shall be in the
    // figures, and so shall the sums from before the start.
    const auto settling = [&] {
      return parts.events.backlog() > 0 || (parts.loader.healthy() && !parts.totals.is_complete());
    };
    for (int i = 0; i < 1000 && settling(); ++i)
      (void)co_await context.loop.sleep_for(std::chrono::milliseconds(2));
    if (wants_text(context.request)) co_return exposition(parts);
    const json::object body = co_await metrics_json(parts, identity::principal_of(context).org_id);
    co_return http::Response::json(200, write_json(body));
  };
  add_both(router, http::Method::kGet, "/metrics", "authenticated", metrics);
  router.add({.method = http::Method::kGet,
              .pattern = "/api/v2/metrics",
              .handler = metrics,
              .errors = native_error,
              .access = "authenticated"});
  add_both(router, http::Method::kGet, "/analytics/prometheus", "view_metrics",
           [parts](http::Context&) -> Aw<http::Response> { co_return exposition(parts); });
  add_both(router, http::Method::kGet, "/models", "authenticated",
           [parts](http::Context& context) -> Aw<http::Response> {
             const OwnKeys own = co_await own_keys_of(parts, context);
             co_return http::Response::json(
                 200, write_json(models_json(parts, *parts.registry.get(), own)));
           });
  router.get(
      "/v1/models",
      [parts](http::Context& context) -> Aw<http::Response> {
        const OwnKeys own = co_await own_keys_of(parts, context);
        json::array data;
        const auto registry = parts.registry.get();
        for (const ModelProfile& model : registry->all()) {
          if (has_key(parts, own, model.provider)) data.push_back(openai_model(model));
        }
        const std::size_t count = data.size();
        json::object body{{"object", "list"}};
        if (count > 0) {
          body["first_id"] = data.front().at("id");
          body["last_id"] = data.back().at("id");
        }
        body["has_more"] = false;
        body["data"] = std::move(data);
        co_return http::Response::json(200, write_json(body));
      },
      "authenticated");
  router.get(
      "/v1/models/{id...}",
      [parts](http::Context& context) -> Aw<http::Response> {
        const auto registry = parts.registry.get();
        const std::string_view id = context.path_param("id");
        const ModelProfile* model = registry->get(id);
        if (model == nullptr) {
          const json::object body{
              {"error",
               {{"message", fmt::format("The model '{}' does not exist; see GET /v1/models", id)},
                {"type", "invalid_request_error"},
                {"param", "model"},
                {"code", "model_not_found"}}}};
          co_return http::Response::json(404, write_json(body));
        }
        co_return http::Response::json(200, write_json(openai_model(*model)));
      },
      "authenticated");
  add_both(router, http::Method::kGet, "/health", "public",
           [parts](http::Context&) -> Aw<http::Response> {
             const json::object body = co_await health_json(parts);
             co_return http::Response::json(parts.draining ? 503 : 200, write_json(body));
           });
  add_both(router, http::Method::kGet, "/health/live", "public",
           [](http::Context&) -> Aw<http::Response> {
             co_return http::Response::json(200, R"({"status":"alive"})");
           });
  add_both(router, http::Method::kGet, "/health/ready", "public",
           [parts](http::Context&) -> Aw<http::Response> {
             if (parts.draining) co_return http::Response::json(503, R"({"status":"draining"})");
             co_return http::Response::json(200, R"({"status":"ready"})");
           });
  add_both(router, http::Method::kGet, "/health/providers", "public",
           [parts](http::Context&) -> Aw<http::Response> {
             json::array providers;
             for (const VendorStatus& vendor : parts.vendors.statuses()) {
               const Breaker::State breaker =
                   parts.dispatcher.breaker(vendor.name).state(parts.clock.steady_now());
               providers.push_back(json::object{
                   {"provider", vendor.name},
                   {"status", word(vendor.state)},
                   {"circuit", breaker == Breaker::State::kClosed ? "closed"
                               : breaker == Breaker::State::kOpen ? "open"
                                                                  : "half_open"},
                   {"last_check", vendor.checked == Clock::Time{}
                                      ? json::value()
                                      : json::value(format_rfc3339(vendor.checked))},
                   {"error", vendor.error.empty() ? json::value() : json::value(vendor.error)}});
             }
             co_return http::Response::json(
                 200, write_json(json::object{{"providers", std::move(providers)}}));
           });
}

}  // namespace asahi::gateway
