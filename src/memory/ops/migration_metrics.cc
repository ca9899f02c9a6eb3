#include "memory/ops/migration_metrics.h"

#include <string>
#include <vector>

namespace asahi::memory {
namespace {

/// Seconds; spec §8.1.
const std::vector<double> kSeconds = {60, 300, 900, 3600, 7200};

telemetry::Counter& records(telemetry::Registry& registry, Tier source, Tier target,
                            const char* status) {
  return registry.counter("akosha_migration_records_total", "Memories that ageing moved.",
                          {{"source_tier", std::string(tier_name(source))},
                           {"target_tier", std::string(tier_name(target))},
                           {"status", status}});
}

}  // namespace

MigrationMetrics::MigrationMetrics(telemetry::Registry& registry)
    : registry_(registry),
      seconds_(registry.histogram("akosha_migration_duration_seconds", "Time of ageing runs.",
                                  kSeconds)),
      last_(registry.gauge("akosha_migration_last_success_timestamp_seconds",
                           "End of the last good ageing run; 0: none since the start.")) {
  moved(Tier::kHot, Tier::kWarm, 0, 0);
  moved(Tier::kWarm, Tier::kCold, 0, 0);
}

void MigrationMetrics::moved(Tier source, Tier target, std::uint64_t good, std::uint64_t failed) {
  records(registry_, source, target, "success").add(static_cast<double>(good));
  records(registry_, source, target, "error").add(static_cast<double>(failed));
}

void MigrationMetrics::ended(bool good, std::chrono::nanoseconds took, Clock::Time now) {
  seconds_.observe(std::chrono::duration<double>(took).count());
  if (good) last_.set(std::chrono::duration<double>(now.time_since_epoch()).count());
}

}  // namespace asahi::memory
