#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "memory/model/record.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// What ageing counts (spec/memory §8.1). Made once, so that its series are there before the first
/// run. Thread-safe.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_migration_records_total | counter; source_tier, target_tier, status (success, error) |
/// | akosha_migration_duration_seconds | histogram |
/// | akosha_migration_last_success_timestamp_seconds | gauge: end of the last good run; 0: none |
class MigrationMetrics {
 public:
  explicit MigrationMetrics(telemetry::Registry& registry);
  void moved(Tier source, Tier target, std::uint64_t good, std::uint64_t failed);
  void ended(bool good, std::chrono::nanoseconds took, Clock::Time now);

 private:
  telemetry::Registry& registry_;
  telemetry::Histogram& seconds_;
  telemetry::Gauge& last_;
};

}  // namespace asahi::memory
