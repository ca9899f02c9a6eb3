#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "memory/access/hits.h"
#include "memory/model/store.h"

namespace asahi::memory::ageing {

/// What became of a batch of memories that are asked for often.
struct Promoted {
  std::uint64_t promoted = 0;     ///< that are hot now, and gone from the warm tier
  std::uint64_t superseded = 0;   ///< gone from the warm tier: the hot one has a newer version
  std::uint64_t refused = 0;      ///< of which the warm tier has a summary only: they stay
  std::uint64_t changed = 0;      ///< that went away meanwhile
  std::uint64_t errors = 0;       ///< whose copy is not what it should be: they stay
  std::uint64_t bytes = 0;        ///< text, metadata and vectors that left the warm tier
  std::set<std::string> tenants;  ///< of rows that moved
};

/// Moves rows from the warm tier back to the hot one: scan and mark, copy, read back and compare,
/// then remove, as the Mover does downwards; so a row is in one of them, or in both with the same
/// key, of which the hotter counts. Only whole texts come back: what the warm tier has must be what
/// the hash of the whole text says; of others it has a summary, and there is no original to be had.
/// A vector comes back as the warm tier has it, a byte a number: it goes down again unchanged.
///
/// Erasures begin below (erase.h): one that comes while a row is moving waits for it in the warm
/// tier, and finds it in the hot one. The hot tier is written to by others meanwhile; what they
/// wrote is newer and stands. Any loop, one call at a time.
class Promoter {
 public:
  /// `warm` is a MoveGate, or the API of a process that has one; all outlive it.
  Promoter(Store& warm, Store& hot, Hits& hits, const Clock& clock)
      : warm_(warm), hot_(hot), hits_(hits), clock_(clock) {}

  /// Those of the keys that the warm tier has. Errors: those of the stores and of Hits; nothing was
  /// lost, and it can be done again.
  Task<Promoted> batch(std::vector<Key> keys);

 private:
  struct Row;
  /// Those of which the warm tier has a summary only: they stay, but for what hot has as well.
  Task<void> end_summaries(std::vector<Eligible> summaries, Promoted& out);
  Task<Promoted> move(std::vector<Row>& rows);
  Task<void> copy(std::vector<Row>& rows);
  Task<void> check(std::vector<Row>& rows);

  Store& warm_;
  Store& hot_;
  Hits& hits_;
  const Clock& clock_;
};

}  // namespace asahi::memory::ageing
