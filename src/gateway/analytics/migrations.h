#pragma once

#include <vector>

#include "storage/sql/migrations.h"

namespace asahi::gateway::analytics {

/// Rollups of `inference_events`, versions 150 to 159.
std::vector<sql::Migration> analytics_migrations();

}  // namespace asahi::gateway::analytics
