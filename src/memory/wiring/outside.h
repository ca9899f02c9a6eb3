#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/cancel.h"
#include "memory/config.h"
#include "memory/outside/orchestrator.h"
#include "memory/outside/services.h"
#include "memory/outside/workflow_runs.h"
#include "net/http/client.h"
#include "net/loop.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Services outside that this process asks: those that MCP clients want to hear of, and the
/// orchestrator.
class Outside {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    telemetry::Registry& metrics;
    const Clock& clock;
    std::string version;
    /// Looks into the bucket; empty: this process takes no uploads, and starts no workflows.
    std::function<void()> ingest;
  };
  /// Errors: invalid_argument (the orchestrator's URL).
  static Result<std::unique_ptr<Outside>> make(Parts parts);
  ~Outside();

  const OutsideServices& services() const { return *services_; }
  const Orchestrator& orchestrator() const { return *orchestrator_; }

  void start();
  /// Ordinary thread, while the loops run.
  void stop();

 private:
  explicit Outside(Parts parts);
  Result<void> make_orchestrator();

  const Parts parts_;
  net::PerLoop<http::Client> clients_;
  WorkflowRuns runs_;
  std::unique_ptr<OutsideServices> services_;
  std::unique_ptr<Orchestrator> orchestrator_;
  CancelSource stopping_;  ///< of loop 0
  std::mutex mutex_;
  std::condition_variable idle_;
  int running_ = 0;  // under the mutex
};

/// Version 335.
std::vector<sql::Migration> outside_migrations();

}  // namespace asahi::memory
