#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memory/search/frequent.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory {

/// A search as text that reads back as the same one, without its page of time (`timeout`).
std::string search_text(const SearchRequest& request);
/// Errors: corrupt.
Result<SearchRequest> parse_search_text(std::string_view text);

/// Frequent searches as rows: counts of all processes add up, what was not asked for a day goes,
/// and of each tenant so do all but the 1,000 asked most. Any loop.
class FrequentRows {
 public:
  explicit FrequentRows(sql::Database& database) : database_(database) {}

  /// Adds what was asked since the last time.
  Task<void> add(std::vector<FrequentSearch> asked, Clock::Time now);
  /// Those asked most, at most `of_tenant` of each tenant and 20,000 in all. Rows that cannot be
  /// read are passed over.
  Task<std::vector<FrequentSearch>> load(std::size_t of_tenant, Clock::Time now);
  /// Removes what is old or too much.
  Task<void> sweep(Clock::Time now);

 private:
  sql::Database& database_;
};

/// Version 343.
sql::Migration frequent_migration();

}  // namespace asahi::memory
