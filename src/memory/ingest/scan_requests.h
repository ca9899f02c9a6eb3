#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "jobs/queue.h"
#include "memory/ingest/ledger.h"
#include "net/loop.h"
#include "storage/sql/database.h"

namespace asahi::memory {

/// Asks other processes to look into the bucket now: a job of the one queue, which the first
/// ingestion worker takes that sees it. Any loop.
class ScanRequests {
 public:
  /// All outlive it.
  ScanRequests(sql::Database& database, net::Loop& loop, const Clock& clock);
  ~ScanRequests();

  /// The job's id; the one that waits already while there is one. Errors: those of the database.
  /// `system_id` empty: all systems.
  Task<std::string> ask(UploadPriority priority, std::string system_id = {});
  /// Calls `scan` for each job from now on. `scan` is quick.
  void answer(std::function<void(UploadPriority, const std::string& system_id)> scan);
  /// Ordinary thread, while the loop runs.
  void stop();

 private:
  net::Loop& loop_;
  const Clock& clock_;
  jobs::Queue queue_;
  std::unique_ptr<jobs::Worker> worker_;  ///< null: it only asks
};

}  // namespace asahi::memory
