#include "memory/fitness/trace_store.h"

#include <utility>

namespace asahi::memory::fitness {
namespace {

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_traces (
  tenant TEXT NOT NULL,
  system_id TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  task_class TEXT NOT NULL,
  selector TEXT NOT NULL,
  started_ms BIGINT NOT NULL,
  latency_us BIGINT NOT NULL,
  failed SMALLINT NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (tenant, system_id, trace_id)
);
CREATE INDEX memory_traces_by_system ON memory_traces (tenant, system_id, started_ms);
CREATE INDEX memory_traces_by_tenant ON memory_traces (tenant, started_ms);
CREATE INDEX memory_traces_old ON memory_traces (started_ms);
)sql";
constexpr std::string_view kDown = "DROP TABLE memory_traces;";

constexpr std::size_t kRowsOfStatement = 500;
constexpr std::int64_t kSweptAtOnce = 5'000;

std::int64_t ms_of(Clock::Time time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

}  // namespace

TraceStore::TraceStore(sql::Database& database, telemetry::Registry& metrics, Options options)
    : database_(database), metrics_(metrics), options_(options) {}

Task<TraceStore::Added> TraceStore::add(std::string tenant, std::vector<Trace> traces) {
  std::vector<sql::Statement> statements;
  for (std::size_t at = 0; at < traces.size(); at += kRowsOfStatement) {
    sql::Statement one{
        "INSERT INTO memory_traces (tenant, system_id, trace_id, task_class, selector, started_ms,"
        " latency_us, failed, metadata) VALUES "};
    for (std::size_t i = at; i < std::min(traces.size(), at + kRowsOfStatement); ++i) {
      Trace& trace = traces[i];
      one.sql += i == at ? "(?, ?, ?, ?, ?, ?, ?, ?, ?)" : ", (?, ?, ?, ?, ?, ?, ?, ?, ?)";
      one.params.insert(one.params.end(),
                        {tenant, std::move(trace.system_id), std::move(trace.trace_id),
                         std::move(trace.task_class), std::move(trace.selector),
                         ms_of(trace.started_at), static_cast<std::int64_t>(trace.latency.count()),
                         std::int64_t{trace.failed}, std::move(trace.metadata)});
    }
    one.sql += " ON CONFLICT (tenant, system_id, trace_id) DO NOTHING";
    statements.push_back(std::move(one));
  }
  ASAHI_CO_TRY(const std::vector<sql::Rows> written,
               co_await database_.batch(std::move(statements)));
  Added added;
  for (const sql::Rows& rows : written) added.stored += static_cast<std::size_t>(rows.affected());
  added.unchanged = traces.size() - added.stored;
  constexpr const char* kHelp = "Traces that agents reported, by what became of them.";
  metrics_.counter("akosha_traces_recorded_total", kHelp, {{"outcome", "stored"}})
      .add(static_cast<double>(added.stored));
  metrics_.counter("akosha_traces_recorded_total", kHelp, {{"outcome", "unchanged"}})
      .add(static_cast<double>(added.unchanged));
  co_return added;
}

Task<std::vector<Trace>> TraceStore::find(TraceQuery query) {
  sql::Statement statement{
      "SELECT system_id, trace_id, task_class, selector, started_ms, latency_us, failed, metadata"
      " FROM memory_traces WHERE tenant = ? AND system_id = ?",
      {std::move(query.tenant), std::move(query.system_id)}};
  if (!query.task_class.empty()) {
    statement.sql += " AND task_class = ?";
    statement.params.emplace_back(std::move(query.task_class));
  }
  if (query.from) {
    statement.sql += " AND started_ms >= ?";
    statement.params.emplace_back(ms_of(*query.from));
  }
  if (query.to) {
    statement.sql += " AND started_ms < ?";
    statement.params.emplace_back(ms_of(*query.to));
  }
  statement.sql += " ORDER BY started_ms DESC, trace_id LIMIT ?";
  statement.params.emplace_back(static_cast<std::int64_t>(query.limit));
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
  std::vector<Trace> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.push_back(
        {.system_id = rows.text(i, "system_id"),
         .trace_id = rows.text(i, "trace_id"),
         .task_class = rows.text(i, "task_class"),
         .selector = rows.text(i, "selector"),
         .started_at = Clock::Time{std::chrono::milliseconds{rows.integer(i, "started_ms")}},
         .latency = std::chrono::microseconds{rows.integer(i, "latency_us")},
         .failed = rows.integer(i, "failed") != 0,
         .metadata = rows.text(i, "metadata")});
  }
  co_return out;
}

Task<std::uint64_t> TraceStore::forget_system(std::string tenant, std::string system_id) {
  ASAHI_CO_TRY(
      const sql::Rows gone,
      co_await database_.query({"DELETE FROM memory_traces WHERE tenant = ? AND system_id = ?",
                                {std::move(tenant), std::move(system_id)}}));
  co_return static_cast<std::uint64_t>(gone.affected());
}

Task<std::uint64_t> TraceStore::sweep(Clock::Time now) {
  ASAHI_CO_TRY(
      const sql::Rows old,
      co_await database_.query(
          {"DELETE FROM memory_traces WHERE (tenant, system_id, trace_id) IN (SELECT tenant,"
           " system_id, trace_id FROM memory_traces WHERE started_ms < ? LIMIT ?)",
           {ms_of(oldest(now)), kSweptAtOnce}}));
  auto gone = static_cast<std::uint64_t>(old.affected());
  const auto most = static_cast<std::int64_t>(options_.most);
  ASAHI_CO_TRY(const sql::Rows full,
               co_await database_.query({"SELECT tenant, COUNT(*) AS traces FROM memory_traces"
                                         " GROUP BY tenant HAVING COUNT(*) > ?",
                                         {most}}));
  for (std::size_t i = 0; i < full.size(); ++i) {
    const std::int64_t beyond = std::min(full.integer(i, "traces") - most, kSweptAtOnce);
    const std::string tenant = full.text(i, "tenant");
    ASAHI_CO_TRY(
        const sql::Rows cut,
        co_await database_.query(
            {"DELETE FROM memory_traces WHERE tenant = ? AND (system_id, trace_id) IN (SELECT"
             " system_id, trace_id FROM memory_traces WHERE tenant = ? ORDER BY started_ms"
             " LIMIT ?)",
             {tenant, tenant, beyond}}));
    gone += static_cast<std::uint64_t>(cut.affected());
  }
  co_return gone;
}

sql::Migration trace_migration() {
  return {.version = 344,
          .name = "memory_traces",
          .up = {.sqlite = kUp, .postgres = kUp},
          .down = {.sqlite = kDown, .postgres = kDown}};
}

}  // namespace asahi::memory::fitness
