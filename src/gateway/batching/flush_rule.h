#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace asahi::gateway {

/// What waits in one group.
struct GroupState {
  std::string group;
  std::size_t size = 0;
  std::chrono::milliseconds oldest{0};  ///< age of the item that has waited longest
  std::chrono::milliseconds left{0};    ///< until the first item's wait is over; below zero: it is
};

struct FlushLimits {
  std::size_t min_size = 2;
  std::size_t max_size = 10;
  std::chrono::milliseconds max_wait{500};
};

/// Gateway spec §3.12: a group goes when it is full, when an item's wait is over, or when it can be
/// shared and its oldest item has waited for more than 70 % of the longest wait.
inline bool is_due(const GroupState& state, const FlushLimits& limits) {
  if (state.size == 0) return false;
  if (state.size >= limits.max_size || state.left <= std::chrono::milliseconds(0)) return true;
  return state.size >= limits.min_size && state.oldest * 10 > limits.max_wait * 7;
}

}  // namespace asahi::gateway
