#include "memory/fitness/fitness_store.h"

#include <utility>

namespace asahi::memory::fitness {
namespace {

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_routing_fitness (
  tenant TEXT NOT NULL,
  path TEXT NOT NULL,
  task_class TEXT NOT NULL,
  selector TEXT NOT NULL,
  score DOUBLE PRECISION NOT NULL,
  failure_rate DOUBLE PRECISION NOT NULL,
  p99_latency_ms DOUBLE PRECISION NOT NULL,
  samples BIGINT NOT NULL,
  component_count BIGINT NOT NULL,
  from_ms BIGINT NOT NULL,
  computed_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant, path)
);
CREATE INDEX memory_routing_fitness_old ON memory_routing_fitness (computed_ms);
CREATE TABLE memory_fitness_turns (
  turn TEXT PRIMARY KEY,
  next_ms BIGINT NOT NULL
);
)sql";
constexpr std::string_view kDown =
    "DROP TABLE memory_fitness_turns; DROP TABLE memory_routing_fitness;";

constexpr std::int64_t kMostListed = 1'000;

std::int64_t ms_of(Clock::Time time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}
Clock::Time time_of(std::int64_t ms) { return Clock::Time{std::chrono::milliseconds{ms}}; }

}  // namespace

Task<void> FitnessStore::write(std::vector<Written> figures) {
  std::vector<sql::Statement> statements;
  for (Written& one : figures) {
    Figure& figure = one.figure;
    statements.push_back(
        {"INSERT INTO memory_routing_fitness (tenant, path, task_class, selector, score,"
         " failure_rate, p99_latency_ms, samples, component_count, from_ms, computed_ms)"
         " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
         " ON CONFLICT (tenant, path) DO UPDATE SET score = excluded.score,"
         " failure_rate = excluded.failure_rate, p99_latency_ms = excluded.p99_latency_ms,"
         " samples = excluded.samples, component_count = excluded.component_count,"
         " from_ms = excluded.from_ms, computed_ms = excluded.computed_ms"
         " WHERE memory_routing_fitness.computed_ms <= excluded.computed_ms",
         {std::move(one.tenant), figure.path(), figure.task_class, figure.selector, figure.score(),
          figure.failure_rate, figure.p99_latency_ms, static_cast<std::int64_t>(figure.samples),
          static_cast<std::int64_t>(figure.components), ms_of(one.from), ms_of(one.computed_at)}});
  }
  ASAHI_CO_TRY([[maybe_unused]] const std::vector<sql::Rows> done,
               co_await database_.batch(std::move(statements)));
  co_return Result<void>{};
}

Task<std::vector<Written>> FitnessStore::list(std::string tenant, std::string task_class) {
  sql::Statement statement{
      "SELECT tenant, task_class, selector, failure_rate, p99_latency_ms, samples,"
      " component_count, from_ms, computed_ms FROM memory_routing_fitness WHERE tenant = ?",
      {std::move(tenant)}};
  if (!task_class.empty()) {
    statement.sql += " AND task_class = ?";
    statement.params.emplace_back(std::move(task_class));
  }
  statement.sql += " ORDER BY task_class, score DESC, p99_latency_ms, selector LIMIT ?";
  statement.params.emplace_back(kMostListed);
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
  std::vector<Written> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto count = [&](std::string_view column) {
      return static_cast<std::size_t>(rows.integer(i, column));
    };
    out.push_back({.tenant = rows.text(i, "tenant"),
                   .figure = {.task_class = rows.text(i, "task_class"),
                              .selector = rows.text(i, "selector"),
                              .failure_rate = rows.real(i, "failure_rate"),
                              .p99_latency_ms = rows.real(i, "p99_latency_ms"),
                              .samples = count("samples"),
                              .components = count("component_count")},
                   .from = time_of(rows.integer(i, "from_ms")),
                   .computed_at = time_of(rows.integer(i, "computed_ms"))});
  }
  co_return out;
}

Task<std::uint64_t> FitnessStore::sweep(Clock::Time before) {
  ASAHI_CO_TRY(const sql::Rows gone,
               co_await database_.query(
                   {"DELETE FROM memory_routing_fitness WHERE computed_ms < ?", {ms_of(before)}}));
  co_return static_cast<std::uint64_t>(gone.affected());
}

Task<bool> FitnessStore::claim(std::string turn, Clock::Time now,
                               std::chrono::milliseconds period) {
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query({"INSERT INTO memory_fitness_turns (turn, next_ms) VALUES (?, ?)"
                                " ON CONFLICT (turn) DO UPDATE SET next_ms = excluded.next_ms"
                                " WHERE memory_fitness_turns.next_ms <= ?",
                                {std::move(turn), ms_of(now + period), ms_of(now)}}));
  co_return rows.affected() > 0;
}

sql::Migration fitness_migration() {
  return {.version = 345,
          .name = "memory_routing_fitness",
          .up = {.sqlite = kUp, .postgres = kUp},
          .down = {.sqlite = kDown, .postgres = kDown}};
}

}  // namespace asahi::memory::fitness
