#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "gateway/config.h"
#include "gateway/traces/fault_reporter.h"
#include "gateway/traces/outbox.h"
#include "gateway/traces/trace_hub.h"
#include "gateway/traces/trace_store.h"
#include "gateway/traces/tracer.h"
#include "net/http/router.h"

namespace asahi::gateway {

/// All that watches calls and faults, as the settings want it: whatever is off is null inside and
/// costs a branch.
class Traces {
 public:
  struct Parts {
    const GatewayConfig& config;
    net::LoopPool& loops;
    net::PerLoop<http::Client>& clients;
    telemetry::Registry& metrics;
    const Clock& clock;
    std::string node;  ///< this process among its like
  };
  /// Errors: invalid_argument for settings that `bind` would have refused.
  static Result<std::unique_ptr<Traces>> make(Parts parts);

  Tracer& tracer() { return *tracer_; }
  /// An event passes by, on the event writer's thread.
  void observe(const InferenceEvent& event) const { hub_->observe(event); }
  void add_routes(http::Router& router, const std::atomic<bool>& draining) const;
  /// Forgets calls of more than a day ago: the least that an organisation may keep anything.
  void drop_old(Clock::Time now) const;
  /// The last calls; null: none are remembered.
  TraceStore* store() const { return store_.get(); }
  /// Error lines of the log are reported from now on.
  void start();
  /// Sends what waits. After the last event. Ordinary thread.
  void stop();
  /// Where faults are reported; null: nowhere.
  FaultReporter* faults() { return faults_.get(); }

 private:
  Traces() = default;
  std::unique_ptr<Tracer> tracer_;
  std::unique_ptr<TraceStore> store_;
  std::unique_ptr<Outbox> spans_;
  std::unique_ptr<FaultReporter> faults_;
  std::unique_ptr<TraceHub> hub_;
};

}  // namespace asahi::gateway
