#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "memory/ingest/ledger.h"
#include "memory/measure/errors.h"
#include "memory/measure/operation.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// What one upload or push came to.
struct IngestEnd {
  const std::string& tenant;
  const std::string& system_id;
  std::string_view status, operation;
  const UploadCounts& gained;  ///< by this try
};

/// Ingestion's instruments (spec §8.1). `system_id` is bounded by the registry.
///
/// - akosha_ingestion_requests_total{system_id, status}
/// - akosha_ingestion_duration_seconds{operation}: histogram; upload, push, scan
/// - akosha_ingestion_queue_size: gauge, this process's share of the queue
/// - akosha_ingestion_backlog_count: gauge, the whole queue
/// - akosha_ingestion_conversations_processed_total{system_id, status}: outcomes
/// - akosha_deduplication_checks_total{check_type, result}: exact, fuzzy
/// - akosha_ingestion_bytes_total{system_id}
/// - akosha_ingestion_errors_total{system_id, error_type}
/// - akosha_ingestion_throughput{system_id}: gauge, memories a second of late
/// - akosha_operations_total, akosha_operation_duration_seconds {operation_type}: the same three
/// - akosha_errors_total{component}: ingestion_worker (measure/errors.h)
class IngestMetrics {
 public:
  /// Both outlive it.
  explicit IngestMetrics(telemetry::Registry& registry, const Clock& clock = system_clock());

  /// Is told of every end, on the loop where it happens: must not wait. Set it before work begins.
  void watch(std::function<void(const IngestEnd&)> watcher) { watcher_ = std::move(watcher); }
  /// One upload or push came to an end. Thread-safe.
  void ended(const IngestEnd& end, std::chrono::nanoseconds took);
  /// `type`: network, storage, validation, timeout, rate_limit, ….
  void error(const std::string& system_id, std::string_view type);
  void scanned(std::chrono::nanoseconds took);
  void queue(double own_share, double all);
  /// Sets the throughput since the last call; every few seconds.
  void tell_throughput();

 private:
  telemetry::Registry& registry_;
  const Clock& clock_;
  const Operation upload_, push_, scan_;
  std::mutex mutex_;
  std::map<std::string, double> taken_;  ///< memories by system since the last time
  Clock::Steady told_;
  telemetry::Histogram& uploads_;
  telemetry::Histogram& pushes_;
  telemetry::Histogram& scans_;
  telemetry::Gauge& share_;
  telemetry::Gauge& backlog_;
  std::function<void(const IngestEnd&)> watcher_;
};

}  // namespace asahi::memory
