#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "memory/swap/record.h"
#include "memory/swap/swap_store.h"
#include "net/loop.h"
#include "net/waiting.h"
#include "telemetry/metrics.h"

namespace asahi::memory::swap {

/// Makes the new side of a move the same as the old one, a page at a time: what the old one wrote
/// goes over in the order of its writings, what only the new one has goes. What is done when, and
/// what comes of a failure, is Mover's.
///
/// Ordinary threads, one at a time, while the loops run. Errors: upstream is the new side's, all
/// else the old one's.
class Follower {
 public:
  struct Options {
    std::size_t page = 200;        ///< rows at a time
    std::size_t dimensions = 384;  ///< of a probe's vector
  };
  /// All outlive it. Asks the sides on `loop`.
  Follower(SwapStore& store, net::Loop& loop, const Clock& clock, telemetry::Registry& metrics,
           Options options);

  /// `to` is the new side from now on; it lacks that many writings, as far as known.
  void begin(SharedBackend to, std::uint64_t left);
  /// There is no new side any more.
  void end();
  /// Writings of the old side that the new one lacks, as of the last page.
  std::uint64_t left() const { return left_; }

  /// A page of the old side's writings after `move.position`, which goes on, onto the new one;
  /// `move` counts its rows. True: no more than a page is left.
  Result<bool> follow_page(Move& move);
  /// All that is left, for who has the turn and holds the writes.
  Result<void> follow_to_end(Move& move);

  /// Duplicates came before what they repeat: they are to come again.
  bool left_out_repeats() const { return early_ > 0; }
  void begin_repeats();
  /// A page of the old side's duplicates. True: that was the last.
  Result<bool> repeat_page(Move& move);

  void begin_sweep();
  /// A page of the new side's rows: those that the old one does not have are erased. True: that was
  /// the last; the new side is as clean as it was dirty when the sweep began.
  Result<bool> sweep_page(Move& move);

  /// Follows to the end. True: both sides have as many memories. For who has the turn and holds the
  /// writes.
  Result<bool> compare_held(Move& move);
  /// Whether the new side does what it is asked for. Errors: those of `probe`, as the side gave
  /// them.
  Result<void> probe_new_side();
  /// Pages and erasures of the new side, one at a time.
  net::Turns::Turn take_turn();

 private:
  /// A page from `cursor` on, for who has the turn.
  Result<bool> follow_in_turn(Move& move, std::uint64_t& cursor, bool only_repeats);

  SwapStore& store_;
  net::Loop& loop_;
  const Clock& clock_;
  const Options options_;
  telemetry::Counter &copied_, &repaired_, &removed_;

  SharedBackend next_;  ///< null: nothing moves
  std::uint64_t left_ = 0;
  std::uint64_t repeats_cursor_ = 0, sweep_cursor_ = 0, swept_dirt_ = 0;
  std::uint64_t early_ = 0;  ///< duplicates that were left out
  /// Writings as SwapStore and as the feed counted them a moment later.
  struct Goal {
    std::uint64_t asked = 0, end = 0;
  };
  std::optional<Goal> goal_;
};

}  // namespace asahi::memory::swap
