#include "memory/http/stats_json.h"

namespace asahi::memory {

std::vector<Store*> stores_of(const RouteParts& parts) {
  std::vector<Store*> stores;
  for (Store* store : {parts.hot, parts.warm, parts.cold}) {
    if (store != nullptr) stores.push_back(store);
  }
  return stores;
}

Task<json::object> storage_json(const RouteParts& parts, std::string tenant) {
  json::object tiers;
  for (Store* store : stores_of(parts)) {
    const auto stats = co_await store->stats(tenant);
    json::object& one = tiers[tier_name(store->tier())].emplace_object();
    one["health"] = stats ? "healthy" : "unavailable";
    if (!stats) {
      one["error"] = stats.error().message;
      continue;
    }
    one["records"] = stats->records;
    one["bytes"] = stats->bytes;
    if (stats->unlinked) one["unlinked"] = *stats->unlinked;
    for (const auto& [name, time] :
         {std::pair{"oldest", stats->oldest}, std::pair{"newest", stats->newest}}) {
      one[name] = time ? json::value(format_rfc3339(*time)) : json::value(nullptr);
    }
  }
  co_return json::object{{"tiers", std::move(tiers)}};
}

Task<json::object> health_json(const RouteParts& parts) {
  json::object tiers;
  bool whole = true;
  for (Store* store : stores_of(parts)) {
    const auto started = parts.clock.steady_now();
    const auto stats = co_await store->stats("-");
    const std::chrono::duration<double, std::milli> took = parts.clock.steady_now() - started;
    whole = whole && stats.has_value();
    tiers[tier_name(store->tier())] =
        json::object{{"status", stats ? "healthy" : "unavailable"}, {"latency_ms", took.count()}};
  }
  co_return json::object{{"status", whole ? "ready" : "degraded"}, {"tiers", std::move(tiers)}};
}

}  // namespace asahi::memory
