#include "memory/ops/tier_gauges.h"

#include <vector>

namespace asahi::memory {
namespace {

/// Seconds: a look into a hash index takes microseconds, one for likeness milliseconds at most.
const std::vector<double> kLookSeconds = {.000'001, .000'01, .000'05, .000'1, .000'5, .001,
                                          .005,     .01,     .05,     .1,     .5,     1};

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

void tell_engine(telemetry::Registry& metrics, const std::string& tier,
                 const hot::EngineStats& stats) {
  const telemetry::Labels index{{"index_name", tier}};
  metrics.gauge("akosha_vector_index_size_vectors", "Vectors that searches compare", index)
      .set(static_cast<double>(stats.vectors));
  metrics
      .gauge("akosha_vector_index_build_duration_seconds",
             "Time spent on reading and linking vectors since the start", index)
      .set(seconds(stats.indexing));
  metrics
      .gauge("akosha_wal_lag_seconds", "Since when the oldest write waits to be on the disk",
             {{"tier", tier}})
      .set(seconds(stats.wal_lag));
}

std::function<void(bool fuzzy, std::chrono::nanoseconds took)> duplicate_times(
    telemetry::Registry& metrics) {
  const auto times = [&](const char* type) {
    return &metrics.histogram("akosha_deduplication_duration_seconds",
                              "Time of a look for what is there already", kLookSeconds,
                              {{"check_type", type}});
  };
  return
      [exact = times("exact"), like = times("fuzzy")](bool fuzzy, std::chrono::nanoseconds took) {
        (fuzzy ? like : exact)->observe(seconds(took));
      };
}

void tell_warm_storage(telemetry::Registry& metrics, const WarmStorage& storage) {
  const telemetry::Labels labels{{"environment", storage.environment},
                                 {"mountpoint", storage.folder}};
  const auto set = [&](const char* name, const char* help, double value) {
    metrics.gauge(name, help, labels).set(value);
  };
  set("akosha_warm_storage_info", "1: where the warm tier is", 1);
  set("akosha_warm_storage_size_bytes", "Bytes of the warm tier",
      static_cast<double>(storage.bytes));
  set("akosha_warm_conversation_count", "Memories of the warm tier",
      static_cast<double>(storage.records));
  if (storage.capacity == 0) return;
  const double share =
      static_cast<double>(storage.available) / static_cast<double>(storage.capacity);
  set("akosha_warm_storage_available_bytes", "Left of the disk below the warm tier",
      static_cast<double>(storage.available));
  set("akosha_warm_storage_usage_percent", "Used of the disk below the warm tier",
      100 * (1 - share));
}

}  // namespace asahi::memory
