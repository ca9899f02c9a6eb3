#pragma once

#include <optional>

#include "memory/swap/mover.h"
#include "memory/swap/record.h"

namespace asahi::memory::swap {

/// Where the hot tier is at the start of a process.
struct Whereabouts {
  SharedBackend backend;     ///< the side that decides
  std::optional<Move> move;  ///< the newest; active: for Mover::resume
};

/// The record wins over `configured`, which is said in the log: a settings file that nobody changed
/// would else bring back a backend from which the memories have gone. Where the old side of a move
/// is lost (it was in memory, or another store stands in its place), the new one is taken from the
/// window on, since what was acknowledged is on both; before that the move ends. Blocking. Errors:
/// those of `open` and of the database.
Result<Whereabouts> find_hot(Records& records, const Place& configured, const Mover::Open& open,
                             const Clock& clock);

}  // namespace asahi::memory::swap
