#include "memory/measure/errors.h"

#include <chrono>
#include <string>

namespace asahi::memory {
namespace {

bool is_away(const Error& error) {
  return error.code == Errc::kUnavailable || error.code == Errc::kUpstream;
}

std::string_view severity_of(std::string_view type) {
  if (type == "validation_error" || type == "authentication_error" || type == "rate_limit_error")
    return "info";
  if (type == "network_error" || type == "timeout_error" || type == "embedding_error")
    return "warning";
  return "error";
}

}  // namespace

std::string_view part_name(Part part) {
  switch (part) {
    case Part::kIngestionWorker:
      return "ingestion_worker";
    case Part::kIngestionOrchestrator:
      return "ingestion_orchestrator";
    case Part::kHotStore:
      return "hot_store";
    case Part::kWarmStore:
      return "warm_store";
    case Part::kColdStore:
      return "cold_store";
    case Part::kVectorIndexer:
      return "vector_indexer";
    case Part::kCacheLayer:
      return "cache_layer";
    case Part::kQueryEngine:
      return "query_engine";
    case Part::kDeduplication:
      return "deduplication";
    case Part::kKnowledgeGraph:
      return "knowledge_graph";
    case Part::kTimeSeries:
      return "time_series";
    case Part::kMcpServer:
      return "mcp_server";
    case Part::kAgingService:
      return "aging_service";
  }
  return "query_engine";
}

Part part_of(Tier tier) {
  switch (tier) {
    case Tier::kHot:
      return Part::kHotStore;
    case Tier::kWarm:
      return Part::kWarmStore;
    case Tier::kCold:
      return Part::kColdStore;
  }
  return Part::kHotStore;
}

std::string_view error_type(const Error& error) {
  switch (error.code) {
    case Errc::kInvalidArgument:
    case Errc::kTooLarge:
    case Errc::kConflict:
      return "validation_error";
    case Errc::kUnauthenticated:
    case Errc::kForbidden:
      return "authentication_error";
    case Errc::kRateLimited:
      return "rate_limit_error";
    case Errc::kTimeout:
    case Errc::kCancelled:
      return "timeout_error";
    case Errc::kUnavailable:
    case Errc::kUpstream:
      return "network_error";
    case Errc::kCorrupt:
      return "serialization_error";
    case Errc::kNotFound:
      return "storage_error";
    case Errc::kInternal:
      return "unknown_error";
  }
  return "unknown_error";
}

std::string_view error_type(Part part, const Error& error) {
  switch (part) {
    case Part::kHotStore:
    case Part::kWarmStore:
    case Part::kColdStore:
      if (is_away(error)) return "storage_error";
      break;
    case Part::kKnowledgeGraph:
    case Part::kTimeSeries:
    case Part::kAgingService:
      if (is_away(error)) return "database_error";
      break;
    case Part::kVectorIndexer:
      if (is_away(error) || error.code == Errc::kInternal) return "embedding_error";
      break;
    default:
      break;
  }
  return error_type(error);
}

void count_error(telemetry::Registry& metrics, const Clock& clock, Part part,
                 std::string_view type) {
  const telemetry::Labels labels{{"component", std::string(part_name(part))},
                                 {"error_type", std::string(type)},
                                 {"severity", std::string(severity_of(type))}};
  metrics.counter("akosha_errors_total", "Errors by component", labels).add();
  metrics.gauge("akosha_error_last_timestamp_seconds", "When the last such error was", labels)
      .set(std::chrono::duration<double>(clock.now().time_since_epoch()).count());
}

void count_error(telemetry::Registry& metrics, const Clock& clock, Part part, const Error& error) {
  count_error(metrics, clock, part, error_type(part, error));
}

}  // namespace asahi::memory
