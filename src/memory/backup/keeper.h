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
#include "jobs/queue.h"
#include "memory/backup/backup.h"
#include "memory/model/store.h"
#include "net/loop.h"
#include "storage/object/store.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

enum class BackupKind : std::uint8_t {
  kWhole,
  kIncremental,  ///< names what the newest one has instead of writing it again
};

/// Makes and checks backups of the tiers that this process reaches and of the memory's rows in the
/// database, one at a time, on a thread of its own; when asked, and by the clock: whole ones by a
/// schedule, incremental ones every few minutes. Any loop. Sets
/// akosha_backup_last_success_timestamp_seconds, at first to what the newest backup says, and
/// akosha_backup_interval_seconds.
class BackupKeeper {
 public:
  struct Options {
    std::chrono::hours keep{24 * 30};
    std::size_t most = 30;  ///< whole backups that are kept, at least 1
    std::string schedule;   ///< of whole ones: cron, UTC; empty: when asked only
    /// Between two incremental ones, 1 to 30; 0: when asked only.
    int incremental_minutes = 0;
    std::string folder;   ///< for snapshots on their way; on the disk of the tiers
    std::string version;  ///< of the product
    std::chrono::milliseconds poll{5'000};  ///< between two looks whether the clock has begun one
  };
  struct Parts {
    std::vector<Store*> stores;  ///< hottest first: what moves meanwhile is in the next one, too
    sql::Database& database;
    object::ObjectStore& target;
    net::Loop& loop;  ///< where stores are asked
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  BackupKeeper(Parts parts, Options options);
  ~BackupKeeper();

  /// Lets the clock begin backups, of several processes in one of them. Before stop().
  void follow_schedule();
  /// Begins; the new backup's id. Errors: conflict while one is made or checked.
  Result<std::string> start(BackupKind kind = BackupKind::kWhole);
  /// Begins to check one (empty: the newest). Errors: conflict, invalid_argument.
  Result<void> start_verify(std::string id);
  /// {"running", "last": {kind, backup_id, ok, error, finished_at, …}, "backups": [newest first]}.
  /// Errors: those of the target.
  Task<json::object> status();
  /// Cuts short what runs. Ordinary thread.
  void stop();

 private:
  using Work = std::function<Result<json::object>()>;
  Result<void> claim(const std::string& what);
  Result<void> begin(std::string kind, std::string id, Work work);
  Result<void> finish(const std::string& kind, const std::string& id, const Work& work);
  Task<void> make_scheduled(BackupKind kind);
  Result<json::object> make(const std::string& id, BackupKind kind);
  /// Copies all tiers below `source.folder` and names them there.
  Result<void> take_snapshots(BackupSource& source, const HeldSums& held);
  /// While nothing goes up from tier to tier.
  Result<void> take_snapshots_in_peace(const std::string& id, BackupSource& source,
                                       const HeldSums& held);
  /// Asks on the loop, waits here. Errors: also cancelled (stop()), timeout.
  template <class T>
  Result<T> ask(const char* what, std::function<Task<T>()> question);
  /// What is beyond what is kept goes, now and then.
  std::uint64_t prune(BackupKind made);
  void look_for_newest();
  Result<json::object> verify(const std::string& id);

  const Parts parts_;
  const Options options_;
  Logger logger_{"memory.backup"};
  telemetry::Gauge& last_success_;
  std::mutex mutex_;
  std::string running_;               ///< "backup bak_…", empty: nothing; under the mutex
  std::optional<json::object> last_;  ///< under the mutex
  std::atomic<bool> stopping_{false};
  FileSums sums_;
  std::size_t unpruned_ = 0;  ///< incremental ones since the last look at old ones; of the worker
  jobs::Queue queue_;
  std::unique_ptr<jobs::Worker> clock_worker_;  ///< null: no schedule
  boost::asio::thread_pool worker_{1};
  boost::asio::thread_pool reader_{1};  ///< lists while the worker works
};

}  // namespace asahi::memory
