#include "memory/swap/record.h"

#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/log.h"

namespace asahi::memory::swap {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_hot_moves (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('copying', 'window', 'finished', 'reverted', 'aborted')),
  from_place TEXT NOT NULL,
  to_place TEXT NOT NULL,
  from_feed TEXT NOT NULL,
  to_feed TEXT NOT NULL,
  position BIGINT NOT NULL DEFAULT 0,
  copied BIGINT NOT NULL DEFAULT 0,
  repaired BIGINT NOT NULL DEFAULT 0,
  removed BIGINT NOT NULL DEFAULT 0,
  revert_seconds BIGINT NOT NULL,
  started_ms BIGINT NOT NULL,
  window_ms BIGINT,
  ended_ms BIGINT,
  reason TEXT NOT NULL DEFAULT ''
);
)sql";
constexpr std::string_view kDown = "DROP TABLE memory_hot_moves;";

constexpr Phase kPhases[] = {Phase::kCopying, Phase::kWindow, Phase::kFinished, Phase::kReverted,
                             Phase::kAborted};

std::int64_t to_ms(Clock::Time time) {
  return std::chrono::floor<milliseconds>(time).time_since_epoch().count();
}
sql::Value to_ms(const std::optional<Clock::Time>& time) {
  return time ? sql::Value(to_ms(*time)) : sql::Value();
}
std::optional<Clock::Time> time_at(const sql::Rows& rows, std::string_view column) {
  if (rows.is_null(0, column)) return std::nullopt;
  return Clock::Time(milliseconds(rows.integer(0, column)));
}
std::uint64_t count_at(const sql::Rows& rows, std::string_view column) {
  return static_cast<std::uint64_t>(rows.integer(0, column));
}
std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

Result<Move> read_move(const sql::Rows& rows) {
  Move move;
  move.id = rows.text(0, "id");
  move.org_id = rows.text(0, "org_id");
  const std::string phase = rows.text(0, "phase");
  for (const Phase each : kPhases) {
    if (phase == phase_name(each)) move.phase = each;
  }
  ASAHI_TRY(move.from, read_place(rows.text(0, "from_place")));
  ASAHI_TRY(move.to, read_place(rows.text(0, "to_place")));
  move.from_feed = rows.text(0, "from_feed");
  move.to_feed = rows.text(0, "to_feed");
  move.position = count_at(rows, "position");
  move.copied = count_at(rows, "copied");
  move.repaired = count_at(rows, "repaired");
  move.removed = count_at(rows, "removed");
  move.revert_for = std::chrono::seconds(rows.integer(0, "revert_seconds"));
  move.started = Clock::Time(milliseconds(rows.integer(0, "started_ms")));
  move.window_since = time_at(rows, "window_ms");
  move.ended = time_at(rows, "ended_ms");
  move.reason = rows.text(0, "reason");
  return move;
}

}  // namespace

std::string_view phase_name(Phase phase) {
  switch (phase) {
    case Phase::kCopying:
      return "copying";
    case Phase::kWindow:
      return "window";
    case Phase::kFinished:
      return "finished";
    case Phase::kReverted:
      return "reverted";
    case Phase::kAborted:
      return "aborted";
  }
  return "aborted";
}

json::object move_json(const Move& move) {
  const auto time = [](const std::optional<Clock::Time>& at) {
    return at ? json::value(format_rfc3339(*at)) : json::value(nullptr);
  };
  return {{"id", move.id},
          {"phase", phase_name(move.phase)},
          {"from", move.from.to_json()},
          {"to", move.to.to_json()},
          {"copied", move.copied},
          {"repaired", move.repaired},
          {"removed", move.removed},
          {"started_at", format_rfc3339(move.started)},
          {"window_since", time(move.window_since)},
          {"revert_until", move.phase == Phase::kWindow ? time(move.revert_until()) : nullptr},
          {"ended_at", time(move.ended)},
          {"reason", move.reason.empty() ? json::value(nullptr) : json::value(move.reason)}};
}

std::string marker_in(const std::string& data_path) {
  return data_path.empty() ? std::string() : data_path + "/hot_moves";
}

Result<Records::State> Records::load() {
  auto state = read();
  if (state) {
    if (state->last) {
      if (auto marked = mark(); !marked) return std::unexpected(std::move(marked.error()));
    }
    return state;
  }
  std::error_code unknown;
  const bool may_have_moved = marker_.empty() || fs::exists(marker_, unknown) || unknown;
  if (state.error().code == Errc::kCorrupt) return state;
  if (may_have_moved) {
    state.error().message = "where the hot tier is stands in the database, which does not tell: " +
                            state.error().message;
    return state;
  }
  Logger("memory.swap")
      .warning("the record of moves cannot be read; none was begun here, so the settings hold",
               {{"error", state.error().message}});
  return State{};
}

Result<void> Records::mark() {
  std::error_code error;
  if (marker_.empty() || fs::exists(marker_, error)) return {};
  fs::create_directories(fs::path(marker_).parent_path(), error);
  return replace_file(marker_,
                      "The hot tier has moved: memory_hot_moves in the database says where.\n");
}

Result<Records::State> Records::read() {
  State state;
  ASAHI_TRY(
      const sql::Rows last,
      database_.query_blocking({"SELECT * FROM memory_hot_moves ORDER BY id DESC LIMIT 1", {}}));
  if (!last.empty()) {
    ASAHI_TRY(state.last, read_move(last));
  }
  ASAHI_TRY(const sql::Rows finished,
            database_.query_blocking({"SELECT * FROM memory_hot_moves WHERE phase = 'finished' "
                                      "ORDER BY id DESC LIMIT 1",
                                      {}}));
  if (!finished.empty()) {
    ASAHI_TRY(const Move move, read_move(finished));
    state.settled = move.to;
  }
  return state;
}

Result<void> Records::note(const Move& move) {
  auto done = database_.query_blocking(
      {"INSERT INTO memory_hot_moves (id, org_id, phase, from_place, to_place, from_feed, to_feed, "
       "position, copied, repaired, removed, revert_seconds, started_ms, window_ms, ended_ms, "
       "reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
       "SET phase = excluded.phase, to_feed = excluded.to_feed, position = excluded.position, "
       "copied = excluded.copied, repaired = excluded.repaired, removed = excluded.removed, "
       "window_ms = excluded.window_ms, ended_ms = excluded.ended_ms, reason = excluded.reason",
       {move.id, move.org_id, std::string(phase_name(move.phase)), write_json(move.from.to_json()),
        write_json(move.to.to_json()), move.from_feed, move.to_feed, number(move.position),
        number(move.copied), number(move.repaired), number(move.removed), move.revert_for.count(),
        to_ms(move.started), to_ms(move.window_since), to_ms(move.ended), move.reason}});
  if (!done) return std::unexpected(std::move(done.error()));
  return {};
}

Result<void> Records::save(const Move& move) {
  if (auto marked = mark(); !marked) return marked;
  if (auto noted = note(move); !noted) return noted;
  if (database_.dialect() == sql::Dialect::kSqlite) {
    // Its commits are synced with a checkpoint only; a record that a power cut took back would have
    // the next start believe the side that no longer gets writes.
    if (auto synced = database_.query_blocking({"PRAGMA wal_checkpoint(FULL)", {}}); !synced)
      return std::unexpected(std::move(synced.error()));
  }
  return {};
}

std::vector<sql::Migration> migrations() {
  return {{.version = 337,
           .name = "memory_hot_moves",
           .up = {.sqlite = kUp, .postgres = kUp},
           .down = {.sqlite = kDown, .postgres = kDown}}};
}

}  // namespace asahi::memory::swap
