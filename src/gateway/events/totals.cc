#include "gateway/events/totals.h"

namespace asahi::gateway {

void Totals::add(const InferenceEvent& event) {
  const std::scoped_lock lock(mutex_);
  OrgTotals& org = by_org_[event.org_id];
  ++org.requests;
  if (!event.error_code.empty()) {
    ++org.errors;
    return;
  }
  org.cost += event.cost;
  org.baseline_cost += event.baseline_cost;
  org.latency_ms_sum += event.latency_ms;
  if (event.quality_score > 0) {
    org.quality_sum += event.quality_score;
    ++org.quality_count;
  }
  if (event.event_type == "inference") ++org.lookups;
  if (event.cache_hit && event.cache_tier >= 1 && event.cache_tier <= 3) {
    ++org.hits_by_tier[static_cast<std::size_t>(event.cache_tier)];
    org.cache_saved += event.savings();
  }
  org.cost_by_model[event.model_selected] += event.cost;
  ++org.requests_by_model[event.model_selected];
  if (!event.routing_mode.empty()) ++org.requests_by_mode[event.routing_mode];
}

OrgTotals Totals::of(const std::string& org_id) const {
  const std::scoped_lock lock(mutex_);
  const auto found = by_org_.find(org_id);
  return found == by_org_.end() ? OrgTotals{} : found->second;
}

void Totals::restore(const std::string& org_id, OrgTotals totals) {
  const std::scoped_lock lock(mutex_);
  by_org_.try_emplace(org_id, std::move(totals));
}

}  // namespace asahi::gateway
