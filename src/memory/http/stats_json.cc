#include "memory/http/stats_json.h"

namespace asahi::memory {

std::vector<Store*> stores_of(const RouteParts& parts) {
  std::vector<Store*> stores;
  for (Store* store : {parts.hot, parts.warm, parts.cold}) {
    if (store != nullptr) stores.push_back(store);
  }
  return stores;
}

namespace {

/// Of some systems of a tenant a tier counts the rows; whose bytes are whose it does not know.
Task<TierStats> stats_of(Store& store, const Reach& reach) {
  if (reach.is_whole()) co_return co_await store.stats(reach.tenant());
  StoreQuery query;
  query.tenant = reach.tenant();
  query.limit = 1;
  query.include_content = false;
  query.facets = {"system_id"};
  query.filter.systems_allowed = reach.systems();
  ASAHI_CO_TRY(const StorePage page, co_await store.search(std::move(query)));
  TierStats stats;
  if (const auto counts = page.facets.find("system_id"); counts != page.facets.end()) {
    for (const auto& [system, count] : counts->second) stats.records += count;
  }
  if (!page.hits.empty()) stats.newest = page.hits.front().timestamp;
  co_return stats;
}

}  // namespace

Task<json::object> storage_json(const RouteParts& parts, Reach reach) {
  json::object tiers;
  for (Store* store : stores_of(parts)) {
    const auto stats = co_await stats_of(*store, reach);
    json::object& one = tiers[tier_name(store->tier())].emplace_object();
    one["health"] = stats ? "healthy" : "unavailable";
    if (!stats) {
      one["error"] = stats.error().message;
      continue;
    }
    one["records"] = stats->records;
    one["bytes"] = reach.is_whole() ? json::value(stats->bytes) : json::value(nullptr);
    if (stats->unlinked) one["unlinked"] = *stats->unlinked;
    for (const auto& [name, time] :
         {std::pair{"oldest", stats->oldest}, std::pair{"newest", stats->newest}}) {
      one[name] = time ? json::value(format_rfc3339(*time)) : json::value(nullptr);
    }
  }
  co_return json::object{{"tiers", std::move(tiers)}};
}

}  // namespace asahi::memory
