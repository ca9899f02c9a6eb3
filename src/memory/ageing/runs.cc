#include "memory/ageing/runs.h"

#include <string_view>

#include "base/utf8.h"

namespace asahi::memory::ageing {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxError = 2'048;

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_migrations (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL,
  source_tier TEXT NOT NULL,
  target_tier TEXT NOT NULL,
  cutoff_days INTEGER,
  batch_size INTEGER NOT NULL,
  dry_run INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
  records_migrated BIGINT NOT NULL DEFAULT 0,
  bytes_freed BIGINT NOT NULL DEFAULT 0,
  errors BIGINT NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  requested_at_ms BIGINT NOT NULL,
  start_time_ms BIGINT,
  end_time_ms BIGINT
);
CREATE INDEX memory_migrations_age ON memory_migrations (requested_at_ms);
)sql";
constexpr std::string_view kDown = "DROP TABLE memory_migrations;";

constexpr std::string_view kRulesUp = R"sql(
ALTER TABLE memory_migrations ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;
ALTER TABLE memory_migrations ADD COLUMN demoted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE memory_migrations ADD COLUMN refused BIGINT NOT NULL DEFAULT 0;
)sql";
constexpr std::string_view kRulesDown = R"sql(
DELETE FROM memory_migrations WHERE target_tier = 'hot';
ALTER TABLE memory_migrations DROP COLUMN refused;
ALTER TABLE memory_migrations DROP COLUMN demoted;
ALTER TABLE memory_migrations DROP COLUMN kept;
)sql";

std::int64_t to_ms(Clock::Time time) {
  return std::chrono::floor<milliseconds>(time).time_since_epoch().count();
}
sql::Value to_ms(const std::optional<Clock::Time>& time) {
  return time ? sql::Value(to_ms(*time)) : sql::Value();
}
Clock::Time from_ms(std::int64_t ms) { return Clock::Time(milliseconds(ms)); }
std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

RunState parse_state(std::string_view name) {
  for (const RunState state : {RunState::kQueued, RunState::kRunning, RunState::kDone}) {
    if (name == run_state_name(state)) return state;
  }
  return RunState::kFailed;
}

Result<Run> read_run(const sql::Rows& rows, std::size_t row) {
  Run run;
  run.id = rows.text(row, "id");
  run.org_id = rows.text(row, "org_id");
  const auto step = step_named(rows.text(row, "source_tier"), rows.text(row, "target_tier"));
  if (!step) return fail(Errc::kCorrupt, "a run in memory_migrations names no step");
  run.step = *step;
  if (!rows.is_null(row, "cutoff_days"))
    run.cutoff_days = static_cast<int>(rows.integer(row, "cutoff_days"));
  run.batch_size = static_cast<std::size_t>(rows.integer(row, "batch_size"));
  run.dry_run = rows.boolean(row, "dry_run");
  run.state = parse_state(rows.text(row, "state"));
  run.records_migrated = static_cast<std::uint64_t>(rows.integer(row, "records_migrated"));
  run.bytes_freed = static_cast<std::uint64_t>(rows.integer(row, "bytes_freed"));
  run.errors = static_cast<std::uint64_t>(rows.integer(row, "errors"));
  run.kept = static_cast<std::uint64_t>(rows.integer(row, "kept"));
  run.demoted = static_cast<std::uint64_t>(rows.integer(row, "demoted"));
  run.refused = static_cast<std::uint64_t>(rows.integer(row, "refused"));
  run.error = rows.text(row, "error");
  run.requested_at = from_ms(rows.integer(row, "requested_at_ms"));
  if (!rows.is_null(row, "start_time_ms"))
    run.start_time = from_ms(rows.integer(row, "start_time_ms"));
  if (!rows.is_null(row, "end_time_ms")) run.end_time = from_ms(rows.integer(row, "end_time_ms"));
  return run;
}

}  // namespace

std::string_view run_state_name(RunState state) {
  switch (state) {
    case RunState::kQueued:
      return "queued";
    case RunState::kRunning:
      return "running";
    case RunState::kDone:
      return "done";
    case RunState::kFailed:
      return "failed";
  }
  return "failed";
}

std::vector<sql::Migration> run_migrations() {
  return {{.version = 311,
           .name = "memory_migrations",
           .up = {.sqlite = kUp, .postgres = kUp},
           .down = {.sqlite = kDown, .postgres = kDown}},
          {.version = 342,
           .name = "memory_migrations_access_rules",
           .up = {.sqlite = kRulesUp, .postgres = kRulesUp},
           .down = {.sqlite = kRulesDown, .postgres = kRulesDown}}};
}

json::object run_json(const Run& run) {
  const auto time = [](const std::optional<Clock::Time>& at) {
    return at ? json::value(format_rfc3339(*at)) : json::value(nullptr);
  };
  json::object out{{"id", run.id},
                   {"state", run_state_name(run.state)},
                   {"source_tier", tier_name(run.step.source)},
                   {"target_tier", tier_name(run.step.target)},
                   {"cutoff_days", nullptr},
                   {"batch_size", run.batch_size},
                   {"dry_run", run.dry_run},
                   {"scheduled", run.org_id == kSchedule},
                   {"records_migrated", run.records_migrated},
                   {"bytes_freed", run.bytes_freed},
                   {"errors", run.errors},
                   {"kept", run.kept},
                   {"demoted", run.demoted},
                   {"refused", run.refused},
                   {"requested_at", format_rfc3339(run.requested_at)},
                   {"start_time", time(run.start_time)},
                   {"end_time", time(run.end_time)}};
  if (run.cutoff_days) out["cutoff_days"] = *run.cutoff_days;
  if (!run.error.empty()) out["error"] = run.error;
  return out;
}

json::object reembedding_run_json(const Run& run) {
  const json::object all = run_json(run);
  json::object out;
  for (const char* name : {"id", "state", "requested_at", "start_time", "end_time"})
    out[name] = all.at(name);
  out["records"] = run.records_migrated;
  if (!run.error.empty()) out["error"] = run.error;
  return out;
}

Task<void> Runs::add(const Run& run) {
  sql::Statement insert{
      "INSERT INTO memory_migrations (id, org_id, source_tier, target_tier, cutoff_days,"
      " batch_size, dry_run, state, requested_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {run.id, run.org_id, std::string(tier_name(run.step.source)),
       std::string(tier_name(run.step.target)),
       run.cutoff_days ? sql::Value(std::int64_t{*run.cutoff_days}) : sql::Value(),
       number(run.batch_size), std::int64_t{run.dry_run ? 1 : 0},
       std::string(run_state_name(run.state)), to_ms(run.requested_at)}};
  ASAHI_CO_TRY([[maybe_unused]] const auto rows, co_await database_.query(std::move(insert)));
  co_return Result<void>{};
}

Task<void> Runs::update(const Run& run) {
  sql::Statement change{
      "UPDATE memory_migrations SET state = ?, records_migrated = ?, bytes_freed = ?, errors = ?,"
      " kept = ?, demoted = ?, refused = ?, error = ?, start_time_ms = ?, end_time_ms = ? WHERE id "
      "= ?",
      {std::string(run_state_name(run.state)), number(run.records_migrated),
       number(run.bytes_freed), number(run.errors), number(run.kept), number(run.demoted),
       number(run.refused), mended_utf8(run.error, kMaxError), to_ms(run.start_time),
       to_ms(run.end_time), run.id}};
  ASAHI_CO_TRY([[maybe_unused]] const auto rows, co_await database_.query(std::move(change)));
  co_return Result<void>{};
}

Task<std::optional<Run>> Runs::find(std::string id) {
  sql::Statement select{"SELECT * FROM memory_migrations WHERE id = ?", {std::move(id)}};
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(select)));
  if (rows.empty()) co_return std::nullopt;
  ASAHI_CO_TRY(Run run, read_run(rows, 0));
  co_return std::optional(std::move(run));
}

Task<RunPage> Runs::list(RunQuery query) {
  // Ids are ULIDs: their order is that of their making.
  const std::string from = query.cursor.empty() ? "mig_~" : std::move(query.cursor);
  sql::Statement select{
      "SELECT * FROM memory_migrations WHERE (org_id = ? OR org_id = ?) AND id < ?"
      " AND source_tier <> target_tier"
      " ORDER BY id DESC LIMIT ?",
      {query.org_id, query.scheduled ? std::string(kSchedule) : query.org_id, from,
       number(query.limit + 1)}};
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(select)));
  RunPage page;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (page.runs.size() == query.limit) {
      page.next = page.runs.back().id;
      break;
    }
    ASAHI_CO_TRY(Run run, read_run(rows, row));
    page.runs.push_back(std::move(run));
  }
  co_return page;
}

Task<std::optional<Run>> Runs::newest_within(std::string org_id) {
  sql::Statement select{
      "SELECT * FROM memory_migrations WHERE org_id = ? AND source_tier = target_tier"
      " ORDER BY id DESC LIMIT 1",
      {std::move(org_id)}};
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(select)));
  if (rows.empty()) co_return std::nullopt;
  ASAHI_CO_TRY(Run run, read_run(rows, 0));
  co_return std::optional(std::move(run));
}

Task<void> Runs::prune(Clock::Time before) {
  sql::Statement erase{
      "DELETE FROM memory_migrations WHERE id IN (SELECT id FROM memory_migrations"
      " WHERE requested_at_ms < ? ORDER BY requested_at_ms LIMIT 1000)",
      {to_ms(before)}};
  ASAHI_CO_TRY([[maybe_unused]] const auto rows, co_await database_.query(std::move(erase)));
  co_return Result<void>{};
}

}  // namespace asahi::memory::ageing
