#pragma once

#include <optional>
#include <vector>

#include "memory/model/store.h"

namespace asahi::memory::ageing {

/// In which order to ask the tiers for a memory that is in one of them (`stores`, hottest first):
/// downwards, as memories go, and then the hottest again, into which it may have come back up
/// behind the reader's back.
std::vector<Store*> reading_order(std::vector<Store*> stores);

struct Found {
  Memory memory;
  Tier tier = Tier::kWarm;
};
/// The row of a key as the hottest tier that has it tells it. Errors: those of the stores.
Task<std::optional<Found>> find(std::vector<Store*> stores, Key key);

}  // namespace asahi::memory::ageing
