#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/policy/breaker.h"
#include "memory/ingest/bundle.h"
#include "memory/ingest/discovery.h"
#include "memory/ingest/intake.h"
#include "memory/ingest/ledger.h"
#include "memory/ingest/metrics.h"
#include "memory/ingest/scan_jobs.h"
#include "net/loop.h"

namespace asahi::memory {

/// Keeps the bucket's uploads coming in: scans, leases, works on some at a time, renews leases,
/// tells the gauges. Stands still while the store is pressed or the bucket's breaker is open.
class IngestWorker {
 public:
  struct Options {
    std::size_t uploads_at_once = 10;
    std::chrono::milliseconds poll{1'000};                ///< how often an empty queue is asked
    std::chrono::milliseconds discovery{30'000};          ///< between two scans
    std::chrono::milliseconds pause_after_error{60'000};  ///< of scans
    std::chrono::milliseconds renew{60'000};
    std::chrono::milliseconds deadline{300'000};  ///< of one upload, per try
    std::chrono::milliseconds upkeep{15'000};     ///< gauges and old rows
    std::chrono::hours keep_rows{24 * 30};        ///< of finished uploads
    std::chrono::hours keep_bundles{24 * 7};      ///< in the bucket, of what is done; 0: for good
    Breaker::Options breaker{
        .failures = 5, .open_for = std::chrono::seconds(60), .half_open_probes = 3};
    std::string name;  ///< in the ledger's rows; empty: a random one
  };
  /// All outlive the worker. Without a bucket (`bundles`, `discovery` null) it only keeps the
  /// ledger tidy.
  struct Parts {
    Intake& intake;
    Ledger& ledger;
    BundleReader* bundles;
    Discovery* discovery;
    net::Loop& loop;
    const Clock& clock;
    IngestMetrics& metrics;
  };
  IngestWorker(Parts parts, Options options);
  /// stop() without grace.
  ~IngestWorker();

  void start();
  /// Stops leasing, gives no more room to pushes, lets what runs come to a batch's end and gives
  /// it back; after `grace` it takes the leases back from what still runs. Ordinary thread, while
  /// the loop runs.
  void stop(std::chrono::milliseconds grace);

  /// Scans (`system_id`, or all) and leases soon; the job's id. Any thread.
  std::string trigger(UploadPriority priority = UploadPriority::kNormal,
                      std::string system_id = {});
  const ScanJobs& jobs() const;

  struct Status {
    bool running = false;
    std::size_t uploads_in_work = 0;
    std::size_t pushes_in_flight = 0;  ///< and bundles; requests that hold room
    std::string paused;  ///< why nothing is leased now: "store", "bucket"; empty: it is
    Breaker::State bucket = Breaker::State::kClosed;
    std::optional<Clock::Time> last_scan;
    Discovery::Found found;  ///< by the last scan
  };
  /// Any thread.
  Status status() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace asahi::memory
