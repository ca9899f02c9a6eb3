#include "memory/knowledge/answer_metrics.h"

#include <string>
#include <vector>

namespace asahi::memory::knowledge {
namespace {

const std::vector<double> kShares = {.1, .25, .5, .75, .9, 1};
const std::vector<double> kCounts = {1, 5, 10, 50, 100, 500, 1'000, 10'000};
const std::vector<double> kHops = {1, 2, 3, 4, 5, 10};

bool has(std::string_view kind, std::string_view word) {
  return kind.find(word) != std::string_view::npos;
}

double number_in(const json::object& answer, std::string_view name) {
  const json::value* value = answer.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

/// Why there is no answer; empty: there is one.
const char* failure_of(const Result<json::object>& answer) {
  if (!answer) return answer.error().code == Errc::kInvalidArgument ? "invalid_argument" : "error";
  return answer->contains("error") ? "insufficient_data" : "";
}

class Answers {
 public:
  explicit Answers(telemetry::Registry& metrics) : metrics_(metrics) {}

  void trend(const Result<json::object>& answer) {
    const std::string reason = failure_of(answer);
    if (!reason.empty())
      return count("analytics_trend_failed_total", "Trends not found.", {{"reason", reason}});
    const json::value* direction = answer->if_contains("trend_direction");
    count("analytics_trend_completed_total", "Trends found.",
          {{"direction", direction != nullptr && direction->is_string()
                             ? std::string(direction->get_string())
                             : std::string("unknown")}});
    observe("analytics_trend_strength", "R squared of trends found.", kShares,
            number_in(*answer, "trend_strength"));
    observe("analytics_trend_confidence", "Confidence of trends found.", kShares,
            number_in(*answer, "confidence"));
  }
  void anomalies(const Result<json::object>& answer) {
    if (*failure_of(answer) != '\0') return;
    count("analytics_anomaly_detected_total", "Anomalies found.", {},
          number_in(*answer, "anomaly_count"));
    metrics_.gauge("analytics_anomaly_rate", "Share of points that are anomalies, last question.")
        .set(number_in(*answer, "anomaly_rate"));
  }
  void correlation(const Result<json::object>& answer) {
    const std::string reason = failure_of(answer);
    if (reason.empty())
      return count("analytics_correlation_completed_total", "Correlations looked for.", {});
    count("analytics_correlation_failed_total", "Correlations not found.", {{"reason", reason}});
  }
  void path(const Result<json::object>& answer) {
    if (!answer) return;
    const json::value* found = answer->if_contains("path_found");
    if (found == nullptr || !found->is_bool() || !found->get_bool())
      return count("kg_shortest_path_not_found_total", "Paths that there are not.", {});
    count("kg_shortest_path_found_total", "Paths found.", {});
    observe("kg_shortest_path_length", "Edges of paths found.", kHops, number_in(*answer, "hops"));
  }
  void neighbours(const Result<json::object>& answer) {
    if (answer && answer->contains("total_neighbors")) {
      observe("kg_neighbors_found", "Neighbours of entities asked for.", kCounts,
              number_in(*answer, "total_neighbors"));
    }
  }
  void points(const Result<json::object>& answer) {
    if (answer && answer->contains("stored"))
      count("analytics_metrics_added_total", "Points taken in.", {}, number_in(*answer, "stored"));
  }

 private:
  void count(const char* name, const char* help, const telemetry::Labels& labels,
             double number = 1) {
    metrics_.counter(name, help, labels).add(number);
  }
  void observe(const char* name, const char* help, const std::vector<double>& bounds,
               double value) {
    metrics_.histogram(name, help, bounds).observe(value);
  }
  telemetry::Registry& metrics_;
};

}  // namespace

void count_answer(telemetry::Registry& metrics, std::string_view kind,
                  const Result<json::object>& answer) {
  Answers answers(metrics);
  if (has(kind, "trend")) return answers.trend(answer);
  if (has(kind, "anomal")) return answers.anomalies(answer);
  if (has(kind, "correlat")) return answers.correlation(answer);
  if (has(kind, "path")) return answers.path(answer);
  answers.neighbours(answer);
  answers.points(answer);
}

}  // namespace asahi::memory::knowledge
