#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "memory/hot/engine.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// What a tier tells of its index and its log (spec/memory §8.2).
///
/// | Name | Labels |
/// |---|---|
/// | akosha_vector_index_size_vectors | index_name (the tier) |
/// | akosha_vector_index_build_duration_seconds | index_name: spent on it since the start |
/// | akosha_wal_lag_seconds | tier: since when the oldest write waits to be on the disk |
void tell_engine(telemetry::Registry& metrics, const std::string& tier,
                 const hot::EngineStats& stats);

/// For EngineOptions::looked_for_duplicates: akosha_deduplication_duration_seconds {check_type}.
/// `metrics` outlives it.
std::function<void(bool fuzzy, std::chrono::nanoseconds took)> duplicate_times(
    telemetry::Registry& metrics);

/// The disk below the warm tier, and what is there.
struct WarmStorage {
  std::string environment;      ///< development, staging, production
  std::string folder;           ///< label mountpoint; one per process
  std::uint64_t capacity = 0;   ///< of the disk; 0: nobody knows
  std::uint64_t available = 0;  ///< of the disk
  std::uint64_t bytes = 0, records = 0;
};
/// akosha_warm_storage_{size_bytes,usage_percent,available_bytes,info} and
/// akosha_warm_conversation_count, all {environment, mountpoint}.
void tell_warm_storage(telemetry::Registry& metrics, const WarmStorage& storage);

}  // namespace asahi::memory
