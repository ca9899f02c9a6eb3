#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "memory/series/analysis.h"

namespace asahi::memory::series {

/// How finely a series is kept: as it came (by minute where it is drawn), by 5 minutes, by hour.
enum class Resolution : std::uint8_t { kRaw, kFiveMinutes, kHour };
std::chrono::nanoseconds width(Resolution resolution);  ///< 1 min, 5 min, 1 h
/// How long series are kept: points 7 days, sums by 5 minutes as configured, by hour 365 days.
struct Retention {
  std::chrono::days five_minutes{90};  ///< ANALYTICS_RETENTION_DAYS, 1 to 365
  /// Points never longer than the sums above them.
  std::chrono::nanoseconds of(Resolution resolution) const;
  /// What begins before it is dropped.
  Time cutoff(Resolution resolution, Time now) const { return now - of(resolution); }
};
/// Under 24 hours raw, under 30 days by 5 minutes, else by hour.
Resolution resolution_for(std::chrono::nanoseconds range);

/// What is known of one system and one stretch of time.
struct Bucket {
  Time at{};  ///< beginning; a multiple of the width since the epoch
  std::string system_id;
  double sum = 0, min = 0, max = 0;
  std::uint64_t count = 0;
  double mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
  bool operator==(const Bucket&) const = default;
};
/// One bucket a system and stretch that has points, by time and system.
std::vector<Bucket> rolled(std::span<const Point> points, std::chrono::nanoseconds width);
/// The same of finer buckets: what comes of rolling twice is what comes of rolling once (sums up to
/// the order of addition).
std::vector<Bucket> rolled(std::span<const Bucket> buckets, std::chrono::nanoseconds width);
/// Means as points, for analysis.
std::vector<Point> points_of(std::span<const Bucket> buckets);

/// What ingestion tells of each memory.
struct Ingested {
  std::string system_id;
  Time at{};
  std::uint64_t bytes = 0;
  bool duplicate = false;  ///< exact or near
  double norm = 0;         ///< of its vector; 0: none
};
/// One system's hour, as far as it is counted here: parts of one hour are added up.
struct Hour {
  std::uint64_t conversations = 0, bytes = 0, duplicates = 0, vectors = 0;
  double norms = 0;
  Hour& operator+=(const Hour& other);
  bool operator==(const Hour&) const = default;
};

/// Counts memories by system and hour until they are taken. One thread.
class HourlyCounts {
 public:
  using Key = std::pair<Time, std::string>;  ///< the hour's beginning, the system
  explicit HourlyCounts(std::size_t most = 100'000) : most_(most) {}

  /// False: there are too many hours and systems; take them first. Nothing is counted then.
  [[nodiscard]] bool add(const Ingested& memory);
  std::map<Key, Hour> take() { return std::exchange(hours_, {}); }
  std::size_t size() const { return hours_.size(); }

 private:
  std::size_t most_;
  std::map<Key, Hour> hours_;
};

/// A named value of one system (of none: of all) at an hour.
struct Measured {
  std::string metric;  ///< conversation_count, bytes, duplicates, mean_vector_norm, active_systems
  Point point;
};
/// The series of hours: four a system and hour, and how many systems were active in each hour.
std::vector<Measured> measured(const std::map<HourlyCounts::Key, Hour>& hours);

}  // namespace asahi::memory::series
