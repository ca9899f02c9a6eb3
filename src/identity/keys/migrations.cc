#include "identity/keys/migrations.h"

namespace asahi::identity {

sql::Migration keys_migration() {
  return {.version = 200,
          .name = "identity_api_keys",
          .up = {.sqlite = "ALTER TABLE api_keys ADD COLUMN tokens_per_minute INTEGER;"
                           "ALTER TABLE api_keys ADD COLUMN valid_until TEXT;",
                 .postgres = "ALTER TABLE api_keys ADD COLUMN tokens_per_minute BIGINT;"
                             "ALTER TABLE api_keys ADD COLUMN valid_until TIMESTAMPTZ;"},
          .down = {.sqlite = "ALTER TABLE api_keys DROP COLUMN valid_until;"
                             "ALTER TABLE api_keys DROP COLUMN tokens_per_minute;",
                   .postgres = "ALTER TABLE api_keys DROP COLUMN valid_until;"
                               "ALTER TABLE api_keys DROP COLUMN tokens_per_minute;"}};
}

sql::Migration keys_semantic_cache_migration() {
  constexpr std::string_view kDown = "ALTER TABLE api_keys DROP COLUMN semantic_cache;";
  return {
      .version = 203,
      .name = "identity_api_keys_semantic_cache",
      .up = {.sqlite = "ALTER TABLE api_keys ADD COLUMN semantic_cache INTEGER NOT NULL DEFAULT 1;",
             .postgres =
                 "ALTER TABLE api_keys ADD COLUMN semantic_cache BOOLEAN NOT NULL DEFAULT true;"},
      .down = {kDown, kDown}};
}

sql::Migration keys_systems_migration() {
  constexpr std::string_view kUp = "ALTER TABLE api_keys ADD COLUMN systems TEXT;";
  constexpr std::string_view kDown = "ALTER TABLE api_keys DROP COLUMN systems;";
  return {.version = 204,
          .name = "identity_api_keys_systems",
          .up = {kUp, kUp},
          .down = {kDown, kDown}};
}

}  // namespace asahi::identity
