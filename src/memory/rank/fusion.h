#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace asahi::memory::rank {

/// Documents found in one way, best first.
struct RankedList {
  std::string_view name;  ///< "keyword", "vector": stands in explanations; outlives the result
  double weight = 1;
  std::span<const std::uint32_t> documents;
};

struct Fused {
  /// Where one list put the document, and what that gave.
  struct Part {
    std::string_view list;
    int rank = 0;  ///< from 1
    double score = 0;
  };
  std::uint32_t document = 0;
  double score = 0;
  std::vector<Part> parts;
};

/// What breaks ties: the later one first, then the smaller id.
struct Tie {
  Clock::Time timestamp;
  std::string_view id;
};

/// Reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009): each list gives
/// weight ÷ (k + rank). A document counts once per list, at its best rank. Sorted by score falling,
/// timestamp falling, id rising; cut to `limit`.
std::vector<Fused> fuse(std::span<const RankedList> lists, std::size_t limit,
                        const std::function<Tie(std::uint32_t document)>& tie_of, double k = 60);

}  // namespace asahi::memory::rank
