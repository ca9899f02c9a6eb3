#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "memory/swap/place.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::swap {

enum class Phase : std::uint8_t {
  kCopying,   ///< rows go to the new backend; reads and decisions are the old one's
  kWindow,    ///< reads are the new one's; both are written, the old one first
  kFinished,  ///< the new one is alone
  kReverted,  ///< the old one is alone again, after the window had begun
  kAborted,   ///< the same, before
};
/// "copying", "window", "finished", "reverted", "aborted".
std::string_view phase_name(Phase phase);

/// A move of the hot tier from one backend to another.
struct Move {
  std::string id;      ///< "hbm_" + ULID of `started`: the last move's is the greatest
  std::string org_id;  ///< whose audit log hears of it
  Phase phase = Phase::kCopying;
  Place from, to;
  /// Names of the writings of both sides: another store in a side's place is known by another one.
  std::string from_feed, to_feed;
  /// Everything that the old side wrote until here is on the new one. May lag: what is copied again
  /// changes nothing.
  std::uint64_t position = 0;
  std::uint64_t copied = 0;            ///< rows written to the new side by following the old one
  std::uint64_t repaired = 0;          ///< whose copy was not the same and was made anew
  std::uint64_t removed = 0;           ///< that the new side had and the old one had not
  std::chrono::seconds revert_for{0};  ///< length of the window
  Clock::Time started;                 ///< after that of the move before, whatever the clock says
  std::optional<Clock::Time> window_since = {}, ended = {};
  std::string reason = {};  ///< why it ended; empty: it goes on

  bool active() const { return phase == Phase::kCopying || phase == Phase::kWindow; }
  Clock::Time revert_until() const { return window_since.value_or(started) + revert_for; }
};
json::object move_json(const Move& move);

/// Which backend the hot tier is on, whatever the settings say: rows of `memory_hot_moves`.
/// Blocking; ordinary threads. Errors: those of the database; corrupt.
///
/// A file beside them says that there are any, so that a start while the database is away need not
/// wait where the tier never moved, and does not guess where it did.
class Records {
 public:
  /// `marker`: that file, whose folder is made when it is needed; empty: none.
  explicit Records(sql::Database& database, std::string marker = {})
      : database_(database), marker_(std::move(marker)) {}

  struct State {
    std::optional<Move> last;      ///< the newest; active: it goes on
    std::optional<Place> settled;  ///< where the last finished move ended; nothing: the settings
  };
  /// Where the database does not answer and no move was ever begun: as if there were no rows.
  Result<State> load();
  /// On the disk when it returns, also where commits of the database are not (SQLite).
  Result<void> save(const Move& move);
  /// The same, soon on the disk: a start from an older place copies a little again.
  Result<void> note(const Move& move);

 private:
  Result<State> read();
  Result<void> mark();

  sql::Database& database_;
  const std::string marker_;
};

/// The marker of a memory in this folder; empty where it is.
std::string marker_in(const std::string& data_path);

/// Migration 337.
std::vector<sql::Migration> migrations();

}  // namespace asahi::memory::swap
