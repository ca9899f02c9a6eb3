#pragma once

#include "base/clock.h"
#include "identity/audit/audit.h"
#include "net/http/router.h"

namespace asahi::identity {

/// GET /governance/audit, /governance/audit/export, /governance/audit/verify and /org/audit-log
/// (spec §2.7), each bare and under /api/v1, for callers with `view_audit_log`. Another
/// organisation's log answers 404 unless the caller may manage tenants. Exports are recorded
/// themselves. `log` and `clock` outlive the router.
void add_audit_routes(http::Router& router, AuditLog& log, const Clock& clock,
                      http::ErrorWriter errors = {});

}  // namespace asahi::identity
