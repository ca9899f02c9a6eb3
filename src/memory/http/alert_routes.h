#pragma once

#include "memory/alerts/alerts.h"
#include "memory/http/routes.h"

namespace asahi::memory {

/// GET and PUT /alerts/thresholds; GET, POST and DELETE /alerts/webhooks (the last one by
/// ?webhook_id= or /alerts/webhooks/{webhook_id}); GET /alerts.
void add_alert_routes(const RouteAdder& routes, SharedRouteParts shared, AlertStore& store,
                      Alerts& alerts);

}  // namespace asahi::memory
