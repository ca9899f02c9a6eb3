#pragma once

#include "storage/sql/migrations.h"

namespace asahi::identity {

/// 201: the table `tenants` (spec §5.1).
sql::Migration tenants_migration();

}  // namespace asahi::identity
