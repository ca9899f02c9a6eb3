#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/task.h"
#include "jobs/queue.h"
#include "net/loop.h"
#include "storage/object/replicated_store.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Sees to it that the replica buckets of one place (spec/memory §4.9) follow: what was put and
/// erased here goes to them within seconds, on a thread of its own; what a crash or an outage left
/// out is found by comparing listings, at the start, by the clock (of several processes in one) and
/// when asked. Any loop.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_replica_lag_seconds | gauge; place, replica: the oldest change that is not there yet |
/// | akosha_replica_waiting_objects | gauge; place, replica |
/// | akosha_replica_copied_total, akosha_replica_erased_total | counter; place, replica |
/// | akosha_replica_failures_total | counter; place, replica |
/// | akosha_replica_reads_total | counter; place, replica: calls in the first bucket's place |
/// | akosha_replica_unexplained_objects | gauge; place, replica: copies of objects that are gone
///   though nobody erased them |
/// | akosha_replica_last_compared_timestamp_seconds | gauge; place, replica |
class ReplicaKeeper {
 public:
  struct Options {
    std::string place;     ///< "cold", "backup": in metrics, logs and the kind of its jobs
    std::string schedule;  ///< cron, UTC, of comparisons; empty: at the start and when asked
    std::chrono::milliseconds every{1'000};  ///< between two looks whether something waits
    std::chrono::milliseconds poll{5'000};   ///< … whether the clock has begun a comparison
  };
  struct Parts {
    object::ReplicatedStore& store;
    sql::Database& database;
    net::Loop& loop;
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  ReplicaKeeper(Parts parts, Options options);
  ~ReplicaKeeper();

  void start();
  /// What waits still goes out for up to `grace`; then the store is stopped. Ordinary thread, while
  /// the loop runs.
  void stop(std::chrono::milliseconds grace);

  /// Brings what waits, and tells the gauges. Ordinary thread.
  Result<void> follow();
  /// Begins a comparison; `erase_unexplained` as ReplicatedStore::reconcile. Errors: conflict while
  /// one runs, unavailable while the process ends.
  Result<void> begin_comparison(bool erase_unexplained);
  /// {"place", "first", "running", "last", "replicas": [{…}]}; see api/openapi.yaml.
  json::object status() const;
  const std::string& place() const { return options_.place; }

 private:
  struct Gauges;
  void run(const std::stop_token& stopping);
  Result<void> compare(bool erase_unexplained);
  void measure();

  const Parts parts_;
  const Options options_;
  Logger logger_{"memory.replicas"};
  const std::string kind_;
  std::vector<std::unique_ptr<Gauges>> gauges_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  bool idle_ = true;                  ///< the thread has ended; under the mutex
  bool failing_ = false;              ///< the last round of the thread failed; its own
  std::optional<json::object> last_;  ///< comparison; under the mutex
  std::atomic<bool> comparing_{false}, stopping_{false};
  std::mutex measuring_;
  jobs::Queue queue_;
  std::unique_ptr<jobs::Worker> clock_worker_;
  boost::asio::thread_pool comparer_{1};
  std::jthread follower_;
};

}  // namespace asahi::memory
