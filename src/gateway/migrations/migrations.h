#pragma once

#include <vector>

#include "storage/sql/migrations.h"

namespace asahi::gateway {

/// The gateway's tables: versions 100–199. `inference_events`, `api_keys` and `audit_entries` keep
/// the names and columns that users' queries know (spec §5.1).
std::vector<sql::Migration> migrations();

}  // namespace asahi::gateway
