#pragma once

#include <boost/asio/thread_pool.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "gateway/export/config.h"
#include "net/background.h"
#include "net/http/client.h"
#include "net/http/url.h"
#include "net/loop.h"
#include "telemetry/metrics.h"

namespace asahi::server {

/// Sends the process's metrics to InfluxDB and to a Prometheus remote write receiver: a snapshot
/// every `collection_interval_seconds`, taken and written on a thread of its own. What a receiver
/// does not take now waits, oldest first, in a bounded buffer, and goes out at the next interval:
/// an outage leaves no gap as long as the buffer holds it. What it refuses for good is dropped.
/// Counts `asahi_metric_exports_total{exporter,outcome}` and
/// `asahi_metric_exports_dropped_total{exporter,reason}` in requests (buffer_full, refused).
class MetricExporters {
 public:
  struct Parts {
    const gateway::ExportConfig& config;
    std::string app, node;  ///< labels of every series: job and instance
    net::LoopPool& loops;
    net::PerLoop<http::Client>& clients;
    telemetry::Registry& metrics;
    /// Brings gauges up to date before a snapshot; any thread.
    std::function<void()> refresh;
    const Clock& clock;
  };
  /// Null: none is configured. Errors: invalid_argument (a URL), unavailable (libsnappy is
  /// missing).
  static Result<std::unique_ptr<MetricExporters>> make(Parts parts);

  void start();
  /// Sends a last snapshot, for at most the time of one delivery. Ordinary thread, loops still
  /// running; no later than that they go.
  void stop();

 private:
  /// One receiver, and what waits for it.
  struct Receiver {
    std::string name;  ///< "influx", "remote_write"
    http::Url url;
    http::Headers headers;
    /// A snapshot as bodies of requests.
    std::function<Result<std::vector<std::string>>(
        const std::vector<telemetry::FamilySnapshot>& families, Clock::Time now)>
        write;
    std::deque<std::string> waiting;
    std::size_t waiting_bytes = 0;
    Clock::Steady not_before{};  ///< as it asked for
    bool away = false;
  };

  explicit MetricExporters(Parts parts)
      : parts_(std::move(parts)), background_(parts_.loops.at(0)) {}
  Result<void> add_influx();
  Result<void> add_remote_write();
  Aw<void> run(Receiver& receiver, net::Background::Sleep sleep);
  Aw<void> send_snapshot(Receiver& receiver, CancelSource* cancel);
  Aw<void> deliver(Receiver& receiver, CancelSource* cancel);
  void keep(Receiver& receiver, std::vector<std::string> bodies);
  void count(const Receiver& receiver, std::string outcome);
  void drop(Receiver& receiver, std::string reason);

  const Parts parts_;
  Logger logger_{"exporters"};
  std::vector<std::unique_ptr<Receiver>> receivers_;
  boost::asio::thread_pool writer_{1};
  net::Background background_;  ///< on loop 0
};

}  // namespace asahi::server
