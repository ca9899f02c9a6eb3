#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"

namespace asahi::memory::series {

enum class AlertType : std::uint8_t {
  kAnomalyDetected,
  kSpikeInErrors,
  kUnusualTraffic,
  kTrendChange,
  kPredictionThreshold,
  kHighLatency,
  kLowHitRate,
  kStorageCapacity,
  kNewEntityDetected,
  kRelationshipChange
};
inline constexpr std::size_t kAlertTypes = 10;
std::string_view to_string(AlertType type);
std::optional<AlertType> alert_type_from(std::string_view name);

enum class Severity : std::uint8_t { kInfo, kWarning, kError, kCritical };
std::string_view to_string(Severity severity);

/// What was measured.
struct Observation {
  AlertType type = AlertType::kAnomalyDetected;
  double value = 0;  ///< milliseconds, share, times the usual, standard deviations, share of space
  std::string message;  ///< a sentence for people; empty: made of the numbers
  /// What it is about (system_id, metric, …): stands in the alert's metadata, and tells repeats
  /// apart.
  std::vector<std::pair<std::string, std::string>> about;
};

struct Alert {
  std::string id;  ///< "alert_" and 16 hex digits of what it says and when
  AlertType type = AlertType::kAnomalyDetected;
  Severity severity = Severity::kWarning;
  std::string message;
  std::vector<std::pair<std::string, std::string>> about;
  Clock::Time at{};
  std::optional<double> threshold;
  double value = 0;
  /// The webhook's body: id, alert_type, severity, message, metadata, timestamp, pattern_data.
  std::string json() const;
};

struct AlertConfig {
  /// Above which it alerts (low_hit_rate: below). Nothing: what is observed never alerts, but for
  /// new_entity_detected and relationship_change, which always do.
  std::array<std::optional<double>, kAlertTypes> thresholds = defaults();
  /// The same type and pattern does not alert again within it.
  std::chrono::nanoseconds repeat_window = std::chrono::minutes{5};
  std::size_t most_patterns = 10'000;  ///< remembered for that; the oldest give way

  /// high_latency 1000 ms, low_hit_rate 0.5, spike_in_errors 10 times, anomaly_detected 2 standard
  /// deviations, storage_capacity 0.9.
  static std::array<std::optional<double>, kAlertTypes> defaults();
};

/// Decides what becomes an alert; telling anybody is the caller's. One thread.
class AlertRules {
 public:
  explicit AlertRules(AlertConfig config = {}) : config_(std::move(config)) {}

  /// A pattern is the type, what it is about, the threshold and the value to two digits: the same
  /// fault measured a little differently repeats itself, one ten times worse does not. Twice the
  /// threshold is an error, five times is critical (low_hit_rate: half, a fifth). What is no finite
  /// number never alerts.
  std::optional<Alert> decide(const Observation& observation, Clock::Time now);

  /// Errors: invalid_argument for what is not finite.
  Result<void> set_threshold(AlertType type, std::optional<double> threshold);
  const AlertConfig& config() const { return config_; }
  std::size_t remembered() const { return last_.size(); }

 private:
  AlertConfig config_;
  std::map<Digest128, Clock::Time> last_;
  std::deque<std::pair<Clock::Time, Digest128>> order_;
};

}  // namespace asahi::memory::series
