#pragma once

#include <vector>

#include "storage/sql/migrations.h"

namespace asahi::identity {

/// Table `provider_keys` (gateway spec §5.2). Versions 240–249.
std::vector<sql::Migration> secrets_migrations();

}  // namespace asahi::identity
