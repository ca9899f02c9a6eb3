#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "memory/fitness/figures.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::fitness {

/// A figure, whose it is and of when.
struct Written {
  std::string tenant;
  Figure figure;
  Clock::Time from{}, computed_at{};  ///< of the traces it is of: [from, computed_at)
};

/// What routers read, in SQL: the latest figure of each path. Errors of all: those of
/// sql::Database. Any loop.
class FitnessStore {
 public:
  explicit FitnessStore(sql::Database& database) : database_(database) {}

  /// All or nothing; a later figure takes the place of an earlier one, never the other way.
  Task<void> write(std::vector<Written> figures);
  /// `task_class` empty: all. By class, best score first, at most 1000.
  Task<std::vector<Written>> list(std::string tenant, std::string task_class);
  /// Forgets figures of before; how many.
  Task<std::uint64_t> sweep(Clock::Time before);
  /// Of many processes the first that asks in each period has the turn.
  Task<bool> claim(std::string turn, Clock::Time now, std::chrono::milliseconds period);

 private:
  sql::Database& database_;
};

/// Version 345.
sql::Migration fitness_migration();

}  // namespace asahi::memory::fitness
