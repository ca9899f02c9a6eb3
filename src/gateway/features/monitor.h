#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace asahi::gateway {

struct FeatureStats {
  bool enabled = true;  ///< false: it has switched itself off
  std::string reason;   ///< why
  std::uint64_t requests = 0, successes = 0, failures = 0;
  double average_ms = 0;  ///< of look-ups that succeeded
  double availability_percent = 100;
  double quality_with = 0, quality_without = 0;  ///< mean; 0: no samples
  std::uint64_t samples_with = 0, samples_without = 0;
};

/// Watches whether features help (gateway spec §3.9): enrichment stops after five failures in a
/// row; for a task, when more than half of at least ten look-ups failed; and for all, when answers
/// with features are worse than those without, ten of each. After `rest` one request tries again:
/// if it succeeds, counting begins anew, else it rests once more. Thread-safe; time is given.
class FeatureMonitor {
 public:
  struct Options {
    int failures_in_row = 5;
    std::uint64_t samples = 10;
    std::chrono::seconds rest{60};
  };
  explicit FeatureMonitor(Options options) : options_(options) {}
  FeatureMonitor() : FeatureMonitor(Options{}) {}

  /// May this request be enriched? True for one request after each rest: its outcome decides.
  bool allow(std::string_view task, Clock::Steady now);
  void succeeded(std::string_view task, double ms);
  void failed(std::string_view task, Clock::Steady now);
  /// How good an answer was, 0 to 5.
  void quality(bool with_features, double score, Clock::Steady now);
  FeatureStats stats() const;

 private:
  struct Switch {
    std::optional<Clock::Steady> off_since;
    bool trying = false;
    std::string reason;
    bool allow(Clock::Steady now, std::chrono::seconds rest);
  };
  struct TaskCount {
    std::uint64_t requests = 0, failures = 0;
    Switch off;
  };
  struct Mean {
    std::uint64_t count = 0;
    double sum = 0;
    double value() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
  };

  const Options options_;
  mutable std::mutex mutex_;  // guards what follows
  Switch all_;
  std::map<std::string, TaskCount, std::less<>> tasks_;
  int in_row_ = 0;
  std::uint64_t requests_ = 0, successes_ = 0, failures_ = 0;
  double total_ms_ = 0;
  Mean with_, without_;
};

}  // namespace asahi::gateway
