#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "identity/limits/budget_ledger.h"
#include "identity/limits/migrations.h"
#include "storage/sql/migrations.h"

namespace asahi::identity::testing {

/// A data folder of its own, gone with its content at the end.
class DataFolder {
 public:
  DataFolder() {
    path_ = (std::filesystem::temp_directory_path() / "asahi-budgets-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~DataFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
  std::string journal() const { return path_ + "/budgets.journal"; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A database with the tables of limits.
inline std::unique_ptr<sql::Database> open_migrated(const sql::DatabaseOptions& options) {
  auto database = sql::open_database(options);
  if (!database) throw std::runtime_error(database.error().message);
  auto applied = sql::Migrator(**database, limits_migrations()).upgrade();
  if (!applied) throw std::runtime_error(applied.error().message);
  return std::move(*database);
}

inline Budget day_spend(std::string account, std::int64_t cap) {
  return {std::move(account), Budget::Period::kDay, NanoUsd{cap}, std::nullopt};
}
inline Budget month_spend(std::string account, std::int64_t cap) {
  return {std::move(account), Budget::Period::kMonth, NanoUsd{cap}, std::nullopt};
}
inline Budget day_requests(std::string account, std::int64_t cap) {
  return {std::move(account), Budget::Period::kDay, std::nullopt, cap};
}
inline Budget month_requests(std::string account, std::int64_t cap) {
  return {std::move(account), Budget::Period::kMonth, std::nullopt, cap};
}

}  // namespace asahi::identity::testing
