#pragma once

#include <vector>

#include "storage/sql/migrations.h"

namespace asahi::gateway {

/// Tables of governance, versions 110–119: `org_policies` and `compliance_profiles` with the
/// columns of spec §5.1, `gdpr_consents`, `gdpr_erasures`, `retention_runs`.
std::vector<sql::Migration> governance_migrations();

}  // namespace asahi::gateway
