#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/config.h"
#include "memory/outside/orchestrator.h"
#include "memory/outside/queue_listener.h"
#include "memory/outside/services.h"
#include "memory/outside/upload_queue.h"
#include "memory/outside/workflow_runs.h"
#include "net/background.h"
#include "net/http/client.h"
#include "net/loop.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Services outside that this process asks: those that MCP clients want to hear of, the
/// orchestrator, and the queue of the bucket's events.
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
    /// Discovery::notice; empty: there is no bucket here.
    std::function<Task<bool>(std::string key)> notice;
  };
  /// Errors: invalid_argument (URLs of the orchestrator and the queue).
  static Result<std::unique_ptr<Outside>> make(Parts parts);
  ~Outside();

  const OutsideServices& services() const { return *services_; }
  const Orchestrator& orchestrator() const { return *orchestrator_; }
  /// Of the services that are configured, by name.
  std::vector<std::pair<std::string, CircuitStats>> circuits() const;

  void start();
  /// Ordinary thread, while the loops run.
  void stop();

 private:
  explicit Outside(Parts parts);
  Result<void> make_orchestrator();
  Result<void> make_queue();

  const Parts parts_;
  net::PerLoop<http::Client> clients_;
  WorkflowRuns runs_;
  std::unique_ptr<OutsideServices> services_;
  std::unique_ptr<Orchestrator> orchestrator_;
  std::unique_ptr<UploadQueue> queue_;  ///< null: there is none
  std::unique_ptr<QueueListener> listener_;
  net::Background background_;  ///< on loop 0
};

/// Version 335.
std::vector<sql::Migration> outside_migrations();

}  // namespace asahi::memory
