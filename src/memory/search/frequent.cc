#include "memory/search/frequent.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace asahi::memory {

std::int64_t FrequentSearches::period_of(Clock::Time time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()) / kPeriod;
}

void FrequentSearches::Entry::turn_to(std::int64_t period) {
  const std::int64_t passed = period - last;
  if (passed <= 0) return;
  const auto shift = std::min<std::int64_t>(passed, kPeriods);
  std::shift_right(asks.begin(), asks.end(), shift);
  std::fill_n(asks.begin(), shift, 0U);
  last = period;
}

std::uint64_t FrequentSearches::Entry::asks_at(std::int64_t period) const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kPeriods; ++i) {
    if (last - static_cast<std::int64_t>(i) > period - static_cast<std::int64_t>(kPeriods))
      sum += asks[i];
  }
  return sum;
}

FrequentSearches::Tenant& FrequentSearches::tenant_of(std::string_view name) {
  auto found = tenants_.find(name);
  if (found == tenants_.end()) {
    if (tenants_.size() >= limits_.tenants)
      tenants_.erase(
          std::ranges::min_element(tenants_, {}, [](const auto& one) { return one.second.turn; }));
    found = tenants_.emplace(std::string(name), Tenant{}).first;
  }
  found->second.turn = ++turns_;
  return found->second;
}

void FrequentSearches::make_room(Tenant& tenant, std::int64_t period) const {
  if (tenant.searches.size() < limits_.of_tenant) return;
  // Half goes at a time, so that the work is spread over many new searches.
  const std::size_t half = limits_.of_tenant / 2;
  std::vector<std::uint64_t> asks;
  for (const auto& [id, entry] : tenant.searches) asks.push_back(entry.asks_at(period));
  std::ranges::nth_element(asks, asks.begin() + static_cast<std::ptrdiff_t>(half));
  std::size_t left = tenant.searches.size() - half;
  std::erase_if(tenant.searches, [&, middle = asks[half]](const auto& item) {
    if (left == 0 || item.second.asks_at(period) > middle) return false;
    --left;
    return true;
  });
}

void FrequentSearches::note(std::string_view tenant, std::string_view id,
                            const SearchRequest& request, Clock::Time now) {
  const std::int64_t period = period_of(now);
  const std::scoped_lock lock(mutex_);
  Tenant& mine = tenant_of(tenant);
  auto found = mine.searches.find(std::string(id));
  if (found == mine.searches.end()) {
    make_room(mine, period);
    found = mine.searches.emplace(std::string(id), Entry{.request = request}).first;
    found->second.last = period;
  }
  Entry& entry = found->second;
  entry.turn_to(period);
  ++entry.asks[0];
  ++entry.unsaved;
}

std::vector<FrequentSearch> FrequentSearches::top(const std::optional<std::string>& tenant,
                                                  std::size_t most, Clock::Time now) const {
  const std::int64_t period = period_of(now);
  std::vector<FrequentSearch> all;
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, one] : tenants_) {
    if (tenant && name != *tenant) continue;
    std::vector<FrequentSearch> mine;
    for (const auto& [id, entry] : one.searches) {
      if (const std::uint64_t asks = entry.asks_at(period); asks > 0)
        mine.push_back({name, id, entry.request, asks});
    }
    std::ranges::sort(mine, [](const FrequentSearch& a, const FrequentSearch& b) {
      return std::tie(b.asks, a.id) < std::tie(a.asks, b.id);
    });
    if (mine.size() > most) mine.resize(most);
    std::ranges::move(mine, std::back_inserter(all));
  }
  std::ranges::sort(all, [](const FrequentSearch& a, const FrequentSearch& b) {
    return std::tie(b.asks, a.tenant, a.id) < std::tie(a.asks, b.tenant, b.id);
  });
  return all;
}

std::vector<FrequentSearch> FrequentSearches::take_unsaved(std::size_t most, Clock::Time now) {
  const std::int64_t period = period_of(now);
  std::vector<FrequentSearch> all;
  const std::scoped_lock lock(mutex_);
  for (auto& [name, one] : tenants_) {
    std::vector<std::pair<std::uint64_t, std::pair<const std::string, Entry>*>> asked;
    for (auto& item : one.searches) {
      const std::uint64_t asks = item.second.asks_at(period);
      if (item.second.unsaved > 0 && asks > 1) asked.emplace_back(asks, &item);
    }
    std::ranges::sort(asked, std::greater{});
    if (asked.size() > most) asked.resize(most);
    for (const auto& [asks, item] : asked) {
      all.push_back({name, item->first, item->second.request,
                     std::exchange(item->second.unsaved, std::uint64_t{0})});
    }
  }
  return all;
}

void FrequentSearches::restore(std::vector<FrequentSearch> kept, Clock::Time now) {
  const std::int64_t period = period_of(now);
  const std::scoped_lock lock(mutex_);
  for (FrequentSearch& one : kept) {
    Tenant& mine = tenant_of(one.tenant);
    if (mine.searches.size() >= limits_.of_tenant && !mine.searches.contains(one.id)) continue;
    Entry& entry = mine.searches[one.id];
    entry.request = std::move(one.request);
    entry.turn_to(period);
    entry.asks[0] += static_cast<std::uint32_t>(std::min<std::uint64_t>(one.asks, 1U << 31U));
  }
}

}  // namespace asahi::memory
