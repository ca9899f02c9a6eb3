#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/config/loader.h"
#include "identity/audit/audit.h"
#include "memory/alerts/alerts.h"
#include "memory/config.h"
#include "memory/events/hub.h"
#include "memory/hot/engine.h"
#include "memory/http/routes.h"
#include "memory/ingest/metrics.h"
#include "memory/mcp/tools.h"
#include "memory/ops/search_metrics.h"
#include "memory/ops/watched_store.h"
#include "memory/wiring/outside.h"
#include "net/http/gate.h"
#include "net/http/router.h"
#include "net/loop.h"
#include "storage/cache/store.h"
#include "storage/object/store.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// How the memory is run and watched: health, settings, gauges, breakers, runtime alerts, live
/// events. What the module joins of it stands here.
class Ops {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    cache::Store* shared_cache = nullptr;  ///< null: there is none
    cache::Store* l1 = nullptr;            ///< of searches
    telemetry::Registry& metrics;
    const Clock& clock;
    http::Gate* gate = nullptr;  ///< null: whoever comes may do everything
    bool auth_required = false;
    const std::vector<config::Binder::Effective>& settings;  ///< of the process
    std::string version;
    IngestMetrics& ingest_metrics;
    SearchMetrics& search_metrics;
    WatchedStore* bucket = nullptr;  ///< of uploads; null: there is none
    /// What tiers of this process tell of their indexes, by tier.
    std::vector<std::pair<std::string, std::function<hot::EngineStats()>>> engines = {};
    const Outside& outside;
    SharedRouteParts routes;
    std::function<void()> shut_down = {};  ///< nothing: there is no POST /shutdown
    Secret shutdown_token = {};            ///< what POST /shutdown asks for
    bool searches = true;                  ///< it answers them
    bool alone = true;                     ///< no other process does what the clock begins
  };
  /// Errors: those of the place for backups (invalid_argument, unavailable).
  static Result<std::unique_ptr<Ops>> make(Parts parts);
  ~Ops();

  void add_routes(http::Router& router, const std::string& mount);
  /// Live events alone: at "/", and as `add_routes` has them with the mount "".
  void add_live_routes(http::Router& router);
  void start();
  /// Ordinary thread, while the loops run.
  void stop();

  /// What MCP tools tell of the process.
  HealthTools health_tools();
  /// Events for people who listen.
  Hub& hub();
  /// Measurements that may be worth an alert.
  AlertSink& alerts();

 private:
  struct Impl;
  explicit Ops(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Versions 325 to 329.
std::vector<sql::Migration> ops_migrations();

}  // namespace asahi::memory
