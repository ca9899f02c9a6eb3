#pragma once

#include <functional>
#include <string>
#include <vector>

#include "memory/http/routes.h"
#include "memory/ops/circuit.h"
#include "memory/ops/health.h"
#include "memory/ops/live_settings.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// What the routes of operation work with; all outlive them.
struct OpsRouteParts {
  SharedRouteParts shared;
  Health& health;
  LiveSettings& settings;
  telemetry::Registry& metrics;
  /// Breakers that this tenant may see, by service.
  std::function<std::vector<std::pair<std::string, CircuitStats>>(const std::string& tenant)>
      circuits;
  std::string version;
  Clock::Steady started{};
};

/// GET /health, /healthz, /ready, /status (public), /systems, /systems/{system_id}, /settings,
/// /circuit-breakers, /metrics; PATCH /settings.
void add_ops_routes(const RouteAdder& routes, OpsRouteParts parts);

/// The memory's families of a registry as JSON: {name: {type, help, series: [{labels, value} or
/// {labels, count, sum, buckets}]}}. `all`: with the label system_id, which names other tenants'
/// systems; else its series are added up.
json::object metrics_json(const std::vector<telemetry::FamilySnapshot>& families, bool all);

}  // namespace asahi::memory
