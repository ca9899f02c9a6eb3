#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

/// A data folder on its way to another place (`asahi memory migrate data`, spec/memory §2.3).
///
/// What a move is at stands in `asahi.move.json` of both folders: who finds it there unfinished, or
/// its folder left, does not start (folder_lock.h). Files are copied, synced and compared first,
/// all of them; only then those of the old folder go. Ended at any moment, by kill -9 or a power
/// cut, the same command goes on, and `roll_back_data` undoes.
namespace asahi::server {

inline constexpr std::string_view kMoveFile = "asahi.move.json";

enum class MovePhase : std::uint8_t { kCopying, kRemoving, kMoved, kReturning, kRolledBack };
std::string_view to_string(MovePhase phase);

/// What stands in the file.
struct DataMove {
  std::string from, to;  ///< absolute
  MovePhase phase = MovePhase::kCopying;
  std::vector<std::string> files;    ///< that go, relative
  std::vector<std::string> skipped;  ///< that stay: their like is in `to`
  std::vector<std::string> kept;     ///< entries that `to` had before
  std::uint64_t bytes = 0;           ///< of `files`
  std::string started_at, ended_at;  ///< RFC 3339; empty: not yet
  /// A rollback of a move that had ended: what is new in `to` goes back as well.
  bool was_whole = false;
  bool left = false;  ///< read in `from`, not in `to`; there without the lists

  bool is_over() const { return phase == MovePhase::kMoved || phase == MovePhase::kRolledBack; }
};

/// Called between any two steps; false: leave everything as a kill would.
using MoveStep = std::function<bool()>;

/// What `move_data` would do; nothing is written. Errors: not_found (no data of ours in `from`),
/// invalid_argument (one folder inside the other), conflict (links, an unfinished move of other
/// folders).
Result<DataMove> plan_data_move(const std::string& from, const std::string& to);

/// Begins, or goes on with what was begun. An entry of `from` (`asahi.db` with its companions, a
/// tier of the memory, another entry) that `to` has already stays where it is, whole. Errors: those
/// of the plan; unavailable (a server uses either folder, no room on the disk, the disk), corrupt
/// (a copy reads differently). Cancelled: `step` said so. Blocking.
Result<DataMove> move_data(const std::string& from, const std::string& to, const Clock& clock,
                           const MoveStep& step = {});

/// The move into `to`, or the one that left it; nothing: there was none. Errors: corrupt.
Result<std::optional<DataMove>> data_move_of(const std::string& folder);

/// Undoes the move into `to`, wherever it stands: what was moved goes back, and with a move that
/// had ended what servers have written since. Goes on with a rollback that was cut. Errors:
/// not_found (there was none), conflict (a file that is in both folders with different content),
/// and as above. Blocking.
Result<DataMove> roll_back_data(const std::string& to, const Clock& clock,
                                const MoveStep& step = {});

}  // namespace asahi::server
