#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cipher.h"
#include "base/clock.h"
#include "gateway/config.h"
#include "gateway/governance/gdpr.h"
#include "identity/audit/audit.h"
#include "identity/limits/budget_ledger.h"
#include "identity/limits/rate_limiter.h"
#include "identity/principal.h"
#include "identity/secrets/live.h"
#include "identity/secrets/own_keys.h"
#include "net/http/client.h"
#include "net/http/router.h"
#include "net/loop.h"
#include "storage/cache/redis_client.h"
#include "storage/cache/store.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

/// The gateway as server/ sees it: settings in, routes out, start, stop.
class Gateway {
 public:
  /// What the process lends; all outlive the gateway.
  struct Parts {
    const GatewayConfig& config;
    net::LoopPool& loops;
    net::PerLoop<http::Client>& clients;
    sql::Database& database;
    cache::Store& cache;        ///< Redis, or the same as `local_cache`
    cache::Store& local_cache;  ///< in process
    telemetry::Registry& metrics;
    const Clock& clock;
    identity::BudgetLedger& budgets;
    identity::RateLimiter& limiter;
    identity::AuditLog& audit;
    Accounts& accounts;
    /// Tells the other replicas that an organisation's policy or profile has changed; may be null.
    std::function<void(const std::string& org)> rules_changed;
    /// False while credentials, limits or the audit log work with less than they should have; may
    /// be null.
    std::function<bool()> governance_healthy;
    /// The organisations' own keys at vendors; null: nobody has any.
    identity::OwnKeys* own_keys = nullptr;
    /// Encrypts what may only be stored so; null, or null inside: such things are not stored.
    const identity::Live<KeyRing>* ring = nullptr;
    /// For batches that several workers share; null: this process alone.
    std::shared_ptr<cache::RedisClients> redis = nullptr;
  };

  /// Errors: invalid_argument with all faults of the models file, unavailable for folders that
  /// cannot be written.
  static Result<std::unique_ptr<Gateway>> make(Parts parts);
  ~Gateway();

  void add_routes(http::Router& router);
  /// Writes an error that belongs to no route, in the shape of the path it was asked for.
  http::ErrorWriter errors_by_path() const;
  /// Starts the background work: event loading, cache sweep, health polls, reload of the models
  /// file.
  void start();
  /// Readiness off; called before the server drains.
  void begin_drain();
  /// Ends the background work and writes out what is queued. After the server has drained. Ordinary
  /// thread.
  void stop();
  /// The daily deletion of what is older than organisations keep it, on this node; what it deleted.
  Task<json::object> run_retention();
  /// Yesterday's sums and alerts by mail.
  Task<void> send_digest();
  /// This node's name among those that share a database.
  const std::string& node_id() const;
  /// Forgets what is remembered of an organisation's policy and profile; empty: of all. Any thread.
  void forget_rules(std::string_view org);
  /// Requests per minute that the policy of a caller's organisation grants; empty inside: it says
  /// nothing. For the gate, on a loop. Empty outside: not in memory, ask the other.
  std::optional<std::optional<std::int64_t>> try_requests_per_minute(
      const identity::Principal& caller);
  Aw<std::optional<std::int64_t>> requests_per_minute(std::string org);
  /// Calls the vendors whose key comes from the variable `name` with `key` from now on. Any thread.
  void use_vendor_key(std::string_view name, const Secret& key);
  /// Reads the models file again (SIGHUP). Ordinary thread.
  void reload();
  /// Prometheus text exposition, with the gauges as of now. Any thread.
  std::string expose_metrics();
  /// Brings those gauges up to date, for exporters. Any thread.
  void refresh_metrics();
  /// Counts and logs one finished HTTP request; on the loop's thread.
  void on_complete(const http::Context& context, int status, std::size_t bytes);

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::gateway
