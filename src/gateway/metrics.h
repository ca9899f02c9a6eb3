#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

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
    telemetry::Counter* tenant_cost;
    telemetry::Histogram* latency_ms;
    telemetry::Histogram* latency_seconds;
    telemetry::Histogram* model_latency;
    telemetry::Counter* savings;
    telemetry::Gauge* quality;
  };
  /// What is known of one cache tier.
  struct Tier {
    telemetry::Counter* hits = nullptr;
    telemetry::Counter* misses = nullptr;
    telemetry::Gauge* hit_rate = nullptr;
    telemetry::Histogram* lookup = nullptr;
  };
  Series& series(const InferenceEvent& event);
  /// The organisation's name as a label: beyond the first 200 they are all "other".
  const std::string& tenant(const std::string& org);
  void observe_estimate(const InferenceEvent& event);
  void observe_lookups(const InferenceEvent& event);

  telemetry::Registry& registry_;
  std::unordered_map<std::string, Series> series_;
  std::array<Tier, 4> tiers_;  ///< index 1 to 3
  std::unordered_set<std::string> tenants_;
  telemetry::Histogram& tokens_in_;
  telemetry::Histogram& tokens_out_;
  telemetry::Counter& trim_savings_;
  telemetry::Counter& batching_savings_;
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
