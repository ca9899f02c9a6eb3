#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"

namespace asahi::gateway::alerts {

/// Spec §7.2: who is told, and how soon somebody should look.
enum class Severity : std::uint8_t { kLow, kMedium, kHigh, kCritical };
std::string_view to_string(Severity severity);  ///< "low", "medium", "high", "critical"
std::optional<Severity> parse_severity(std::string_view word);

/// A condition that holds now, as a rule sees it.
struct Finding {
  std::string kind;     ///< "breaker_open", "cost_spike" …
  std::string subject;  ///< vendor, model; may be empty
  std::string org_id;   ///< empty: it is about the installation
  /// False: every process that shares the database sees the same, and one of them tells it.
  bool local = true;
  Severity severity = Severity::kMedium;
  std::string title, message;  ///< for people: what was seen, and what to do
  std::string metric;
  double current = 0, expected = 0;
};

/// A finding with its life: from the moment it was first seen until it was gone for good.
struct Alert : Finding {
  std::string id;    ///< "alt_" + ULID
  std::string node;  ///< whose process saw it
  std::int64_t occurrences = 1;
  Clock::Time fired_at{}, last_seen_at{};
  std::optional<Clock::Time> resolved_at, acknowledged_at, dismissed_at;
  std::string acknowledged_by, dismissed_by;
  bool told = false;  ///< somebody was notified; he will hear of its end as well

  /// What makes two findings the same alert; PagerDuty's and Opsgenie's name for it.
  std::string key() const;
  /// Of the current from the expected value, in percent; 0 where that is 0.
  double deviation_pct() const;
};

/// As GET /alerts and webhooks show it.
json::object alert_json(const Alert& alert);

}  // namespace asahi::gateway::alerts
