#include "memory/search/merge.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace asahi::memory {
namespace {

constexpr double kFusion = 60;

/// Ranks from 1 of those that have a value, best first; 0 for the others.
template <class Value>
std::vector<int> ranks_by(const std::vector<StoreHit>& hits, Value value) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < hits.size(); ++i) {
    if (value(hits[i])) order.push_back(i);
  }
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const auto left = *value(hits[a]), right = *value(hits[b]);
    return left != right ? left > right : a < b;
  });
  std::vector<int> ranks(hits.size(), 0);
  for (std::size_t i = 0; i < order.size(); ++i) ranks[order[i]] = static_cast<int>(i) + 1;
  return ranks;
}

bool better(const StoreHit& a, const StoreHit& b) {
  if (a.score != b.score) return a.score > b.score;
  if (a.timestamp != b.timestamp) return a.timestamp > b.timestamp;
  return a.key < b.key;
}

/// The row that stays of two with one key: the hotter tier's is the same or newer.
bool stays(const StoreHit& a, const StoreHit& b) {
  const float left = a.similarity.value_or(-2), right = b.similarity.value_or(-2);
  return std::tuple(static_cast<int>(a.tier), -left) <=
         std::tuple(static_cast<int>(b.tier), -right);
}

}  // namespace

std::vector<StoreHit> merge_tiers(std::vector<TierHits> tiers, SearchMode mode,
                                  double vector_weight) {
  std::vector<StoreHit> merged;
  std::map<Key, std::size_t> seen;
  std::size_t filled = 0;
  for (TierHits& tier : tiers) {
    if (!tier.empty()) ++filled;
    for (StoreHit& hit : tier) {
      const auto [at, fresh] = seen.try_emplace(hit.key, merged.size());
      if (fresh) {
        merged.push_back(std::move(hit));
      } else if (!stays(merged[at->second], hit)) {
        merged[at->second] = std::move(hit);
      }
    }
  }
  // A store's own order says more than its two scores do (it knows the neighbourhood): it stands
  // unless lists have to be woven together.
  if (mode == SearchMode::kHybrid && filled > 1) {
    const auto vector =
        ranks_by(merged, [](const StoreHit& hit) { return hit.explanation.cosine; });
    const auto keyword = ranks_by(merged, [](const StoreHit& hit) { return hit.explanation.bm25; });
    for (std::size_t i = 0; i < merged.size(); ++i) {
      if (vector[i] == 0 && keyword[i] == 0) continue;
      merged[i].score = 0;
      if (vector[i] != 0) merged[i].score += vector_weight / (kFusion + vector[i]);
      if (keyword[i] != 0) merged[i].score += 1 / (kFusion + keyword[i]);
    }
  }
  std::ranges::sort(merged, better);
  return merged;
}

void add_facets(FacetCounts& sum, const FacetCounts& counts) {
  for (const auto& [facet, values] : counts) {
    for (const auto& [value, count] : values) sum[facet][value] += count;
  }
}

}  // namespace asahi::memory
