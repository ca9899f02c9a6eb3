#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace asahi::memory::hot {

/// One set of vectors whose graph lies in a file of its own.
struct SavedGraph {
  enum Link : std::uint8_t {
    kNone = 0,   ///< the graph does not know the slot
    kHolds = 1,  ///< it holds the slot's saved row
    kStale = 2,  ///< it holds another row
  };
  std::string model;
  std::uint32_t dimensions = 0;
  std::string file;                 ///< its name in the folder
  std::vector<std::uint8_t> links;  ///< by slot, a Link
};

/// What of one tenant's part of the hot tier a start would otherwise work out anew.
struct SavedShelf {
  std::string tenant;
  /// By slot: the row's number in the log, and the first 8 bytes of its content's hash. Both 0: no
  /// row, or one that changed while it was saved. A row is taken over only where the log says the
  /// same of it.
  std::vector<std::uint64_t> sequences, contents;
  std::string words;  ///< KeywordIndex::snapshot
  std::vector<SavedGraph> graphs;
};

/// A copy of what can be worked out from the log: it may be missing, older than the log, or
/// damaged, and costs a start time then, never an answer.
struct Checkpoint {
  std::uint64_t generation = 0;  ///< greater in later ones
  std::vector<SavedShelf> shelves;
};

/// Puts it in the place of the one before, durably: after a crash one of them is there. The graphs'
/// files stand there already. Errors: unavailable (disk full: the old one stays).
Result<void> write_checkpoint(const std::string& folder, const Checkpoint& checkpoint);
/// Errors: not_found, corrupt (cut or changed), unavailable.
Result<Checkpoint> read_checkpoint(const std::string& folder);
/// Removes what no checkpoint that is kept names.
void tidy_checkpoints(const std::string& folder, const Checkpoint& kept);

}  // namespace asahi::memory::hot
