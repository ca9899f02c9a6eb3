#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/task.h"
#include "memory/backup/backup.h"
#include "memory/model/store.h"
#include "net/loop.h"
#include "storage/object/store.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Makes and checks backups of the tiers that this process serves, one at a time, on a thread of
/// its own. Any loop. Sets akosha_backup_last_success_timestamp_seconds.
class BackupKeeper {
 public:
  struct Options {
    std::chrono::hours keep{24 * 30};
    std::string folder;   ///< for snapshots on their way; on the disk of the tiers
    std::string version;  ///< of the product
  };
  struct Parts {
    std::vector<Store*> stores;
    object::ObjectStore& target;
    net::Loop& loop;  ///< where stores are asked
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  BackupKeeper(Parts parts, Options options);
  ~BackupKeeper();

  /// Begins; the new backup's id. Errors: conflict while one is made or checked.
  Result<std::string> start();
  /// Begins to check one (empty: the newest). Errors: conflict, invalid_argument.
  Result<void> start_verify(std::string id);
  /// {"running", "last": {kind, backup_id, ok, error, finished_at, …}, "backups": [newest first]}.
  /// Errors: those of the target.
  Task<json::object> status();
  /// Cuts short what runs. Ordinary thread.
  void stop();

 private:
  Result<void> begin(std::string kind, std::string id, std::function<Result<json::object>()> work);
  Result<json::object> make(const std::string& id);
  Result<json::object> verify(const std::string& id);

  const Parts parts_;
  const Options options_;
  Logger logger_{"memory.backup"};
  telemetry::Gauge& last_success_;
  std::mutex mutex_;
  std::string running_;               ///< "backup bak_…", empty: nothing; under the mutex
  std::optional<json::object> last_;  ///< under the mutex
  std::atomic<bool> stopping_{false};
  boost::asio::thread_pool worker_{1};
  boost::asio::thread_pool reader_{1};  ///< lists while the worker works
};

}  // namespace asahi::memory
