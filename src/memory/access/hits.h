#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "memory/model/record.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory {

/// Days since 1970, UTC.
std::int64_t day_of(Clock::Time time);

/// The tables of hits: how often a memory was found on which day, which ones are kept in the hot
/// tier for it, and since when somebody counts. Any loop. Errors of all: those of sql::Database.
class Hits {
 public:
  explicit Hits(sql::Database& database) : database_(database) {}

  /// Each key once.
  Task<void> add(std::vector<std::pair<Key, std::uint64_t>> hits, std::int64_t day);
  /// Hits of `from_day` and later, of those that have some.
  Task<std::map<Key, std::uint64_t>> of(std::vector<Key> keys, std::int64_t from_day);
  /// Keys with `at_least` hits since, in their order, behind `after`.
  Task<std::vector<Key>> frequent(std::uint64_t at_least, std::int64_t from_day,
                                  std::optional<Key> after, std::size_t limit);

  /// Memories that are hot though they are old enough to go.
  Task<void> keep(std::vector<Key> keys, Clock::Time now);
  Task<std::set<Key>> kept(std::vector<Key> keys);

  /// Somebody counts today. A day without that begins the count anew: what was not asked for then
  /// is not known.
  Task<void> counting(std::int64_t day);
  /// The first of the days without a gap up to now; nothing: nobody counts now.
  Task<std::optional<std::int64_t>> counted_since(std::int64_t today);

  /// Drops hits before `from_day`, and what is kept with fewer than `at_least` since.
  Task<void> prune(std::int64_t from_day, std::uint64_t at_least);
  /// What is known of a memory, or of a system's.
  Task<void> forget(Key key);
  Task<void> forget_system(std::string tenant, std::string system_id);

 private:
  sql::Database& database_;
};

/// Migration 341.
std::vector<sql::Migration> hit_migrations();

}  // namespace asahi::memory
