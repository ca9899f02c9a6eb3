#pragma once

#include <functional>
#include <string>

#include "base/task.h"
#include "gateway/analytics/store.h"
#include "gateway/governance/compliance.h"
#include "gateway/governance/policy_store.h"
#include "gateway/routing/model_registry.h"
#include "identity/audit/audit.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

/// What the process knows of itself; asked anew for each report.
struct InstallationFacts {
  Installation installation;
  bool tls_on = false;
  std::string encryption_detail;  ///< "AES-256-GCM, 2 keys in the ring"; empty when off
  std::optional<Clock::Time> running_since;
};

struct FactParts {
  PolicyStore& policies;
  sql::Database& database;
  const analytics::Store& analytics;
  identity::AuditLog& audit;
  RegistryHolder& registry;
  std::function<InstallationFacts()> installation;
  const Clock& clock;
};
/// Looks at tables, chain, registry and process. Errors: not_found with reason "profile_not_found".
Task<ComplianceFacts> collect_facts(FactParts parts, std::string org_id);

}  // namespace asahi::gateway
