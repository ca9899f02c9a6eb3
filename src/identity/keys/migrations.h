#pragma once

#include "storage/sql/migrations.h"

namespace asahi::identity {

/// 200: what API keys need beyond the columns of the gateway's migration 101.
sql::Migration keys_migration();
/// 203: whether the semantic cache may answer a key's questions.
sql::Migration keys_semantic_cache_migration();
/// 204: `systems`, a JSON list; null: all of the memory's.
sql::Migration keys_systems_migration();

}  // namespace asahi::identity
