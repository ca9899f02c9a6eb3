#pragma once

#include <vector>

#include "memory/model/store.h"

namespace asahi::memory::ageing {

/// Which version of a memory a tier has.
struct RowVersion {
  Key key;
  Clock::Time timestamp;
};

/// Rows that stay in a tier, or come back to it, do not go down, which is how older versions below
/// end. So this erases what the tiers `below` (the warmest first) have of their keys. To be called
/// before the rows are known as kept: then nothing is left below, wherever a process ends. One
/// answer a row: false where a tier below has a newer version (an older one was told after it had
/// moved): that row has to go down, where the newer one stands. Errors: those of the stores; it can
/// be done again.
Task<std::vector<bool>> end_older_below(std::vector<Store*> below, std::vector<RowVersion> rows);

}  // namespace asahi::memory::ageing
