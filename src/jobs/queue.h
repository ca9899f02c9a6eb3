#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::jobs {

/// One unit of durable work. `fence` grows with every lease of the job: a worker that lost its
/// lease cannot complete it any more.
struct Job {
  std::string id;  ///< "job_" + ULID
  std::string org_id;
  std::string kind;  ///< "events.retention"
  json::value payload;
  int priority = 0;  ///< higher first
  int attempt = 1;   ///< counts from 1
  int max_attempts = 5;
  std::int64_t fence = 0;
};

struct EnqueueOptions {
  std::string org_id = "-";
  int priority = 0;
  int max_attempts = 5;
  std::chrono::milliseconds delay{0};
  /// A second enqueue with the same organisation, kind and key while the first is not finished does
  /// nothing. Empty: none.
  std::string unique_key;
};

/// The one durable queue: PostgreSQL with FOR UPDATE SKIP LOCKED, SQLite in embedded mode. Leases
/// with fencing, retries with exponential back-off, dead letters, priorities, cron. A handler may
/// run twice after a crash (never at the same time with a valid fence): handlers are idempotent.
class Queue {
 public:
  /// `db` and `clock` outlive the queue.
  Queue(sql::Database& db, const Clock& clock);
  ~Queue();

  /// Returns the job's id; the id of the unfinished one when `unique_key` names it. Errors:
  /// invalid_argument (a kind, key, delay, or payload that could not be stored or run), too_large
  /// (a payload above 1 MiB: store it elsewhere and name it).
  Task<std::string> enqueue(std::string kind, json::value payload, EnqueueOptions options = {});
  /// Enqueues for one minute of a cron entry; false when a replica has done so already.
  Task<bool> enqueue_at_minute(std::string kind, json::value payload, Clock::Time minute);
  /// The newest minute that enqueue_at_minute took for this kind; empty when there is none.
  Task<std::optional<Clock::Time>> newest_minute(std::string kind);
  /// Leases up to `limit` due jobs of these kinds for `lease`: by priority, then by the time they
  /// became due. A job whose lease ran out is due again, and dead when that was its last attempt.
  Task<std::vector<Job>> lease(std::vector<std::string> kinds, std::size_t limit,
                               std::chrono::milliseconds lease, std::string worker);
  /// Errors of the next five: conflict when the lease was lost.
  Task<void> complete(const Job& job);
  /// Queues it again in 2^attempt seconds (at most an hour), or makes it a dead letter when that
  /// was its last attempt.
  Task<void> fail(const Job& job, std::string error);
  /// Gives the job back untried: the attempt does not count.
  Task<void> release(const Job& job);
  Task<void> extend(const Job& job, std::chrono::milliseconds lease);
  /// `fraction`: 0 to 1.
  Task<void> progress(const Job& job, double fraction, std::string note);

  struct Counts {
    std::int64_t queued = 0, leased = 0, dead = 0, done = 0;
  };
  Task<Counts> counts();
  /// Rows that one call of the next two changes at most; that many or more: call again.
  static constexpr std::int64_t kBatch = 5'000;
  /// Dead letters back to the queue with their attempts renewed, the oldest first; returns how
  /// many. One that shares its unique key with an unfinished or newer dead job stays.
  Task<std::int64_t> revive(std::string kind);
  /// Deletes jobs that were done before `done_before` or died before `dead_before` (up to a batch
  /// of each), and cron minutes long past. Returns the number of jobs.
  Task<std::int64_t> prune(Clock::Time done_before, Clock::Time dead_before);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// An error or an exception is a failed attempt. The job outlives the call. Handlers bound their
/// own time: the worker renews the lease for as long as they run.
using JobHandler = std::function<Task<void>(const Job&)>;

/// Runs handlers on a loop: polls the queue, renews leases while a handler runs, returns leases on
/// stop. Cron entries ("0 3 * * *", UTC) enqueue their kind once per due minute across all
/// replicas; of minutes missed since the kind's last one and within a day, by an outage or a
/// restart, the newest is made up for.
class Worker {
 public:
  struct Options {
    std::size_t concurrency = 4;
    /// How often an empty queue is asked. A finished job asks at once.
    std::chrono::milliseconds poll{500};
    std::chrono::milliseconds lease{30'000};
    /// Finished jobs are deleted after this long, dead letters after that long.
    std::chrono::milliseconds keep_done{std::chrono::hours(1)};
    std::chrono::milliseconds keep_dead{std::chrono::hours(24 * 30)};
    /// For operators, in the queue's rows; empty: a random one.
    std::string name;
  };
  /// `queue`, `loop` and `clock` outlive the worker.
  Worker(Queue& queue, net::Loop& loop, const Clock& clock, Options options);
  /// stop() without grace.
  ~Worker();
  /// Before start(). A kind without a handler stays in the queue for other workers.
  void handle(std::string kind, JobHandler handler);
  /// Before start(). A kind may have several entries, of one payload. Throws std::invalid_argument
  /// for another payload, or an expression that next_cron refuses.
  void cron(std::string expression, std::string kind, json::value payload);
  /// Once: a stopped worker stays stopped.
  void start();
  /// Waits for running handlers up to `grace`, then returns their leases; a handler that still runs
  /// may go on, and what it returns is ignored. Ordinary thread, while the loop runs.
  void stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// The next minute at or after `from` that a cron expression names (UTC): five fields with lists,
/// ranges, steps and names ("*/15 8-18 * * mon-fri"), or @hourly, @daily, @midnight, @weekly,
/// @monthly, @yearly, @annually. When both days are restricted either suffices, as in crontab(5).
/// Errors: invalid_argument naming the field, or when no such day exists.
Result<Clock::Time> next_cron(std::string_view expression, Clock::Time from);

/// jobs' schema: versions 50–99.
std::vector<sql::Migration> migrations();

}  // namespace asahi::jobs
