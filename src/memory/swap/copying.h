#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "memory/knowledge/feed.h"
#include "memory/model/store.h"

/// What makes one store the same as another, page by page. All of it may be done again at any time.
namespace asahi::memory::swap {

struct Applied {
  std::uint64_t rows = 0;
  std::uint64_t repaired = 0;  ///< whose copy was not the same: made anew
  /// Duplicates that came before what they repeat and are left out: come again with them.
  std::uint64_t early = 0;
};

/// Makes `to` hold these rows as they are, and reads them back to see that it does: texts, vectors,
/// times, links and what repeats what. Errors: those of the store; corrupt (a row that was made
/// anew is still not the same).
Task<Applied> apply(Store& to, std::vector<knowledge::MemoryFeed::Row> rows);

/// Those of `keys` that a store does not have, duplicates counted among what it has.
Task<std::vector<Key>> missing(Store& store, std::vector<Key> keys);

/// Writes a row that belongs to nobody, reads it, finds it, erases it. `dimensions`: of its vector.
/// Errors: those of the store; upstream (it answers, and something else than what it was told).
Task<void> probe(Store& store, std::size_t dimensions, const Clock& clock);

/// No organisation has this name.
inline constexpr const char* kProbeTenant = "-";

}  // namespace asahi::memory::swap
