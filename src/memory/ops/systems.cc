#include "memory/ops/systems.h"

namespace asahi::memory {

Task<std::vector<SystemSummary>> systems_of(std::vector<Store*> stores, Ledger& ledger, Reach reach,
                                            std::string only) {
  std::map<std::string, SystemSummary> found;
  for (Store* store : stores) {
    StoreQuery query;
    query.tenant = reach.tenant();
    query.filter.systems_allowed = reach.systems();
    query.limit = 1;
    query.include_content = false;
    query.facets = {"system_id"};
    if (!only.empty()) query.filter.system_ids = {only};
    const auto page = co_await store->search(std::move(query));
    if (!page) continue;
    const auto counts = page->facets.find("system_id");
    if (counts == page->facets.end()) continue;
    for (const auto& [system, count] : counts->second) {
      if (count > 0) found[system].records[std::string(tier_name(store->tier()))] = count;
    }
  }
  ASAHI_CO_TRY(const auto uploads, co_await ledger.last_uploads(reach.tenant(), only));
  for (const auto& [system, last] : uploads) {
    if (!reach.has(system)) continue;
    found[system].uploads = last.uploads;
    found[system].last_upload = last.at;
  }
  std::vector<SystemSummary> list;
  for (auto& [system, summary] : found) {
    summary.system_id = system;
    summary.shard = shard_of(system);
    list.push_back(std::move(summary));
  }
  co_return list;
}

}  // namespace asahi::memory
