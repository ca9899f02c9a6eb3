#include "gateway/alerts/alert.h"

#include <array>
#include <cmath>

namespace asahi::gateway::alerts {
namespace {

constexpr std::array<std::string_view, 4> kSeverities{"low", "medium", "high", "critical"};

json::value time_json(const std::optional<Clock::Time>& time) {
  return time ? json::value(format_rfc3339(*time)) : json::value(nullptr);
}
json::value text_json(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}
double rounded(double value) { return std::round(value * 1e6) / 1e6; }

}  // namespace

std::string_view to_string(Severity severity) {
  return kSeverities[static_cast<std::size_t>(severity)];
}

std::optional<Severity> parse_severity(std::string_view word) {
  for (std::size_t i = 0; i < kSeverities.size(); ++i) {
    if (word == kSeverities[i]) return static_cast<Severity>(i);
  }
  return std::nullopt;
}

std::string Alert::key() const {
  std::string key = kind;
  for (const std::string& part : {subject, org_id, local ? node : std::string()}) {
    key += '/';
    key += part;
  }
  return key;
}

double Alert::deviation_pct() const {
  return expected == 0 ? 0 : std::round((current - expected) / std::abs(expected) * 10'000) / 100;
}

json::object alert_json(const Alert& alert) {
  return {{"id", alert.id},
          {"kind", alert.kind},
          {"severity", to_string(alert.severity)},
          {"state", alert.resolved_at ? "resolved" : "active"},
          {"scope", alert.org_id.empty() ? "installation" : "organization"},
          {"org_id", text_json(alert.org_id)},
          {"node_id", alert.local ? text_json(alert.node) : json::value(nullptr)},
          {"subject", alert.subject},
          {"title", alert.title},
          {"message", alert.message},
          {"metric", alert.metric},
          {"current_value", rounded(alert.current)},
          {"expected_value", rounded(alert.expected)},
          {"deviation_pct", alert.deviation_pct()},
          {"occurrences", alert.occurrences},
          {"fired_at", format_rfc3339(alert.fired_at)},
          {"last_seen_at", format_rfc3339(alert.last_seen_at)},
          {"resolved_at", time_json(alert.resolved_at)},
          {"acknowledged_at", time_json(alert.acknowledged_at)},
          {"acknowledged_by", text_json(alert.acknowledged_by)},
          {"dismissed_at", time_json(alert.dismissed_at)},
          {"dismissed_by", text_json(alert.dismissed_by)}};
}

}  // namespace asahi::gateway::alerts
