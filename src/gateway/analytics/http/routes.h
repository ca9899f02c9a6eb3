#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "gateway/analytics/compute/cache_figures.h"
#include "gateway/analytics/http/event_feed.h"
#include "gateway/analytics/store.h"
#include "gateway/governance/policy_store.h"
#include "net/http/router.h"

namespace asahi::gateway::analytics {

/// What the analytics endpoints look at; all outlive the routes.
struct AnalyticsParts {
  const Store& store;
  PolicyStore& policies;
  EventFeed& feed;
  const Clock& clock;
  std::string baseline_model;
  TiersOn tiers;
  /// Waits a moment for the events of requests that are answered already; may be null.
  std::function<Aw<void>(net::Loop&)> settle;
  /// A silent live stream says so this often, so that nobody in between takes it for dead.
  std::chrono::milliseconds stream_keep_alive{30'000};
};

/// The endpoints of spec §2.6 and GET /analytics/events/{request_id}, each bare and under /api/v1.
/// Always of the caller's own organisation.
void add_analytics_routes(http::Router& router, AnalyticsParts parts);

}  // namespace asahi::gateway::analytics
