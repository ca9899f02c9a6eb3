#pragma once

#include "base/clock.h"
#include "identity/audit/audit.h"
#include "net/http/router.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

/// What the export works on; all outlive the routes.
struct ExportParts {
  sql::Database& database;
  identity::AuditLog& audit;
  const Clock& clock;
};

/// GET /analytics/export: the events of the caller's organisation as CSV or NDJSON, streamed.
void add_export_routes(http::Router& router, ExportParts parts);

}  // namespace asahi::gateway
