#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "memory/ops/health.h"
#include "net/http/router.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// What the health of a process of the memory is told from; outlives the routes.
struct ProcessHealth {
  std::string service;  ///< "akosha", with the role: "akosha-query_server"
  std::string version;
  std::string component;
  const Clock& clock;
  telemetry::Registry& metrics;
  std::unique_ptr<Health> checks;  ///< set before the listeners open
  /// Brings gauges up to date before they are shown; empty: none needs it.
  std::function<Aw<void>()> measure;
  bool serve_metrics = true;
  std::atomic<bool> draining = false;
};

/// GET /health and /healthz (alive, always 200), GET /ready (200, or 503 while a dependency does
/// not answer within two seconds or the process drains), GET /metrics (Prometheus text) unless they
/// are switched off. All below /api/v1 as well but /metrics. All public: the network limits them.
void add_health_routes(http::Router& router, const ProcessHealth& health);

}  // namespace asahi::memory
