#pragma once

#include "gateway/governance/governor.h"
#include "gateway/routing/route_advisor.h"
#include "gateway/routing/router.h"
#include "gateway/routing/routing_store.h"
#include "identity/audit/audit.h"
#include "net/http/router.h"

namespace asahi::gateway {

/// What the routing endpoints work on; all outlive the routes.
struct RoutingParts {
  RoutingStore& store;
  RouteAdvisor& advisor;
  const Router& router;
  RegistryHolder& registry;
  Governor& governor;
  identity::AuditLog& audit;
  HealthView health;
  const Clock& clock;
};

/// GET, PUT and DELETE /routing/rules, POST /routing/rules/validate and /routing/rules/dry-run, GET
/// and PUT /routing/weights, POST /routing/feedback (spec §2.10, §3.11), each bare and under
/// /api/v1. Always of the caller's own organisation.
void add_routing_routes(http::Router& router, RoutingParts parts);

}  // namespace asahi::gateway
