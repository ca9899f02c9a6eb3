#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "memory/series/rollup.h"
#include "storage/sql/database.h"

namespace asahi::memory::knowledge {

/// What ingestion counts; nobody may send points of these names.
bool is_derived_metric(std::string_view name);

struct MetricName {
  std::string name;
  std::uint64_t points = 0;
  series::Time first{}, last{};
  bool derived = false;
};

struct SeriesQuery {
  std::string metric;
  std::string system_id;      ///< empty: all
  series::Time from{}, to{};  ///< [from, to)
  /// What the asker may see at all; nothing: every system.
  std::optional<std::vector<std::string>> systems = {};
};
/// What was found, and how finely: kRaw are points as they came.
struct SeriesFound {
  series::Resolution resolution = series::Resolution::kRaw;
  std::vector<series::Bucket> buckets;  ///< unless raw
  std::vector<series::Point> points;    ///< raw, or the buckets' means
};

/// Numbers over time in SQL: points as systems send them (kept 7 days), the same by 5 minutes (90
/// days unless configured) and by hour (365 days), and what ingestion counts by hour (365 days).
///
/// Blocking: ordinary threads and pools only. Thread-safe. Errors of all: those of the database.
class SeriesStore {
 public:
  struct Options {
    /// Points or buckets that one question may read; more: too_large.
    std::size_t most_read = 100'000;
    /// Up to so many the points themselves are looked at where they are still kept.
    std::size_t most_raw = 10'000;
    series::Retention kept = {};
  };
  struct NewPoint {
    std::string metric;
    series::Point point;
  };
  using Hours = std::map<series::HourlyCounts::Key, series::Hour>;

  SeriesStore(sql::Database& db, const Clock& clock, Options options);

  /// All or nothing; points and their rollups together.
  Result<void> add(const std::string& tenant, const std::vector<NewPoint>& points);
  /// Statements that add what was counted, for the transaction that also notes up to where.
  static std::vector<sql::Statement> count(const std::string& tenant, const Hours& hours);
  /// Names with points since then, sorted; `systems`: of these, nothing: of all.
  Result<std::vector<MetricName>> metrics(
      const std::string& tenant, series::Time since,
      const std::optional<std::vector<std::string>>& systems = std::nullopt);
  /// As finely as the range asks for (resolution_for), or `at_least` so coarsely. Ranges whose
  /// points are few and still kept give the points themselves unless `at_least` says otherwise.
  Result<SeriesFound> read(const std::string& tenant, const SeriesQuery& query,
                           std::optional<series::Resolution> at_least = {});
  /// Removes what is older than it is kept. How many rows went; at most some thousands at a time.
  Result<std::size_t> expire();

 private:
  Result<SeriesFound> read_counted(const std::string& tenant, const SeriesQuery& query);
  Result<std::optional<std::vector<series::Point>>> read_raw(const std::string& tenant,
                                                             const SeriesQuery& query,
                                                             std::size_t most);
  sql::Database& db_;
  const Clock& clock_;
  const Options options_;
};

}  // namespace asahi::memory::knowledge
