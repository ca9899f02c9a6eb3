#include "memory/outside/workflow_runs.h"

namespace asahi::memory {
namespace {

constexpr std::chrono::hours kKept{24 * 90};

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_workflow_runs (
  workflow TEXT NOT NULL,
  due_ms BIGINT NOT NULL,
  claimed_ms BIGINT NOT NULL,
  PRIMARY KEY (workflow, due_ms)
);
)sql";
constexpr std::string_view kDown = "DROP TABLE memory_workflow_runs;";

std::int64_t ms_of(Clock::Time time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

}  // namespace

Task<bool> WorkflowRuns::claim(std::string workflow, Clock::Time due, Clock::Time now) {
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query({"INSERT INTO memory_workflow_runs (workflow, due_ms, claimed_ms)"
                                " VALUES (?, ?, ?) ON CONFLICT (workflow, due_ms) DO NOTHING",
                                {workflow, ms_of(due), ms_of(now)}}));
  const bool first = rows.affected() > 0;
  if (first) {
    ASAHI_CO_TRY([[maybe_unused]] const sql::Rows gone,
                 co_await database_.query(
                     {"DELETE FROM memory_workflow_runs WHERE workflow = ? AND due_ms < ?",
                      {workflow, ms_of(now - kKept)}}));
  }
  co_return first;
}

sql::Migration workflow_runs_migration() {
  return {.version = 335,
          .name = "memory_workflow_runs",
          .up = {.sqlite = kUp, .postgres = kUp},
          .down = {.sqlite = kDown, .postgres = kDown}};
}

}  // namespace asahi::memory
