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
  std::uint64_t promoted = 0;    ///< that are hot now, and gone from the warm tier
  std::uint64_t superseded = 0;  ///< gone from the warm tier: the hot one has a newer version
  /// That stay: the warm tier has a summary only, or a colder one has a newer version.
  std::uint64_t refused = 0;
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
  /// `warm` is a MoveGate, or the API of a process that has one; `cold`: null where there is none.
  /// All outlive it.
  Promoter(Store& warm, Store& hot, Store* cold, Hits& hits, const Clock& clock)
      : warm_(warm), hot_(hot), cold_(cold), hits_(hits), clock_(clock) {}

  /// Those of the keys that the warm tier has. Errors: those of the stores and of Hits; nothing was
  /// lost, and it can be done again.
  Task<Promoted> batch(std::vector<Key> keys);

 private:
  struct Row;
  /// Those of which the warm tier has a summary only: they stay, but for what hot has as well.
  Task<void> end_summaries(std::vector<Eligible> summaries, Promoted& out);
  Task<Promoted> move(std::vector<Row>& rows);
  /// Ends what the cold tier has of them; leaves out those of which it has a newer version, and
  /// tells how many.
  Task<std::uint64_t> end_older(std::vector<Row>& rows);
  Task<void> copy(std::vector<Row>& rows);
  Task<void> check(std::vector<Row>& rows);

  Store& warm_;
  Store& hot_;
  Store* const cold_;
  Hits& hits_;
  const Clock& clock_;
};

/// Which rows of the warm tier a way up that was cut has left behind: those known as kept that the
/// hot tier has as well. They are not to go down behind the back of it; Promoter::batch ends them.
/// Both outlive the answer. Errors: those of both.
Task<std::vector<bool>> left_behind(Hits& hits, Store& hot, const std::vector<Eligible>& warm);

}  // namespace asahi::memory::ageing
