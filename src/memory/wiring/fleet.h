#pragma once

#include <memory>
#include <vector>

#include "memory/ingest/ledger.h"
#include "memory/wiring/roles.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// The metrics_exporter role: gauges that no single process knows.
///
/// | Name | What |
/// |---|---|
/// | akosha_ingestion_backlog_count | uploads that wait or are in work, of all processes |
/// | akosha_ingestion_workers | processes that hold leases |
/// | akosha_hot_store_health_status, akosha_warm_store_health_status | 1: answers; 0: does not, or
/// one of several does not |
/// | akosha_hot_node_health_status | the same of each of several hot stores; label node |
class Fleet {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    const Clock& clock;
    telemetry::Registry& metrics;
  };
  /// Errors: invalid_argument (addresses and secret of the stores).
  static Result<std::unique_ptr<Fleet>> make(Parts parts);

  /// The ledger; stores that are away are what it is there to tell.
  std::vector<Dependency> dependencies();
  /// Brings the gauges up to date.
  Aw<void> measure();

 private:
  explicit Fleet(Parts parts);

  Parts parts_;
  Ledger ledger_;
  std::vector<std::unique_ptr<remote::RemoteStore>> stores_;  ///< hot ones first
  std::vector<std::string> names_;                            ///< of the hot ones
};

}  // namespace asahi::memory
