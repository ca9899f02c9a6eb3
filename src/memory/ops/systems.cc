#include "memory/ops/systems.h"

#include <algorithm>
#include <tuple>

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

namespace {

constexpr std::size_t kMostValues = 20;
constexpr std::size_t kMostDays = 30;

SystemProfile::Counts most_of(const std::map<std::string, std::uint64_t>& counts) {
  SystemProfile::Counts list;
  for (const auto& [value, count] : counts) {
    if (count > 0 && !value.empty()) list.emplace_back(value, count);
  }
  std::ranges::sort(list, [](const auto& a, const auto& b) {
    return std::tie(b.second, a.first) < std::tie(a.second, b.first);
  });
  if (list.size() > kMostValues) list.resize(kMostValues);
  return list;
}

}  // namespace

Aw<SystemProfile> profile_of(std::vector<Store*> stores, std::string tenant,
                             std::string system_id) {
  SystemProfile profile;
  FacetCounts all;
  for (Store* const store : stores) {
    if (store->tier() == Tier::kCold) continue;
    StoreQuery query;
    query.tenant = tenant;
    query.limit = 1;
    query.include_content = false;
    query.facets = {"language", "source", "project", "user_id", "type", "date:day"};
    query.filter.system_ids = {system_id};
    const auto page = co_await store->search(std::move(query));
    profile.partial = profile.partial || !page || page->partial;
    if (!page) continue;
    profile.memories += page->total;
    for (const auto& [facet, counts] : page->facets) {
      for (const auto& [value, count] : counts) all[facet][value] += count;
    }
  }
  profile.languages = most_of(all["language"]);
  profile.sources = most_of(all["source"]);
  profile.projects = most_of(all["project"]);
  profile.users = most_of(all["user_id"]);
  profile.kinds = most_of(all["type"]);
  const auto& days = all["date:day"];
  auto first = days.begin();
  if (days.size() > kMostDays)
    std::advance(first, static_cast<std::ptrdiff_t>(days.size() - kMostDays));
  profile.days.assign(first, days.end());
  co_return profile;
}

}  // namespace asahi::memory
