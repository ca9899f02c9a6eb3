#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
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
  /// A second enqueue with the same kind and key while the first is not finished does nothing.
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

  Task<std::string> enqueue(std::string kind, json::value payload, EnqueueOptions options = {});
  /// Leases up to `limit` due jobs of these kinds for `lease`.
  Task<std::vector<Job>> lease(std::vector<std::string> kinds, std::size_t limit,
                               std::chrono::milliseconds lease, std::string worker);
  /// Errors of the next three: conflict when the lease was lost.
  Task<void> complete(const Job& job);
  Task<void> fail(const Job& job, std::string error);
  Task<void> extend(const Job& job, std::chrono::milliseconds lease);
  Task<void> progress(const Job& job, double fraction, std::string note);

  struct Counts {
    std::int64_t queued = 0, leased = 0, dead = 0, done = 0;
  };
  Task<Counts> counts();
  /// Dead letters back to the queue; returns how many.
  Task<std::int64_t> revive(std::string kind);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

using JobHandler = std::function<Task<void>(const Job&)>;

/// Runs handlers on a loop: polls the queue, renews leases while a handler runs, returns leases on
/// stop. Cron entries ("0 3 * * *", UTC) enqueue their kind once per due minute across all
/// replicas.
class Worker {
 public:
  struct Options {
    std::size_t concurrency = 4;
    std::chrono::milliseconds poll{500};
    std::chrono::milliseconds lease{30'000};
    std::string name;
  };
  Worker(Queue& queue, net::Loop& loop, const Clock& clock, Options options);
  ~Worker();
  void handle(std::string kind, JobHandler handler);
  void cron(std::string expression, std::string kind, json::value payload);
  void start();
  /// Waits for running handlers up to `grace`, then returns their leases. Ordinary thread.
  void stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// The next minute at or after `from` that a five-field cron expression names (UTC).
/// Errors: invalid_argument naming the field.
Result<Clock::Time> next_cron(std::string_view expression, Clock::Time from);

/// jobs' schema: versions 50–99.
std::vector<sql::Migration> migrations();

}  // namespace asahi::jobs
