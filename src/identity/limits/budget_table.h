#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "identity/limits/budget_local.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// The table `budget_use`. Blocking; ordinary threads.
class BudgetTable {
 public:
  static constexpr std::size_t kRowsPerStatement = 500;

  explicit BudgetTable(sql::Database& database) : database_(database) {}
  /// Sets rows of `node` to their values; at most `kRowsPerStatement`.
  Result<void> write(const std::string& node, const std::vector<LocalBudgets::Row>& rows,
                     Clock::Time now);
  /// Gives the rows of other nodes that count at `now` to `budgets`; their number.
  Result<std::size_t> restore(LocalBudgets& budgets, Clock::Time now);
  /// Deletes days older than two days and months before the last one.
  Result<void> purge(Clock::Time now);

 private:
  sql::Database& database_;
};

}  // namespace asahi::identity
