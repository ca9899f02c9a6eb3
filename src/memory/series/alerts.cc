#include "memory/series/alerts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/json_out.h"

namespace asahi::memory::series {
namespace {

constexpr auto kNames = std::to_array<std::string_view>(
    {"anomaly_detected", "spike_in_errors", "unusual_traffic", "trend_change",
     "prediction_threshold", "high_latency", "low_hit_rate", "storage_capacity",
     "new_entity_detected", "relationship_change"});
static_assert(kNames.size() == kAlertTypes);

bool is_event(AlertType type) {
  return type == AlertType::kNewEntityDetected || type == AlertType::kRelationshipChange;
}

/// How many times past the threshold; below 1: not past.
double excess(AlertType type, double value, double threshold) {
  if (type == AlertType::kLowHitRate) {
    if (value >= threshold) return 0;
    return value <= 0 ? 1e9 : threshold / value;
  }
  if (value <= threshold) return 0;
  return threshold <= 0 ? 1 : value / threshold;
}

std::string default_message(const Observation& observation, std::optional<double> threshold) {
  const std::string_view name = kNames[static_cast<std::size_t>(observation.type)];
  if (!threshold) return fmt::format("{}", name);
  return fmt::format("{}: {:.4g} is {} the threshold of {:.4g}", name, observation.value,
                     observation.type == AlertType::kLowHitRate ? "below" : "above", *threshold);
}

Digest128 shortened(const std::string& text) {
  const Digest256 whole = sha256(text);
  Digest128 out;
  std::memcpy(out.data(), whole.data(), out.size());
  return out;
}

}  // namespace

std::string_view to_string(AlertType type) { return kNames[static_cast<std::size_t>(type)]; }

std::optional<AlertType> alert_type_from(std::string_view name) {
  const auto at = std::ranges::find(kNames, name);
  if (at == kNames.end()) return std::nullopt;
  return static_cast<AlertType>(at - kNames.begin());
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
    case Severity::kCritical:
      return "critical";
  }
  return "info";
}

std::array<std::optional<double>, kAlertTypes> AlertConfig::defaults() {
  std::array<std::optional<double>, kAlertTypes> out;
  const auto set = [&](AlertType type, double threshold) {
    out[static_cast<std::size_t>(type)] = threshold;
  };
  set(AlertType::kHighLatency, 1000);
  set(AlertType::kLowHitRate, 0.5);
  set(AlertType::kSpikeInErrors, 10);
  set(AlertType::kAnomalyDetected, 2);
  set(AlertType::kStorageCapacity, 0.9);
  return out;
}

std::string Alert::json() const {
  std::string text;
  JsonOut out(text);
  out.open_object();
  out.member("id", id).member("alert_type", std::string(to_string(type)));
  out.member("severity", std::string(to_string(severity))).member("message", message);
  out.key("metadata").open_object();
  for (const auto& [name, said] : about) out.member(name, said);
  out.close_object();
  out.member("timestamp", format_rfc3339(at));
  out.key("pattern_data").open_object();
  if (threshold) out.member("threshold", *threshold);
  out.member("actual_value", value);
  out.close_object();
  out.close_object();
  return text;
}

Result<void> AlertRules::set_threshold(AlertType type, std::optional<double> threshold) {
  if (threshold && !std::isfinite(*threshold))
    return fail_field("threshold", "a threshold is a finite number");
  config_.thresholds[static_cast<std::size_t>(type)] = threshold;
  return {};
}

std::optional<Alert> AlertRules::decide(const Observation& observation, Clock::Time now) {
  if (!std::isfinite(observation.value)) return std::nullopt;
  const auto threshold = config_.thresholds[static_cast<std::size_t>(observation.type)];
  Severity severity = Severity::kInfo;
  if (threshold) {
    const double times = excess(observation.type, observation.value, *threshold);
    if (times < 1) return std::nullopt;
    severity = times >= 5   ? Severity::kCritical
               : times >= 2 ? Severity::kError
                            : Severity::kWarning;
  } else if (!is_event(observation.type)) {
    return std::nullopt;
  }

  std::string pattern(to_string(observation.type));
  pattern += fmt::format("\n{}\n{:.1e}", threshold ? fmt::format("{:.17g}", *threshold) : "",
                         observation.value);
  auto about = observation.about;
  std::ranges::sort(about);
  for (const auto& [name, said] : about)
    pattern += fmt::format("\n{} {} {}{}", name.size(), said.size(), name, said);
  const Digest128 key = shortened(pattern);
  while (!order_.empty() && (order_.front().first + config_.repeat_window <= now ||
                             last_.size() >= std::max<std::size_t>(config_.most_patterns, 1))) {
    // What alerted again since has a later place.
    const auto at = last_.find(order_.front().second);
    if (at != last_.end() && at->second == order_.front().first) last_.erase(at);
    order_.pop_front();
  }
  if (const auto at = last_.find(key);
      at != last_.end() && now < at->second + config_.repeat_window)
    return std::nullopt;
  last_[key] = now;
  order_.emplace_back(now, key);

  Alert alert{.type = observation.type, .severity = severity, .about = observation.about};
  alert.at = now;
  alert.threshold = threshold;
  alert.value = observation.value;
  alert.message =
      observation.message.empty() ? default_message(observation, threshold) : observation.message;
  pattern += fmt::format("\n{}", now.time_since_epoch().count());
  alert.id = "alert_" + to_hex(sha256(pattern)).substr(0, 16);
  return alert;
}

}  // namespace asahi::memory::series
