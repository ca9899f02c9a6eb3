#pragma once

#include <atomic>

#include "base/clock.h"
#include "gateway/traces/trace_store.h"
#include "net/http/router.h"

namespace asahi::gateway {

/// What the trace routes look at; all outlive the routes.
struct TraceRouteParts {
  const TraceStore* store;  ///< null: nothing is remembered
  const std::atomic<bool>& draining;
  std::chrono::milliseconds look{250};  ///< how often a live stream looks for what is new
};

/// GET /traces, /traces/live, /traces/{id} (spec §2.10), of the caller's organisation.
void add_trace_routes(http::Router& router, TraceRouteParts parts);

}  // namespace asahi::gateway
