#pragma once

#include <vector>

#include "storage/sql/migrations.h"

namespace asahi::gateway {

/// Tables of routing, versions 130–139: `routing_rules` and `routing_feedback`.
std::vector<sql::Migration> routing_migrations();

}  // namespace asahi::gateway
