#include "gateway/analytics/compute/breakdown.h"

#include <algorithm>
#include <map>

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {

std::string shown_key(std::string_view key) { return key.empty() ? "unknown" : std::string(key); }

std::vector<KeySums> by_key(std::vector<Bucket> buckets) {
  std::map<std::string, Sums> sums;
  for (Bucket& bucket : buckets) sums[std::move(bucket.key)] += bucket.sums;
  std::vector<KeySums> keys;
  keys.reserve(sums.size());
  for (auto& [key, sum] : sums) keys.push_back({shown_key(key), std::move(sum)});
  std::ranges::sort(keys, [](const KeySums& one, const KeySums& other) {
    if ((one.key == "other") != (other.key == "other")) return other.key == "other";
    if (one.sums.cost != other.sums.cost) return one.sums.cost > other.sums.cost;
    if (one.sums.requests != other.sums.requests) return one.sums.requests > other.sums.requests;
    return one.key < other.key;
  });
  return keys;
}

Sums total_of(const std::vector<KeySums>& keys) {
  Sums total;
  for (const KeySums& key : keys) total += key.sums;
  return total;
}

std::vector<CostDriver> cost_drivers(std::vector<Bucket> buckets, std::size_t limit) {
  std::vector<KeySums> keys = by_key(std::move(buckets));
  const double whole = total_of(keys).cost.dollars();
  std::vector<CostDriver> drivers;
  for (KeySums& key : keys) {
    if (drivers.size() == limit) break;
    const std::size_t cut = key.key.find('\x1f');
    CostDriver driver;
    driver.model = shown_key(std::string_view(key.key).substr(0, cut));
    if (key.key == "other") {
      driver.task_type = "other";
    } else {
      driver.task_type =
          shown_key(cut == std::string::npos ? "" : std::string_view(key.key).substr(cut + 1));
    }
    driver.share_pct = percent(key.sums.cost.dollars(), whole);
    driver.sums = std::move(key.sums);
    drivers.push_back(std::move(driver));
  }
  return drivers;
}

}  // namespace asahi::gateway::analytics
