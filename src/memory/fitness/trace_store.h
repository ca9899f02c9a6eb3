#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "memory/fitness/trace.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"
#include "telemetry/metrics.h"

namespace asahi::memory::fitness {

struct TraceQuery {
  std::string tenant, system_id;
  std::string task_class;               ///< empty: any
  std::optional<Clock::Time> from, to;  ///< [from, to) of their beginnings
  std::size_t limit = 100;              ///< 1 to kMostTraces
};

/// Traces in SQL. Errors of all: those of sql::Database. Any loop.
///
/// akosha_traces_recorded_total{outcome}: stored, unchanged.
class TraceStore {
 public:
  struct Options {
    std::chrono::hours kept{168};
    std::size_t most = 100'000;  ///< of an organisation; the oldest beyond go with the next sweep
  };
  /// All outlive it.
  TraceStore(sql::Database& database, telemetry::Registry& metrics, Options options);

  struct Added {
    std::size_t stored = 0, unchanged = 0;  ///< unchanged: a trace with that id was there
  };
  /// All or nothing.
  Task<Added> add(std::string tenant, std::vector<Trace> traces);
  /// The latest first.
  Task<std::vector<Trace>> find(TraceQuery query);
  /// How many went.
  Task<std::uint64_t> forget_system(std::string tenant, std::string system_id);
  /// Forgets what is older than it is kept, or beyond the number; how many went, some thousands at
  /// a time at most.
  Task<std::uint64_t> sweep(Clock::Time now);

  Clock::Time oldest(Clock::Time now) const { return now - options_.kept; }

 private:
  sql::Database& database_;
  telemetry::Registry& metrics_;
  const Options options_;
};

/// Version 344.
sql::Migration trace_migration();

}  // namespace asahi::memory::fitness
