#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "memory/cold/listing.h"

namespace asahi::memory::cold {

/// How eagerly files are merged.
enum class MergeNeed : std::uint8_t {
  kRipe,  ///< only where many of one size have gathered: what ageing does as it goes
  kAny,   ///< all that is worth it: what the clock does
};

struct MergeRules {
  std::uint64_t merge_rows = 1'000'000;  ///< a file of so many rows is large enough
  double dead_share = 0.1;               ///< a file with so many tombstones is written anew
  /// Ripe: so many files whose sizes are within this factor. Each row is then written anew once for
  /// each such step that its file grows, and a partition has about as many files for each step
  /// (O'Neil et al. 1996, The Log-Structured Merge-Tree; size-tiered as in Cassandra).
  std::size_t ripe = 8;
  std::uint64_t group_rows = 10'000;
};

/// The next files of one partition that become one, at least one; none: nothing to do. At most 64,
/// and no more than fit in memory row group by row group.
std::vector<Listing::File> next_merge(std::vector<Listing::File> partition, MergeNeed need,
                                      const MergeRules& rules);

/// Files of one system are merged within this: the month of their oldest memory.
std::chrono::year_month partition_of(Clock::Time oldest);

}  // namespace asahi::memory::cold
