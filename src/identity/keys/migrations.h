#pragma once

#include "storage/sql/migrations.h"

namespace asahi::identity {

/// 200: what API keys need beyond the columns of the gateway's migration 101.
sql::Migration keys_migration();

}  // namespace asahi::identity
