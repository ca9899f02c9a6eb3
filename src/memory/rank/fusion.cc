#include "memory/rank/fusion.h"

#include <algorithm>
#include <unordered_map>

namespace asahi::memory::rank {

std::vector<Fused> fuse(std::span<const RankedList> lists, std::size_t limit,
                        const std::function<Tie(std::uint32_t document)>& tie_of, double k) {
  std::vector<Fused> out;
  std::unordered_map<std::uint32_t, std::size_t> known;
  for (const RankedList& list : lists) {
    int rank = 0;
    for (const std::uint32_t document : list.documents) {
      ++rank;
      const auto [at, fresh] = known.try_emplace(document, out.size());
      if (fresh) out.push_back({document, 0, {}});
      Fused& fused = out[at->second];
      if (!fused.parts.empty() && fused.parts.back().list == list.name) continue;
      const double score = list.weight / (k + rank);
      fused.score += score;
      fused.parts.push_back({list.name, rank, score});
    }
  }
  const auto before = [&](const Fused& a, const Fused& b) {
    if (a.score != b.score) return a.score > b.score;
    const Tie one = tie_of(a.document), other = tie_of(b.document);
    if (one.timestamp != other.timestamp) return one.timestamp > other.timestamp;
    return one.id < other.id;
  };
  const auto middle = out.begin() + static_cast<std::ptrdiff_t>(std::min(limit, out.size()));
  std::partial_sort(out.begin(), middle, out.end(), before);
  out.erase(middle, out.end());
  return out;
}

}  // namespace asahi::memory::rank
