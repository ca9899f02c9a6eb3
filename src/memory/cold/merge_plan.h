#pragma once

#include <chrono>
#include <cstdint>
#include <string>
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

/// Files that nothing will be added to and few ask for are put anew, into a class of storage that
/// costs less to keep.
struct ArchiveRules {
  std::string storage_class;     ///< as the object store names it; empty: there is none
  std::chrono::days after{365};  ///< age of a file's newest memory
  /// The class for a file whose newest memory is of that time.
  std::string class_of(Clock::Time newest, Clock::Time now) const {
    return now - newest >= after ? storage_class : std::string();
  }
};

/// The next files of one partition that become one, at least one; none: nothing to do. At most 64,
/// and no more than fit in memory row group by row group.
std::vector<Listing::File> next_merge(std::vector<Listing::File> partition, MergeNeed need,
                                      const MergeRules& rules);

/// A file that is to be put anew into the archive's class; null: none.
Listing::File next_to_archive(const std::vector<Listing::File>& partition,
                              const ArchiveRules& rules, Clock::Time now);

/// Files of one system are merged within this: the month of their oldest memory.
std::chrono::year_month partition_of(Clock::Time oldest);

}  // namespace asahi::memory::cold
