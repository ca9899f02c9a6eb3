#pragma once

#include <functional>

#include "gateway/analytics/store.h"
#include "gateway/governance/facts.h"
#include "gateway/governance/gdpr.h"
#include "gateway/governance/policy_store.h"
#include "identity/audit/audit.h"
#include "identity/limits/budget_ledger.h"
#include "net/http/router.h"

namespace asahi::gateway {

/// What the governance endpoints work on; all outlive the routes.
struct GovernanceParts {
  PolicyStore& policies;
  sql::Database& database;
  const analytics::Store& analytics;
  identity::AuditLog& audit;
  identity::BudgetLedger& budgets;
  RegistryHolder& registry;
  GdprParts gdpr;
  std::function<InstallationFacts()> installation;
  const Clock& clock;
};

/// Policies, compliance, usage and the rights of data subjects (spec §2.7), each bare and under
/// /api/v1. Callers see their own organisation; another one is not found, but for callers with
/// manage_tenants.
void add_governance_routes(http::Router& router, GovernanceParts parts);

}  // namespace asahi::gateway
