#include "gateway/events/totals.h"

namespace asahi::gateway {

OrgTotals& OrgTotals::operator+=(const OrgTotals& other) {
  requests += other.requests;
  errors += other.errors;
  cost += other.cost;
  baseline_cost += other.baseline_cost;
  cache_saved += other.cache_saved;
  latency_ms_sum += other.latency_ms_sum;
  quality_sum += other.quality_sum;
  quality_count += other.quality_count;
  for (std::size_t tier = 0; tier < hits_by_tier.size(); ++tier)
    hits_by_tier[tier] += other.hits_by_tier[tier];
  lookups += other.lookups;
  for (const auto& [model, spent] : other.cost_by_model) cost_by_model[model] += spent;
  for (const auto& [model, count] : other.requests_by_model) requests_by_model[model] += count;
  for (const auto& [mode, count] : other.requests_by_mode) requests_by_mode[mode] += count;
  return *this;
}

void Totals::add(const InferenceEvent& event) {
  const std::scoped_lock lock(mutex_);
  OrgTotals& org = by_org_[event.org_id];
  ++org.requests;
  // A failed request may have cost something too: answers that broke off were paid for.
  org.cost += event.cost;
  org.baseline_cost += event.baseline_cost;
  if (!event.error_code.empty()) {
    ++org.errors;
    if (event.cost.nanos != 0) org.cost_by_model[event.model_selected] += event.cost;
    return;
  }
  org.latency_ms_sum += event.latency_ms;
  if (event.quality_score > 0) {
    org.quality_sum += event.quality_score;
    ++org.quality_count;
  }
  if (event.event_type == "inference") ++org.lookups;
  if (const int tier = event.hit_tier(); tier != 0) {
    ++org.hits_by_tier[static_cast<std::size_t>(tier)];
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

std::vector<std::string> Totals::organisations(std::size_t limit) const {
  std::vector<std::string> all;
  {
    const std::scoped_lock lock(mutex_);
    all.reserve(by_org_.size());
    for (const auto& [org_id, totals] : by_org_) all.push_back(org_id);
  }
  std::ranges::sort(all);
  if (all.size() > limit) all.resize(limit);
  return all;
}

void Totals::restore(const std::map<std::string, OrgTotals>& before) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [org_id, totals] : before) by_org_[org_id] += totals;
}

}  // namespace asahi::gateway
