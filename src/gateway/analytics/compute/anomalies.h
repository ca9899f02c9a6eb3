#pragma once

#include <span>
#include <string>
#include <vector>

#include "gateway/analytics/store.h"

namespace asahi::gateway::analytics {

enum class AnomalyType {
  kCostSpike,
  kLatencySpike,
  kErrorRate,
  kCacheDegradation,
  kQualityDegradation,
};
/// "cost_spike", …
std::string_view to_string(AnomalyType type);
/// "cost_per_request", …
std::string_view metric_name(AnomalyType type);

struct Anomaly {
  AnomalyType type;
  bool critical = false;
  double current = 0, expected = 0;
  std::string message;

  /// 0 where nothing was expected.
  double deviation_pct() const;
};

/// The minutes that `anomalies` looks at: the hour before the end of this minute, and the day
/// before that hour.
struct AnomalyWindow {
  SumsQuery query;
  Clock::Time recent_from;
};
AnomalyWindow anomaly_window(std::string org_id, Clock::Time now);

/// Narrows a query to the requests that an anomaly is about.
void filter_by(AnomalyType type, EventsQuery& query);

/// What is unlike before: the buckets from `recent_from` on against those of the day before it.
/// Minutes, oldest first. The thresholds are those of spec §8; beyond them, what chance alone would
/// bring once in 10,000 looks at steady traffic or more often, and what hangs on one expensive
/// minute, is left out. Critical first.
std::vector<Anomaly> anomalies(std::span<const Bucket> minutes, Clock::Time recent_from);

}  // namespace asahi::gateway::analytics
