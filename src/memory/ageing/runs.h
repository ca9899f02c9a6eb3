#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "memory/ageing/rules.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::ageing {

enum class RunState : std::uint8_t { kQueued, kRunning, kDone, kFailed };
/// "queued", "running", "done", "failed".
std::string_view run_state_name(RunState state);

/// Who asks for the runs that the schedule begins: no organisation.
inline constexpr std::string_view kSchedule = "-";

/// One run of ageing, as POST /storage/migrations asked for it or as the schedule began it; or one
/// that gives memories new vectors.
struct Run {
  std::string id;      ///< "mig_" + ULID
  std::string org_id;  ///< who asked; kSchedule: the schedule
  Step step;
  std::optional<int> cutoff_days;  ///< nothing: the configured age
  std::size_t batch_size = 1000;
  bool dry_run = false;
  RunState state = RunState::kQueued;
  std::uint64_t records_migrated = 0, bytes_freed = 0, errors = 0;
  // Of access rules.
  std::uint64_t kept = 0;     ///< that stayed hot: they are asked for
  std::uint64_t demoted = 0;  ///< of records_migrated: young, but hardly asked for
  std::uint64_t refused = 0;  ///< that did not come back: there is only a summary of them
  std::string error;          ///< of a failed run
  Clock::Time requested_at;
  std::optional<Clock::Time> start_time, end_time;
};
json::object run_json(const Run& run);
/// Of one that gives memories new vectors.
json::object reembedding_run_json(const Run& run);
/// Whose memories a run moves: of the organisation that asked for it; empty: of all.
inline std::string tenant_of(const Run& run) { return run.org_id == kSchedule ? "" : run.org_id; }

struct RunQuery {
  std::string org_id;      ///< runs that it asked for
  bool scheduled = false;  ///< and those of the schedule, which are nobody's own
  std::size_t limit = 50;  ///< 1 to 1000
  std::string cursor;      ///< RunPage::next; empty: from the newest
};
struct RunPage {
  std::vector<Run> runs;  ///< newest first
  std::string next;       ///< empty: that was all
};

/// The table `memory_migrations`: what runs were asked for and what they did. Any loop.
class Runs {
 public:
  explicit Runs(sql::Database& database) : database_(database) {}

  Task<void> add(const Run& run);
  /// Everything that changes while it runs.
  Task<void> update(const Run& run);
  Task<std::optional<Run>> find(std::string id);
  /// Of memories that move.
  Task<RunPage> list(RunQuery query);
  /// The organisation's last one that gives memories new vectors.
  Task<std::optional<Run>> newest_within(std::string org_id);
  /// Deletes runs that were asked for before `before`, up to a thousand.
  Task<void> prune(Clock::Time before);

 private:
  sql::Database& database_;
};

/// Migrations 311 and 342.
std::vector<sql::Migration> run_migrations();

}  // namespace asahi::memory::ageing
