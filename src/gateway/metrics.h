#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "base/log.h"
#include "gateway/events/event.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

/// The series of spec §7.1 that follow from events. Fed by the event writer's thread only: requests
/// pay nothing for them.
class EventMetrics {
 public:
  explicit EventMetrics(telemetry::Registry& registry);
  void observe(const InferenceEvent& event);

 private:
  /// Instruments of one (model, task, tier, status), resolved once.
  struct Series {
    telemetry::Counter* requests;
    telemetry::Counter* cost;
    telemetry::Counter* tenant_requests;
    telemetry::Histogram* latency_ms;
    telemetry::Histogram* latency_seconds;
    telemetry::Histogram* model_latency;
    telemetry::Counter* hits;  ///< null on misses
    telemetry::Counter* savings;
    telemetry::Gauge* quality;
  };
  Series& series(const InferenceEvent& event);
  void observe_estimate(const InferenceEvent& event);

  telemetry::Registry& registry_;
  std::unordered_map<std::string, Series> series_;
  telemetry::Counter& misses_;
  telemetry::Gauge& hit_rate_;
  telemetry::Histogram& lookup_;
  telemetry::Histogram& tokens_in_;
  telemetry::Histogram& tokens_out_;
  telemetry::Counter& trim_savings_;
  telemetry::Counter& batching_savings_;
  double hits_seen_ = 0, lookups_seen_ = 0;
  /// Actual ÷ counted input tokens of a model, of late.
  struct Drift {
    telemetry::Gauge* shown = nullptr;
    double ratio = 1;
    bool told = false;
  };
  std::unordered_map<std::string, Drift> drifts_;
  Logger logger_{"metrics"};
};

}  // namespace asahi::gateway
