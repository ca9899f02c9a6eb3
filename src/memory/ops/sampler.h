#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "memory/model/store.h"
#include "memory/ops/circuit.h"
#include "memory/ops/tier_gauges.h"
#include "storage/cache/store.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Reads what is not counted as it happens and puts it into gauges (spec/memory §8.1, §8.2):
///
/// | Name | Labels |
/// |---|---|
/// | akosha_{hot,warm,cold}_store_size_bytes, akosha_{hot,warm,cold}_store_record_count | – |
/// | akosha_store_size_bytes, akosha_store_size_records | tier |
/// | akosha_{hot,warm,cold}_store_health_status | 1: it answers |
/// | akosha_cache_entry_count, akosha_cache_size_bytes, akosha_cache_hit_rate | cache_tier |
/// | akosha_system_cpu_usage_percent, akosha_system_memory_usage_bytes | – |
/// | akosha_system_disk_usage_bytes, akosha_system_disk_size_bytes | mount_point (data) |
/// | circuit_{state,total_calls,successful_calls,failed_calls,rejected_calls,
///   consecutive_failures,consecutive_successes,success_rate} | service_name |
///
/// | akosha_system_disk_{read,written}_bytes | –; since the process began |
/// | akosha_vector_index_*, akosha_wal_lag_seconds, akosha_warm_storage_* | see tier_gauges.h |
///
/// One loop at a time.
class Sampler {
 public:
  struct Parts {
    std::vector<Store*> stores;
    cache::Store* l1 = nullptr;
    cache::Store* l2 = nullptr;  ///< null: there is none
    /// Share of searches that each level answered, since the start.
    std::function<std::pair<double, double>()> hit_rates;
    /// Of the installation: no tenant's own.
    std::function<std::vector<std::pair<std::string, CircuitStats>>()> circuits;
    /// What tiers of this process tell of their indexes, by tier.
    std::vector<std::pair<std::string, std::function<hot::EngineStats()>>> engines = {};
    /// The warm tier of this process; empty: it has none.
    std::function<Task<WarmStorage>()> warm_storage = {};
    std::string data_path;
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  explicit Sampler(Parts parts);

  Aw<void> sample();

  /// What the last sample saw of the disk below the data: used share, 0 to 1.
  double disk_used() const { return disk_used_; }

 private:
  Aw<void> sample_store(Store& store);
  void sample_process();
  void sample_disk_traffic();
  void sample_circuits();
  telemetry::Gauge& gauge(const std::string& name, const std::string& help,
                          const telemetry::Labels& labels = {});

  const Parts parts_;
  double disk_used_ = 0;
  double cpu_seconds_ = 0;
  Clock::Steady cpu_read_{};
};

}  // namespace asahi::memory
