#pragma once

#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "memory/ageing/ageing.h"

namespace asahi::memory::ageing {

struct Ageing::Metrics {
  explicit Metrics(telemetry::Registry& registry) {
    /// Seconds; spec §8.1.
    const std::vector<double> run_seconds = {60, 300, 900, 3600, 7200};
    for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
      const std::string name(tier_name(tier));
      auto& one = tiers[static_cast<std::size_t>(tier)];
      one.bytes = &registry.gauge(fmt::format("akosha_{}_store_size_bytes", name),
                                  "Bytes of the tier's memories");
      one.records = &registry.gauge(fmt::format("akosha_{}_store_record_count", name),
                                    "Memories of the tier");
    }
    for (const Step step : {kToWarm, kToCold, kToHot}) {
      OfStep& one = steps[place_of(step)];
      const std::string from(tier_name(step.source)), to(tier_name(step.target));
      one.moved = &registry.counter(
          "akosha_migration_records_total", "Memories that were to move to another tier",
          {{"source_tier", from}, {"target_tier", to}, {"status", "success"}});
      one.failed = &registry.counter(
          "akosha_migration_records_total", "Memories that were to move to another tier",
          {{"source_tier", from}, {"target_tier", to}, {"status", "error"}});
      one.seconds = &registry.histogram("akosha_migration_duration_seconds", "Time of ageing runs",
                                        run_seconds, {{"source_tier", from}, {"target_tier", to}});
    }
    const auto by_rule = [&](const char* action) {
      return &registry.counter("akosha_access_rules_total",
                               "Memories for which searches decided the tier",
                               {{"action", action}});
    };
    rules = {by_rule("promoted"), by_rule("refused"), by_rule("kept"), by_rule("demoted")};
    last_success = &registry.gauge("akosha_migration_last_success_timestamp_seconds",
                                   "End of the last good ageing run; 0: none since the start");
  }
  struct OfTier {
    telemetry::Gauge* bytes = nullptr;
    telemetry::Gauge* records = nullptr;
  };
  struct OfStep {
    telemetry::Counter* moved = nullptr;
    telemetry::Counter* failed = nullptr;
    telemetry::Histogram* seconds = nullptr;
  };
  std::array<OfTier, 3> tiers;
  static std::size_t place_of(const Step& step) {
    return step == kToWarm ? 0 : step == kToCold ? 1 : 2;
  }
  const OfStep& of(const Step& step) const { return steps[place_of(step)]; }
  std::array<OfStep, 3> steps;
  struct OfRules {
    telemetry::Counter *promoted = nullptr, *refused = nullptr, *kept = nullptr, *demoted = nullptr;
  } rules;
  telemetry::Gauge* last_success = nullptr;
};

}  // namespace asahi::memory::ageing
