#include "memory/knowledge/answer_metrics.h"

#include <gtest/gtest.h>

namespace asahi::memory::knowledge {
namespace {

/// The value of a series, or the number of a histogram's observations; -1: there is none.
double value(const telemetry::Registry& metrics, std::string_view name,
             const telemetry::Labels& labels = {}) {
  for (const auto& family : metrics.collect()) {
    if (family.name != name) continue;
    for (const auto& sample : family.samples) {
      if (sample.labels != labels) continue;
      return family.type == telemetry::MetricType::kHistogram ? static_cast<double>(sample.count())
                                                              : sample.value;
    }
  }
  return -1;
}

TEST(AnswerMetrics, CountWhatCameOfQuestions) {
  telemetry::Registry metrics;
  const auto told = [&](std::string_view kind, json::object answer) {
    count_answer(metrics, kind, Result<json::object>(std::move(answer)));
  };
  told("analyze_trends",
       {{"trend_direction", "increasing"}, {"trend_strength", .9}, {"confidence", .5}});
  told("analytics/trends", {{"error", "too few points"}});
  EXPECT_EQ(value(metrics, "analytics_trend_completed_total", {{"direction", "increasing"}}), 1);
  EXPECT_EQ(value(metrics, "analytics_trend_failed_total", {{"reason", "insufficient_data"}}), 1);
  EXPECT_EQ(value(metrics, "analytics_trend_strength"), 1);
  told("detect_anomalies", {{"anomaly_count", 3}, {"anomaly_rate", .25}});
  EXPECT_EQ(value(metrics, "analytics_anomaly_detected_total"), 3);
  EXPECT_EQ(value(metrics, "analytics_anomaly_rate"), .25);
  told("analytics/correlations", {{"correlations", json::array{}}});
  count_answer(metrics, "correlate_systems", fail(Errc::kUnavailable, "away"));
  EXPECT_EQ(value(metrics, "analytics_correlation_completed_total"), 1);
  EXPECT_EQ(value(metrics, "analytics_correlation_failed_total", {{"reason", "error"}}), 1);
  told("find_path", {{"path_found", true}, {"hops", 2}});
  told("graph/path", {{"path_found", false}, {"hops", nullptr}});
  EXPECT_EQ(value(metrics, "kg_shortest_path_found_total"), 1);
  EXPECT_EQ(value(metrics, "kg_shortest_path_not_found_total"), 1);
  EXPECT_EQ(value(metrics, "kg_shortest_path_length"), 1);
  told("query_knowledge_graph", {{"total_neighbors", 7}});
  EXPECT_EQ(value(metrics, "kg_neighbors_found"), 1);
  told("analytics/metrics", {{"status", "success"}, {"stored", 12}});
  EXPECT_EQ(value(metrics, "analytics_metrics_added_total"), 12);
}

}  // namespace
}  // namespace asahi::memory::knowledge
