#pragma once

#include "storage/sql/migrations.h"

namespace asahi::identity {

/// 202: the tables `users` and `roles` (spec §5.2).
sql::Migration users_migration();

}  // namespace asahi::identity
