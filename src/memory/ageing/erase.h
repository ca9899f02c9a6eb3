#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "memory/model/store.h"

namespace asahi::memory::ageing {

/// Erases from all tiers; `stores` hottest first. Older versions below go first, so that an erasure
/// that is cut off in the middle does not bring one of them to light; then from the hottest down,
/// so that a row on its way down is met where it is, or waited for (MoveGate). How many rows there
/// were. Errors: those of the stores; the rest can be erased by asking again.
Task<std::uint64_t> erase(std::vector<Store*> stores, std::vector<Key> keys);
Task<std::uint64_t> erase_system(std::vector<Store*> stores, std::string tenant,
                                 std::string system_id);

}  // namespace asahi::memory::ageing
