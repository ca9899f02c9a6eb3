#include "memory/measure/operation.h"

#include <array>
#include <utility>
#include <vector>

namespace asahi::memory {
namespace {

/// Seconds; spec §8.2.
const std::vector<double> kOperationSeconds = {.001, .005, .01, .05, .1, .5, 1, 5, 10, 60, 300};
const std::vector<double> kHttpSeconds = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

struct Section {
  std::string_view first;  ///< segment of the path
  RouteKind kind;
};
constexpr std::array<Section, 16> kSections = {{
    {"search", {Part::kQueryEngine, "search"}},
    {"query", {Part::kQueryEngine, "search"}},
    {"embeddings", {Part::kVectorIndexer, "embed"}},
    {"ingest", {{}, "ingest"}},
    {"uploads", {Part::kIngestionWorker, "uploads"}},
    {"ingestion", {Part::kIngestionOrchestrator, "ingestion"}},
    {"analytics", {Part::kTimeSeries, "analytics"}},
    {"graph", {Part::kKnowledgeGraph, "graph"}},
    {"storage", {Part::kAgingService, "storage"}},
    {"cache", {Part::kCacheLayer, "cache"}},
    {"systems", {Part::kQueryEngine, "systems"}},
    {"settings", {Part::kQueryEngine, "settings"}},
    {"alerts", {Part::kQueryEngine, "alerts"}},
    {"backups", {Part::kQueryEngine, "backups"}},
    {"health", {Part::kQueryEngine, "health"}},
    {"mcp", {Part::kMcpServer, "mcp"}},
}};

}  // namespace

Operation::Operation(telemetry::Registry& metrics, const std::string& type)
    : ok_(&metrics.counter("akosha_operations_total", "Work that was done, by its kind",
                           {{"operation_type", type}, {"status", "success"}})),
      failed_(&metrics.counter("akosha_operations_total", "Work that was done, by its kind",
                               {{"operation_type", type}, {"status", "error"}})),
      seconds_(&metrics.histogram("akosha_operation_duration_seconds", "Time of that work",
                                  kOperationSeconds, {{"operation_type", type}})) {}

void Operation::ended(bool ok, std::chrono::nanoseconds took) const {
  (ok ? ok_ : failed_)->add();
  seconds_->observe(std::chrono::duration<double>(took).count());
}

const std::vector<double>& query_seconds() {
  static const std::vector<double> bounds = {.01, .05, .1, .5, 1, 2, 5, 10};
  return bounds;
}

RouteKind kind_of(http::Method method, std::string_view pattern) {
  const std::string_view path = pattern.substr(pattern.starts_with('/') ? 1 : 0);
  const std::string_view first = path.substr(0, path.find('/'));
  if (method == http::Method::kDelete && (first == "memories" || first == "systems"))
    return {Part::kHotStore, "erase"};
  if (first == "memories") {
    return method == http::Method::kPost ? RouteKind{{}, "ingest"}
                                         : RouteKind{Part::kQueryEngine, "read"};
  }
  for (const Section& section : kSections) {
    if (section.first == first) return section.kind;
  }
  return {Part::kQueryEngine, "other"};
}

telemetry::Gauge& ActiveRequest::gauge(telemetry::Registry& metrics) {
  return metrics.gauge("akosha_http_active_requests", "Requests in work");
}

HttpMetrics::HttpMetrics(telemetry::Registry& metrics, const Clock& clock, std::string mount)
    : metrics_(metrics), clock_(clock), mount_(std::move(mount)) {}

void HttpMetrics::completed(const http::Context& context, int status) const {
  constexpr std::string_view kVersion = "/api/v1";
  std::string_view below = context.route;
  if (below.starts_with(kVersion)) below.remove_prefix(kVersion.size());
  if (!below.starts_with(mount_)) return;
  const telemetry::Labels labels = {
      {"method", std::string(http::to_string(context.request.method))},
      {"endpoint", std::string(context.route)},
      {"status", std::to_string(status)}};
  metrics_.counter("akosha_http_requests_total", "Requests by their route", labels).add();
  const auto took = clock_.steady_now() - context.received;
  metrics_
      .histogram("akosha_http_request_duration_seconds", "Time of requests", kHttpSeconds,
                 {labels[0], labels[1]})
      .observe(std::chrono::duration<double>(took).count());
}

}  // namespace asahi::memory
