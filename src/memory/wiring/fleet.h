#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "memory/ingest/ledger.h"
#include "memory/wiring/roles.h"
#include "storage/object/store.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// The metrics_exporter role: gauges that no single process knows.
///
/// - akosha_ingestion_backlog_count: uploads that wait or are in work, of all processes
/// - akosha_ingestion_workers: processes that hold leases
/// - akosha_hot_store_health_status, akosha_warm_store_health_status: 1 answers, 0 does not, or one
///   of several does not
/// - akosha_hot_node_health_status{node}: the same of each of several hot stores
/// - akosha_bucket_size_bytes, akosha_bucket_objects {bucket}: of uploads, cold files, backups
/// - akosha_backup_last_success_timestamp_seconds: of the newest backup; 0: there is none
/// - akosha_backup_age_seconds: since then; not told where there is none
///
/// Buckets are listed every five minutes beside the questions, a million objects of each at most.
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
  ~Fleet();
  /// Errors: invalid_argument (addresses and secret of the stores, buckets that cannot be meant).
  static Result<std::unique_ptr<Fleet>> make(Parts parts);

  /// The ledger; stores that are away are what it is there to tell.
  std::vector<Dependency> dependencies();
  /// Brings the gauges up to date.
  Aw<void> measure();

 private:
  struct Bucket {
    std::string name;  ///< "ingest", "cold", "backup"
    std::unique_ptr<object::ObjectStore> objects;
  };
  explicit Fleet(Parts parts);
  Result<void> open_buckets();
  /// On `lister_`.
  void list_buckets();
  void list(const Bucket& bucket);
  void find_newest_backup(object::ObjectStore& place);
  void tell_age();

  Parts parts_;
  Ledger ledger_;
  std::vector<std::unique_ptr<remote::RemoteStore>> stores_;  ///< hot ones first
  std::vector<std::string> names_;                            ///< of the hot ones
  std::vector<Bucket> buckets_;
  std::atomic<Clock::Steady> next_list_{};
  std::atomic<bool> listing_{false};
  std::atomic<std::int64_t> newest_backup_ns_{0};  ///< 0: there is none, or nobody knows yet
  std::unique_ptr<boost::asio::thread_pool> lister_ = std::make_unique<boost::asio::thread_pool>(1);
};

}  // namespace asahi::memory
