#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "gateway/batching/batcher.h"
#include "gateway/cache/exact_cache.h"
#include "gateway/cache/semantic_tier.h"
#include "gateway/cache/steps/step_cache.h"
#include "gateway/config.h"
#include "gateway/dispatch/dispatcher.h"
#include "gateway/dispatch/vendor_set.h"
#include "gateway/events/loader.h"
#include "gateway/events/recorder.h"
#include "gateway/events/totals.h"
#include "gateway/features/enricher.h"
#include "gateway/routing/model_registry.h"
#include "identity/audit/audit.h"
#include "net/http/router.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

/// What the service endpoints look at; all outlive the routes.
struct ServiceParts {
  const GatewayConfig& config;
  RegistryHolder& registry;
  VendorSet& vendors;
  Dispatcher& dispatcher;
  ExactCache& cache;
  EventRecorder& events;
  EventLoader& loader;
  Totals& totals;
  sql::Database& database;
  std::function<std::string()> exposition;  ///< Prometheus text
  const Clock& clock;
  const std::atomic<bool>& draining;
  Clock::Steady started;
  std::function<bool()> governance_healthy;  ///< may be null
  identity::OwnKeys* own_keys;               ///< may be null
  StepCache& steps;
  Batcher* batcher;        ///< null: batching is off
  Enricher* enricher;      ///< null: there are no features
  SemanticTier* semantic;  ///< null: tier 2 is off
  identity::AuditLog& audit;
};

/// GET /metrics (JSON or Prometheus text, R3), GET /models, GET /v1/models[/{id}], /health*,
/// /analytics/prometheus.
void add_service_routes(http::Router& router, ServiceParts parts);
/// DELETE /cache, /cache/clear, /cache/expired, GET /cache/export, /cache/entries, /cache/stats
/// (spec §2.5), DELETE /cache/steps (GW-046).
void add_cache_routes(http::Router& router, ServiceParts parts);
/// POST /cache/warm, /cache/invalidate, /cache/entries/{id}/report, DELETE /cache/entries/{id},
/// GET and PUT /cache/thresholds (GW-022, GW-041).
void add_semantic_routes(http::Router& router, const ServiceParts& parts);
/// GET /openapi.json, /docs, /redoc.
void add_docs_routes(http::Router& router);
/// The dashboard: / and its assets. It keeps its pages behind '#', so that they never stand in the
/// way of API paths.
void add_dashboard_routes(http::Router& router);

/// Adds a handler under its bare path and under /api/v1 (spec §2.0). `access`: as in http::Route.
void add_both(http::Router& router, http::Method method, const std::string& pattern,
              std::string_view access, http::Handler handler);

}  // namespace asahi::gateway
