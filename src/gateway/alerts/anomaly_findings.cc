#include "gateway/alerts/anomaly_findings.h"

#include "gateway/analytics/compute/anomalies.h"

namespace asahi::gateway::alerts {
namespace {

using analytics::AnomalyType;

Severity severity_of(AnomalyType type) {
  return type == AnomalyType::kCostSpike || type == AnomalyType::kErrorRate ? Severity::kHigh
                                                                            : Severity::kMedium;
}

std::string_view title_of(AnomalyType type) {
  switch (type) {
    case AnomalyType::kCostSpike:
      return "Requests cost much more than yesterday";
    case AnomalyType::kLatencySpike:
      return "Answers take much longer than yesterday";
    case AnomalyType::kErrorRate:
      return "Many requests fail";
    case AnomalyType::kCacheDegradation:
      return "The cache answers much less than yesterday";
    case AnomalyType::kQualityDegradation:
      return "Answers are worse than before";
  }
  return "";
}

}  // namespace

Task<std::vector<Finding>> anomaly_findings(const analytics::Store& store,
                                            std::vector<std::string> organisations,
                                            Clock::Time now) {
  std::vector<Finding> found;
  for (const std::string& org : organisations) {
    analytics::AnomalyWindow window = analytics::anomaly_window(org, now);
    ASAHI_CO_TRY(const std::vector<analytics::Bucket> minutes,
                 co_await store.sums(std::move(window.query)));
    for (const analytics::Anomaly& anomaly : analytics::anomalies(minutes, window.recent_from)) {
      // Rules that look at all traffic have these names; an organisation's own are told apart.
      found.push_back({.kind = "anomaly_" + std::string(to_string(anomaly.type)),
                       .subject = "",
                       .org_id = org,
                       .local = false,
                       .severity = severity_of(anomaly.type),
                       .title = std::string(title_of(anomaly.type)),
                       .message = anomaly.message,
                       .metric = std::string(metric_name(anomaly.type)),
                       .current = anomaly.current,
                       .expected = anomaly.expected});
    }
  }
  co_return found;
}

}  // namespace asahi::gateway::alerts
