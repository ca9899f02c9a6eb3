#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/policy/retry.h"
#include "base/task.h"
#include "memory/alerts/store.h"
#include "memory/events/hub.h"
#include "memory/ops/circuit.h"
#include "memory/series/alerts.h"
#include "net/background.h"
#include "net/http/client.h"
#include "net/loop.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Who wants to know what was measured.
struct AlertSink {
  virtual ~AlertSink() = default;
  /// Returns at once; what does not fit into the queue is counted and lost. Any thread.
  virtual void observe(std::string tenant, series::Observation observation) = 0;
};

/// Decides tenant by tenant what is an alert (series::AlertRules), and tells people: the channels
/// of the hub, the tenant's webhooks, the history. Works on one loop; nothing waits for it, and no
/// webhook, slow or broken, keeps another one waiting.
///
/// A webhook gets a POST of the alert's JSON within 5 s, three tries with growing pauses; its
/// breaker opens after five failures in a row. Webhooks of tenants are asked at public addresses
/// only (net/address.h), unless the settings allow others. What reached nobody stands in the
/// history as failed and in the log.
///
/// | Series | Labels |
/// |---|---|
/// | akosha_alerts_total | alert_type, severity |
/// | akosha_alert_deliveries_total | outcome (delivered, failed, dropped) |
/// | akosha_alert_observations_dropped_total | – |
class Alerts final : public AlertSink {
 public:
  struct Options {
    std::chrono::nanoseconds repeat_window = std::chrono::minutes(5);
    std::chrono::milliseconds post_timeout{5'000};
    RetryPolicy retry{.max_attempts = 3};
    bool allow_private = false;
    std::string operators_url;  ///< told of the tenant kInstallation's alerts; empty: nobody
    std::size_t queue = 10'000;
    std::size_t lane = 100;      ///< alerts that may wait for one webhook
    std::size_t tenants = 1000;  ///< remembered; who alerted longest ago gives way
    std::chrono::hours keep{24 * 90};
  };
  struct Parts {
    net::Loop& loop;
    AlertStore& store;
    Hub& hub;
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  /// Observations about the installation belong to this tenant: the organisation of its operator.
  static constexpr std::string_view kInstallation = "default";

  Alerts(Parts parts, Options options);
  /// After `stop`, and after the loop's end.
  ~Alerts() override;

  void observe(std::string tenant, series::Observation observation) override;
  void start();
  /// Ends deliveries; ordinary thread, while the loop runs.
  void stop();

  void set_repeat_window(std::chrono::nanoseconds window);
  /// Settings of this tenant have changed: they are read again at once. Any thread.
  void forget(const std::string& tenant);
  /// Breakers of this tenant's webhooks, by id. Any thread.
  std::vector<std::pair<std::string, CircuitStats>> circuits(const std::string& tenant) const;
  /// Whether a URL may be told. Errors: invalid_argument (field url).
  Result<void> check_url(const std::string& url) const;

 private:
  struct Item {
    std::string tenant;
    series::Observation observation;
  };
  /// What one tenant wants, as it was read last, and what it heard.
  struct Tenant {
    series::AlertRules rules;
    std::vector<Webhook> webhooks;
    Clock::Steady read{};
    bool known = false;
  };
  /// One alert on its way to all who want it.
  struct Round {
    std::string tenant, alert_id, body;
    std::size_t left = 0;
    bool delivered = false;
  };
  /// One webhook with what waits for it.
  struct Lane {
    std::string tenant, id, url;
    std::unique_ptr<Circuit> circuit;
    std::deque<std::shared_ptr<Round>> waiting;
    bool running = false;
    bool trusted = false;  ///< named by the configuration: may be anywhere
  };

  Aw<void> work();
  Aw<void> refresh(const std::string& name, Tenant& tenant);
  std::shared_ptr<Tenant> tenant_of(const std::string& name);
  void publish(const std::string& tenant, const series::Alert& alert);
  void hand_out(const std::string& tenant, const Tenant& settings, const series::Alert& alert);
  Aw<void> drain(std::shared_ptr<Lane> lane, net::Background::Sleep sleep);
  Task<void> post(const Lane& lane, std::string body);
  Aw<void> settle(std::shared_ptr<Round> round, bool delivered);

  const Parts parts_;
  Options options_;  ///< repeat_window under the mutex
  Logger logger_{"memory.alerts"};
  RateLimited outage_{std::chrono::minutes(5)};
  http::Client guarded_, plain_;
  telemetry::Counter& dropped_;
  telemetry::Counter &delivered_count_, &failed_count_, &lost_count_;

  mutable std::mutex mutex_;
  std::deque<Item> queue_;  ///< under the mutex, as are the next four
  bool scheduled_ = false;
  bool stopped_ = true;
  std::vector<std::string> forgotten_;
  std::map<std::string, std::shared_ptr<Lane>> lanes_;  ///< by tenant and id; made on the loop

  // Of the loop.
  std::map<std::string, std::shared_ptr<Tenant>> tenants_;
  std::deque<std::string> tenant_order_;

  net::Background background_;
};

}  // namespace asahi::memory
