#pragma once

#include <array>
#include <map>
#include <string>

#include "memory/search/search.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// The series of searches, made once (spec/memory §8.1, §8.2). Thread-safe.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_query_requests_total | counter; query_type, status |
/// | akosha_query_duration_seconds | histogram; query_type |
/// | akosha_query_cache_hits_total | counter; cache_level (l1, l2, miss) |
/// | akosha_query_results_size | histogram: results of searches that no cache answered |
/// | akosha_search_result_count | histogram; query_type: the same by kind |
/// | akosha_search_latency_milliseconds | histogram; query_type |
/// | akosha_search_results_total | counter; has_results: searches that no cache answered |
/// | akosha_cache_operations_total | counter; operation (hit, miss), cache_tier, query_type |
/// | akosha_query_partial_total | counter: those where a tier was left out |
class SearchMetrics final : public SearchObserver {
 public:
  explicit SearchMetrics(telemetry::Registry& registry);
  void searched(std::string_view tenant, SearchMode mode, std::string_view cache, bool ok,
                std::chrono::nanoseconds took) override;
  void found(SearchMode mode, std::size_t results, std::size_t asked,
             std::size_t left_out) override;
  /// Is told the same, after it was counted; set before searches begin.
  void also_tell(SearchObserver* other) { other_ = other; }

 private:
  struct One {
    telemetry::Counter* ok = nullptr;
    telemetry::Counter* failed = nullptr;
    telemetry::Histogram* seconds = nullptr;
    telemetry::Histogram* milliseconds = nullptr;
    telemetry::Histogram* found = nullptr;
    telemetry::Counter* l1_hit = nullptr;
    telemetry::Counter* l1_miss = nullptr;
    telemetry::Counter* l2_hit = nullptr;
    telemetry::Counter* l2_miss = nullptr;
  };
  std::array<One, 3> modes_;
  std::map<std::string, telemetry::Counter*, std::less<>> levels_;
  telemetry::Histogram& results_;
  telemetry::Counter& partial_;
  telemetry::Counter& with_results_;
  telemetry::Counter& without_results_;
  SearchObserver* other_ = nullptr;
};

}  // namespace asahi::memory
