#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/sql/database.h"

namespace asahi::sql {

/// One numbered step of the schema. SQL that differs by engine is given per dialect; `both` serves
/// two.
struct Migration {
  int version;  ///< unique over all modules; modules own hundreds: gateway 100–199, jobs 50–99 …
  std::string_view name;  ///< "gateway_events"
  struct Sql {
    std::string_view sqlite;
    std::string_view postgres;
  };
  Sql up;
  Sql down;
};

struct MigrationStatus {
  int version;
  std::string name;
  bool applied;
  std::string applied_at;
  /// The stored checksum differs from the program's: the script was edited after it ran.
  bool changed;
};

/// Applies and reverts migrations: each in one transaction, checksummed (SHA-256) in
/// `schema_migrations`, guarded by an advisory lock (PostgreSQL) or an immediate transaction
/// (SQLite), so replicas may start together. Blocking; ordinary threads only. Errors: corrupt when
/// an applied script was edited or is unknown.
class Migrator {
 public:
  Migrator(Database& database, std::vector<Migration> migrations);
  /// Returns the versions applied now.
  Result<std::vector<int>> upgrade();
  /// Reverts the newest `steps`.
  Result<std::vector<int>> downgrade(int steps);
  Result<std::vector<MigrationStatus>> status();

 private:
  Database& database_;
  std::vector<Migration> migrations_;
};

}  // namespace asahi::sql
