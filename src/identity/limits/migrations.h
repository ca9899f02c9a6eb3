#pragma once

#include <vector>

#include "storage/sql/migrations.h"

namespace asahi::identity {

/// Tables of limits and budgets: versions 250–259.
std::vector<sql::Migration> limits_migrations();

}  // namespace asahi::identity
