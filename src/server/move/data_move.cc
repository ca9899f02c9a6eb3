#include "server/move/data_move.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "base/file.h"
#include "server/data_folder.h"
#include "server/folder_lock.h"
#include "server/move/carry.h"

namespace asahi::server {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kPhases = {"copying", "removing", "moved", "returning",
                                                     "rolled_back"};
/// Room that a disk keeps beside what is copied.
constexpr std::uintmax_t kSpare = 64 << 20;

std::string place_of(const std::string& path) {
  std::error_code ignored;
  fs::path found = fs::weakly_canonical(fs::absolute(path), ignored);
  if (!found.has_filename()) found = found.parent_path();  // "data/"
  return found.string();
}

bool is_ours(std::string_view file) { return file == kMoveFile || file == FolderLock::kFile; }

/// What is moved as one or not at all: an SQLite file with what it wrote beside it, a tier of the
/// memory, any other entry of the folder. Half of one and half of another would be neither.
std::string entry_of(std::string_view file) {
  const auto part_end = [&](std::size_t from) {
    return std::min(file.find('/', from), file.size());
  };
  std::size_t end = part_end(0);
  if (file.substr(0, end) == "memory" && end < file.size()) end = part_end(end + 1);
  std::string_view entry = file.substr(0, end);
  for (const std::string_view beside : {"-wal", "-shm", "-journal"}) {
    if (entry.ends_with(beside)) entry.remove_suffix(beside.size());
  }
  return std::string(entry);
}

std::set<std::string> entries_in(const std::string& folder) {
  std::set<std::string> entries;
  std::error_code ignored;
  for (const char* below : {"", "memory/"}) {
    for (const auto& one : fs::directory_iterator(folder + "/" + below, ignored)) {
      const std::string name = below + one.path().filename().string();
      if (!is_ours(name) && name != "memory") entries.insert(entry_of(name));
    }
  }
  return entries;
}

json::array list_of(const std::vector<std::string>& items) {
  return json::array(items.begin(), items.end());
}

std::vector<std::string> texts_of(const json::object& object, std::string_view name) {
  std::vector<std::string> all;
  if (const json::value* found = object.if_contains(name); found != nullptr && found->is_array()) {
    for (const json::value& item : found->get_array()) {
      if (item.is_string()) all.emplace_back(item.get_string());
    }
  }
  return all;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

Result<void> write_in(const std::string& folder, const DataMove& move, bool left) {
  json::object text{{"role", left ? "from" : "to"},
                    {"from", move.from},
                    {"to", move.to},
                    {"phase", to_string(move.phase)},
                    {"bytes", move.bytes},
                    {"started_at", move.started_at},
                    {"ended_at", move.ended_at},
                    {"was_whole", move.was_whole}};
  if (!left) {
    text["files"] = list_of(move.files);
    text["skipped"] = list_of(move.skipped);
    text["kept"] = list_of(move.kept);
  }
  return replace_file(folder + "/" + std::string(kMoveFile), json::serialize(text) + "\n");
}

/// Both folders hear of a new phase. No server starts in the old folder before its files are known
/// to be on their way; from then on the new folder's word counts.
Result<void> enter(DataMove& move, MovePhase phase) {
  move.phase = phase;
  if (phase == MovePhase::kCopying) {
    if (auto ok = write_in(move.from, move, true); !ok) return ok;
    return write_in(move.to, move, false);
  }
  if (auto ok = write_in(move.to, move, false); !ok) return ok;
  return write_in(move.from, move, true);
}

std::unexpected<Error> cut() { return fail(Errc::kCancelled, "the move was cut; go on with it"); }

/// No server, and no store of one in a process of its own, may write in either folder meanwhile.
class Quiet {
 public:
  static Result<Quiet> over(const DataMove& move) {
    Quiet quiet;
    for (const std::string& folder : {move.from, move.to}) {
      ASAHI_TRY(FolderLock lock, FolderLock::take_to_move(folder));
      quiet.locks_.push_back(std::move(lock));
      if (auto ok = quiet.lock_stores(folder); !ok) return std::unexpected(ok.error());
    }
    return quiet;
  }

 private:
  Result<void> lock_stores(const std::string& folder) {
    std::error_code error;
    fs::recursive_directory_iterator all(folder, error);
    for (; !error && all != fs::recursive_directory_iterator(); all.increment(error)) {
      if (all->path().filename() != "LOCK") continue;
      File file = File::open(all->path().string(), O_RDWR);
      if (!file) return file_error("open", all->path().string());
      if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(Errc::kUnavailable, fmt::format("another process has the store in {} open: "
                                                    "stop it first",
                                                    all->path().parent_path().string()));
      }
      stores_.push_back(std::move(file));
    }
    return {};
  }

  std::vector<FolderLock> locks_;
  std::vector<File> stores_;
};

Result<void> check_room(const DataMove& move) {
  std::error_code error;
  const fs::space_info disk = fs::space(move.to, error);
  if (error || disk.available >= move.bytes + kSpare) return {};
  return fail(Errc::kUnavailable, fmt::format("{} bytes do not fit into {}, which has {} left",
                                              move.bytes, move.to, disk.available));
}

/// The copy of a file is there, and equal.
Result<void> bring(const std::string& source, const std::string& target) {
  std::error_code ignored;
  if (fs::exists(target, ignored) &&
      fs::file_size(target, ignored) == fs::file_size(source, ignored)) {
    ASAHI_TRY(const std::string there, sum_of_file(target));
    ASAHI_TRY(const std::string here, sum_of_file(source));
    if (there == here) return {};
  }
  ASAHI_TRY([[maybe_unused]] const std::string sum, carry_file(source, target));
  return {};
}

Result<void> copy_all(DataMove& move, const MoveStep& step) {
  for (const std::string& file : move.files) {
    if (step && !step()) return cut();
    if (auto ok = bring(move.from + "/" + file, move.to + "/" + file); !ok) return ok;
  }
  if (auto ok = sync_folders(move.to, move.files); !ok) return ok;
  if (step && !step()) return cut();
  return enter(move, MovePhase::kRemoving);
}

Result<void> remove_all(DataMove& move, const Clock& clock, const MoveStep& step) {
  std::error_code ignored;
  for (const std::string& file : move.files) {
    if (step && !step()) return cut();
    if (!fs::exists(move.to + "/" + file, ignored)) {
      return fail(Errc::kCorrupt,
                  fmt::format("{} is no longer in {}; nothing more is removed: 'asahi memory "
                              "migrate rollback' brings back what was moved",
                              file, move.to));
    }
    if (auto ok = remove_carried(move.from + "/" + file); !ok) return ok;
  }
  if (step && !step()) return cut();
  remove_empty_folders(move.from);
  move.ended_at = format_rfc3339(clock.now());
  return enter(move, MovePhase::kMoved);
}

Result<DataMove> go_on(DataMove move, const Clock& clock, const MoveStep& step) {
  ASAHI_TRY(const Quiet quiet, Quiet::over(move));
  if (move.phase == MovePhase::kCopying) {
    if (move.started_at.empty()) {
      // What was planned before anybody was kept out may have changed.
      ASAHI_TRY(move, plan_data_move(move.from, move.to));
    }
    if (auto ok = check_room(move); !ok) return std::unexpected(ok.error());
    if (move.started_at.empty()) move.started_at = format_rfc3339(clock.now());
    if (auto ok = enter(move, MovePhase::kCopying); !ok) return std::unexpected(ok.error());
    if (auto ok = copy_all(move, step); !ok) return std::unexpected(ok.error());
  }
  if (auto ok = remove_all(move, clock, step); !ok) return std::unexpected(ok.error());
  return move;
}

// --- back ---

/// What goes back of a move that had ended: all that is not the target's own.
Result<std::vector<std::string>> files_to_return(const DataMove& move) {
  ASAHI_TRY(std::vector<std::string> files, files_below(move.to));
  std::erase_if(files, [&](const std::string& file) {
    return is_ours(file) || std::ranges::find(move.kept, entry_of(file)) != move.kept.end();
  });
  return files;
}

Result<void> return_file(const DataMove& move, const std::string& file) {
  const std::string source = move.to + "/" + file, target = move.from + "/" + file;
  std::error_code ignored;
  const bool is_back = fs::exists(target, ignored);
  if (!fs::exists(source, ignored)) {
    if (is_back) return {};
    return fail(Errc::kCorrupt,
                fmt::format("{} is neither in {} nor in {}", file, move.from, move.to));
  }
  // What was never taken away is the original.
  if (is_back && !move.was_whole) return {};
  if (is_back) {
    ASAHI_TRY(const std::string there, sum_of_file(target));
    ASAHI_TRY(const std::string here, sum_of_file(source));
    if (there == here) return {};
    return fail(Errc::kConflict, fmt::format("{} is in {} and, different, in {}: keep one of them, "
                                             "then go on",
                                             file, move.from, move.to));
  }
  ASAHI_TRY([[maybe_unused]] const std::string sum, carry_file(source, target));
  return {};
}

Result<void> finish_rollback(DataMove& move) {
  if (auto ok = write_in(move.to, move, false); !ok) return ok;
  return remove_carried(move.from + "/" + std::string(kMoveFile));
}

}  // namespace

std::string_view to_string(MovePhase phase) { return kPhases[static_cast<std::size_t>(phase)]; }

Result<std::optional<DataMove>> data_move_of(const std::string& folder) {
  const std::string path = folder + "/" + std::string(kMoveFile);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const auto parsed = parse_json(text.str());
  const json::object* object = parsed ? parsed->if_object() : nullptr;
  DataMove move;
  if (object != nullptr) {
    const auto phase = std::ranges::find(kPhases, text_of(*object, "phase"));
    move.from = text_of(*object, "from");
    move.to = text_of(*object, "to");
    if (phase != kPhases.end() && !move.from.empty() && !move.to.empty()) {
      move.phase = static_cast<MovePhase>(phase - kPhases.begin());
      move.files = texts_of(*object, "files");
      move.skipped = texts_of(*object, "skipped");
      move.kept = texts_of(*object, "kept");
      move.started_at = text_of(*object, "started_at");
      move.ended_at = text_of(*object, "ended_at");
      if (const json::value* bytes = object->if_contains("bytes"); bytes != nullptr)
        move.bytes = bytes->is_number() ? bytes->to_number<std::uint64_t>() : 0;
      const json::value* whole = object->if_contains("was_whole");
      move.was_whole = whole != nullptr && whole->is_bool() && whole->get_bool();
      move.left = text_of(*object, "role") == "from";
      return move;
    }
  }
  return fail(Errc::kCorrupt, fmt::format("{} tells nothing of a move of data", path));
}

Result<DataMove> plan_data_move(const std::string& from, const std::string& to) {
  DataMove move;
  move.from = place_of(from);
  move.to = place_of(to);
  if ((move.from + "/").starts_with(move.to + "/") ||
      (move.to + "/").starts_with(move.from + "/")) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} and {} are the same folder, or one is inside the other", move.from,
                            move.to));
  }
  ASAHI_TRY(const auto begun, data_move_of(move.to));
  if (begun && !begun->left && !begun->is_over()) {
    if (begun->phase != MovePhase::kReturning && begun->from == move.from) return *begun;
    return fail(Errc::kConflict,
                fmt::format("a {} between {} and {} is not finished: run that one again first",
                            begun->phase == MovePhase::kReturning ? "rollback" : "move",
                            begun->from, begun->to));
  }
  if (!holds_data(move.from)) {
    return fail(
        Errc::kNotFound,
        fmt::format("{} has no data of a server (asahi.db, node_id, memory/hot)", move.from));
  }
  const std::set<std::string> there = entries_in(move.to);
  move.kept.assign(there.begin(), there.end());
  ASAHI_TRY(std::vector<std::string> files, files_below(move.from));
  for (std::string& file : files) {
    if (is_ours(file)) continue;
    std::error_code ignored;
    const bool stays = there.contains(entry_of(file));
    if (!stays) move.bytes += fs::file_size(move.from + "/" + file, ignored);
    (stays ? move.skipped : move.files).push_back(std::move(file));
  }
  if (move.files.empty()) {
    return fail(Errc::kConflict, fmt::format("everything of {} is in {} already: nothing is moved",
                                             move.from, move.to));
  }
  return move;
}

Result<DataMove> move_data(const std::string& from, const std::string& to, const Clock& clock,
                           const MoveStep& step) {
  ASAHI_TRY(const auto before, data_move_of(place_of(to)));
  if (before && !before->left && before->phase == MovePhase::kMoved &&
      before->from == place_of(from)) {
    // Cut before the folder that was left heard of the end.
    ASAHI_TRY(const auto marked, data_move_of(before->from));
    if (marked && marked->left && !marked->is_over()) {
      if (auto ok = write_in(before->from, *before, true); !ok) return std::unexpected(ok.error());
      return *before;
    }
  }
  ASAHI_TRY(DataMove move, plan_data_move(from, to));
  return go_on(std::move(move), clock, step);
}

Result<DataMove> roll_back_data(const std::string& to, const Clock& clock, const MoveStep& step) {
  ASAHI_TRY(const auto found, data_move_of(place_of(to)));
  if (!found || found->left)
    return fail(Errc::kNotFound, fmt::format("nothing was moved into {}", place_of(to)));
  DataMove move = *found;
  if (move.phase == MovePhase::kRolledBack) {
    ASAHI_TRY(const auto marked, data_move_of(move.from));
    if (!marked || !marked->left) {
      return fail(Errc::kNotFound,
                  fmt::format("the move into {} was rolled back already", move.to));
    }
    if (auto ok = finish_rollback(move); !ok) return std::unexpected(ok.error());
    return move;
  }
  ASAHI_TRY(const Quiet quiet, Quiet::over(move));
  if (move.phase != MovePhase::kReturning) {
    move.was_whole = move.phase == MovePhase::kMoved;
    if (move.was_whole) {
      ASAHI_TRY(move.files, files_to_return(move));
    }
    move.ended_at.clear();
    if (auto ok = enter(move, MovePhase::kReturning); !ok) return std::unexpected(ok.error());
  }
  for (const std::string& file : move.files) {
    if (step && !step()) return cut();
    if (auto ok = return_file(move, file); !ok) return std::unexpected(ok.error());
  }
  if (auto ok = sync_folders(move.from, move.files); !ok) return std::unexpected(ok.error());
  for (const std::string& file : move.files) {
    if (step && !step()) return cut();
    if (auto ok = remove_carried(move.to + "/" + file); !ok) return std::unexpected(ok.error());
  }
  remove_empty_folders(move.to);
  move.phase = MovePhase::kRolledBack;
  move.ended_at = format_rfc3339(clock.now());
  if (auto ok = finish_rollback(move); !ok) return std::unexpected(ok.error());
  return move;
}

}  // namespace asahi::server
