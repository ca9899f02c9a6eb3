#include "memory/ops/search_metrics.h"

#include "memory/measure/operation.h"

namespace asahi::memory {
namespace {

const std::vector<double> kMilliseconds = {1, 5, 10, 25, 50, 100, 250, 500, 1'000, 2'500, 5'000};
const std::vector<double> kResults = {1, 5, 10, 20, 50, 100, 200, 500};

const std::vector<double> kCounts = {1, 5, 10, 20, 50, 100, 200, 500, 1'000};

constexpr const char* kFound = "akosha_search_results_total";
constexpr const char* kFoundHelp =
    "Searches that no cache answered, by whether they found anything.";

}  // namespace

SearchMetrics::SearchMetrics(telemetry::Registry& registry)
    : results_(registry.histogram("akosha_query_results_size",
                                  "Results of searches that no cache answered.", kResults)),
      partial_(
          registry.counter("akosha_query_partial_total", "Searches that went on without a tier.")),
      with_results_(registry.counter(kFound, kFoundHelp, {{"has_results", "true"}})),
      without_results_(registry.counter(kFound, kFoundHelp, {{"has_results", "false"}})) {
  for (const SearchMode mode : {SearchMode::kSemantic, SearchMode::kKeyword, SearchMode::kHybrid}) {
    const std::string name(mode_name(mode));
    One& one = modes_[static_cast<std::size_t>(mode)];
    one.ok = &registry.counter("akosha_query_requests_total", "Searches",
                               {{"query_type", name}, {"status", "success"}});
    one.failed = &registry.counter("akosha_query_requests_total", "Searches",
                                   {{"query_type", name}, {"status", "error"}});
    one.seconds = &registry.histogram("akosha_query_duration_seconds", "Time of searches",
                                      query_seconds(), {{"query_type", name}});
    one.milliseconds = &registry.histogram("akosha_search_latency_milliseconds", "Time of searches",
                                           kMilliseconds, {{"query_type", name}});
    one.found = &registry.histogram("akosha_search_result_count",
                                    "Results of searches that no cache answered.", kCounts,
                                    {{"query_type", name}});
    const auto cache = [&](const char* operation, const char* tier) {
      return &registry.counter(
          "akosha_cache_operations_total", "Looks into the caches of searches",
          {{"operation", operation}, {"cache_tier", tier}, {"query_type", name}});
    };
    one.l1_hit = cache("hit", "L1");
    one.l1_miss = cache("miss", "L1");
    one.l2_hit = cache("hit", "L2");
    one.l2_miss = cache("miss", "L2");
  }
  for (const char* level : {"l1", "l2", "miss"}) {
    levels_.emplace(level, &registry.counter("akosha_query_cache_hits_total",
                                             "Searches by where their answer came from",
                                             {{"cache_level", level}}));
  }
}

void SearchMetrics::searched(std::string_view tenant, SearchMode mode, std::string_view cache,
                             bool ok, std::chrono::nanoseconds took) {
  One& one = modes_[static_cast<std::size_t>(mode)];
  (ok ? one.ok : one.failed)->add();
  one.seconds->observe(std::chrono::duration<double>(took).count());
  one.milliseconds->observe(std::chrono::duration<double, std::milli>(took).count());
  (cache == "l1" ? one.l1_hit : one.l1_miss)->add();
  if (cache != "l1") (cache == "l2" ? one.l2_hit : one.l2_miss)->add();
  if (const auto found = levels_.find(cache); found != levels_.end()) found->second->add();
  if (other_ != nullptr) other_->searched(tenant, mode, cache, ok, took);
}

void SearchMetrics::found(SearchMode mode, std::size_t results, std::size_t, std::size_t left_out) {
  modes_[static_cast<std::size_t>(mode)].found->observe(static_cast<double>(results));
  results_.observe(static_cast<double>(results));
  (results > 0 ? with_results_ : without_results_).add();
  if (left_out > 0) partial_.add();
}

}  // namespace asahi::memory
