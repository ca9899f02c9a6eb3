#pragma once

#include <cstdint>
#include <vector>

#include "memory/cold/catalogue.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::cold {

/// A catalogue in the product's database, for several processes: two tables, `memory_cold_files`
/// and a number that grows with each commit. A commit names the number it knows, so that of two
/// processes that change the catalogue at a time one gets `conflict` and loads again.
class SqlCatalogue final : public Catalogue {
 public:
  /// `database` outlives it.
  explicit SqlCatalogue(sql::Database& database) : database_(database) {}

  Result<std::vector<ColdFile>> load() override;
  Result<void> commit(const CatalogueChange& change) override;
  Result<bool> changed() override;

 private:
  sql::Database& database_;
  std::int64_t revision_ = -1;  ///< known here; -1: nothing is
};

/// Migration 310.
std::vector<sql::Migration> catalogue_migrations();

}  // namespace asahi::memory::cold
