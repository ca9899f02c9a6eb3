#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "identity/audit/audit.h"
#include "identity/security/security_log.h"
#include "memory/config.h"
#include "memory/wiring/roles.h"
#include "net/http/gate.h"
#include "net/http/router.h"
#include "net/loop.h"
#include "storage/cache/store.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// The memory as server/ sees it: settings in, routes out, start, stop.
class MemoryModule {
 public:
  /// What the process lends; all outlive the module.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    cache::Store* shared_cache = nullptr;  ///< Redis; null: there is none
    telemetry::Registry& metrics;
    const Clock& clock;
    identity::AuditLog& audit;
    std::string version;         ///< of the product, told to MCP clients
    http::Gate* gate = nullptr;  ///< asked for who listens; null: whoever comes may do everything
    bool auth_required = false;
    std::vector<config::Binder::Effective> settings = {};  ///< of the process, for GET /settings
    /// kAll, kIngestionWorker or kQueryServer; the last two reach the tiers in other processes.
    Component component = Component::kAll;
    identity::SecurityLog* security = nullptr;  ///< null: nobody is told
    /// Begins what SIGTERM begins, for POST /shutdown; nothing: there is no such route.
    std::function<void()> shut_down = {};
    Secret shutdown_token = {};  ///< of the owner's file; empty: credentials only
  };

  /// Opens the tiers, replaying what was written last. Errors: unavailable for folders that cannot
  /// be used, corrupt with what is damaged.
  static Result<std::unique_ptr<MemoryModule>> make(Parts parts);
  ~MemoryModule();

  /// `mount`: "/memory" beside other modules, "" where the memory has the process to itself.
  void add_routes(http::Router& router, const std::string& mount);
  /// Live events alone, for a listener of their own. Only where it answers queries.
  void add_live_routes(http::Router& router);
  /// What it cannot work without: the stores, the ledger.
  std::vector<Dependency> dependencies();
  void start();
  /// Takes no new work; called before the server drains.
  void begin_drain();
  /// Ends what runs in the background and writes out what is queued. Ordinary thread.
  void stop();

 private:
  struct Impl;
  explicit MemoryModule(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The module's tables.
std::vector<sql::Migration> migrations();

}  // namespace asahi::memory
