#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/log.h"
#include "gateway/traces/delivery.h"
#include "net/loop.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

/// Sends what it is given to an HTTP endpoint, in batches, behind everybody's back: offering costs
/// a lock and a move and never waits; when the endpoint is away or slow, what does not fit the
/// queue is dropped and counted in `asahi_telemetry_dropped_total`. Nothing runs while it is empty.
class Outbox {
 public:
  struct Options {
    std::string name;  ///< label of metrics and log lines
    http::Origin origin;
    std::string target;
    http::Headers headers;
    std::size_t max_items = 2'048, max_bytes = 16 * 1024 * 1024;
    std::size_t batch_items = 64, batch_bytes = 512 * 1024;
    std::chrono::milliseconds interval{5'000};  ///< longest wait for a batch to fill
    std::chrono::milliseconds timeout{10'000};  ///< of one attempt
  };
  struct Parts {
    net::Loop& loop;
    http::Client& client;  ///< of that loop
    telemetry::Registry& metrics;
    /// The body for a batch.
    std::function<std::string(std::vector<std::string> items)> compose;
    /// What becomes of it; `attempt` counts from 1. On the loop.
    std::function<DeliveryVerdict(const Result<http::ClientResponse>& reply, int attempt)> judge;
  };
  /// The parts outlive it; so do the loop's turns until `stop` has returned.
  Outbox(Options options, Parts parts);

  /// False when it was dropped. Any thread.
  bool offer(std::string item);
  /// Sends what is there, once, within `limit`; takes nothing more. Ordinary thread.
  void stop(std::chrono::milliseconds limit);

 private:
  Aw<void> run();
  Aw<void> deliver(std::vector<std::string> batch);
  /// Waits for `time`, less when `stop` is called or, while gathering, a batch is full.
  Aw<void> pause(std::chrono::milliseconds time, bool gathering);
  /// Empty: nothing is left, and `run` ends.
  std::vector<std::string> take();
  bool is_full() const;

  const Options options_;
  const Parts parts_;
  telemetry::Counter& sent_;
  telemetry::Counter& overflowed_;
  telemetry::Counter& failed_;
  Logger logger_{"telemetry"};
  RateLimited outage_{std::chrono::minutes(1)};

  mutable std::mutex mutex_;
  std::vector<std::string> queue_;
  std::size_t bytes_ = 0;
  bool running_ = false;
  std::atomic<bool> stopping_{false};

  // On the loop.
  CancelSource* pause_ = nullptr;  ///< of the pause that goes on
  bool gathering_ = false;
  CancelSource* call_ = nullptr;  ///< of the call under way
};

}  // namespace asahi::gateway
