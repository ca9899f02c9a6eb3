#pragma once

#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "telemetry/metrics.h"

namespace asahi::memory::knowledge {

/// Counts what came of a question about graph or series (spec/memory §8.2). `kind`: the tool's
/// name or the route behind the memory's mount.
///
/// - analytics_trend_completed_total{direction}, analytics_trend_failed_total{reason}
/// - analytics_trend_strength, analytics_trend_confidence: histograms, 0 to 1
/// - analytics_anomaly_detected_total; analytics_anomaly_rate: gauge, of the last question
/// - analytics_correlation_completed_total, analytics_correlation_failed_total{reason}
/// - analytics_metrics_added_total: points
/// - kg_neighbors_found: histogram
/// - kg_shortest_path_found_total, kg_shortest_path_not_found_total
/// - kg_shortest_path_length: histogram, edges
void count_answer(telemetry::Registry& metrics, std::string_view kind,
                  const Result<json::object>& answer);

}  // namespace asahi::memory::knowledge
