#pragma once

#include "gateway/alerts/notifier.h"
#include "identity/audit/audit.h"
#include "net/http/router.h"

namespace asahi::gateway::alerts {

/// What the routes work on; outlives them.
struct RouteParts {
  Notifier& notifier;
  identity::AuditLog& audit;
  const Clock& clock;
};

/// GET /alerts, POST /alerts/test, /alerts/{id}/acknowledge, /alerts/{id}/dismiss, each bare and
/// under /api/v1. Callers see alerts of their organisation, and of the installation with
/// manage_tenants.
void add_routes(http::Router& router, RouteParts parts);

}  // namespace asahi::gateway::alerts
