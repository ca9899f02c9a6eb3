#pragma once

#include <memory>
#include <string>
#include <vector>

#include "memory/config.h"
#include "memory/ops/watched_store.h"
#include "storage/object/replicated_store.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// A bucket with the replicas of `urls` (at least one), each behind a breaker of its own that
/// counts as `place`_replica_1 and so on. `first` brings its own, if any. `metrics`: null: nobody
/// counts. Errors: invalid_argument naming the setting, unavailable.
Result<std::unique_ptr<object::ReplicatedStore>> with_replicas(
    const MemoryConfig& config, const std::string& place, const std::vector<std::string>& urls,
    std::unique_ptr<object::ObjectStore> first, telemetry::Registry* metrics, const Clock& clock);

}  // namespace asahi::memory
