#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "memory/model/record.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// The parts of the memory that errors are told of (spec/memory §8.2, label `component`).
enum class Part : std::uint8_t {
  kIngestionWorker,
  kIngestionOrchestrator,
  kHotStore,
  kWarmStore,
  kColdStore,
  kVectorIndexer,
  kCacheLayer,
  kQueryEngine,
  kDeduplication,
  kKnowledgeGraph,
  kTimeSeries,
  kMcpServer,
  kAgingService,
};
/// "ingestion_worker", "hot_store", …
std::string_view part_name(Part part);
Part part_of(Tier tier);

/// What an error counts as: database_error, network_error, storage_error, validation_error,
/// timeout_error, authentication_error, rate_limit_error, serialization_error, embedding_error or
/// unknown_error.
std::string_view error_type(const Error& error);
/// The same, of a part that fails in its own way: a store that is away is a storage_error, graph
/// and series that are away a database_error, an embedder that is a embedding_error.
std::string_view error_type(Part part, const Error& error);

/// Counts an error. Not for the hot path: an error's series are looked up.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_errors_total | counter; component, error_type, severity |
/// | akosha_error_last_timestamp_seconds | gauge; the same |
///
/// `severity`: info for what the caller can mend (validation, authentication, rate_limit), warning
/// for what may pass by itself (network, timeout, embedding), error for the rest.
void count_error(telemetry::Registry& metrics, const Clock& clock, Part part, const Error& error);
/// `type`: one of error_type.
void count_error(telemetry::Registry& metrics, const Clock& clock, Part part,
                 std::string_view type);

}  // namespace asahi::memory
