#include "gateway/events/past_totals.h"

#include <fmt/format.h>

namespace asahi::gateway {
namespace {

/// The sum of a money column in nano-dollars, as an integer: SQLite keeps nine decimals as text,
/// and would add them up as binary floating point.
std::string nanos(sql::Dialect dialect, std::string_view column) {
  return dialect == sql::Dialect::kPostgres
             ? fmt::format("CAST(SUM({}) * 1000000000 AS BIGINT)", column)
             : fmt::format("SUM(CAST(REPLACE({}, '.', '') AS INTEGER))", column);
}

}  // namespace

Result<std::map<std::string, OrgTotals>> totals_before(sql::Database& database, Clock::Time start) {
  const sql::Dialect dialect = database.dialect();
  ASAHI_TRY(
      const sql::Rows rows,
      database.query_blocking(
          {fmt::format("SELECT org_id, model_selected, routing_mode, event_type, cache_hit, "
                       "cache_tier, CASE WHEN error_code IS NULL THEN 0 ELSE 1 END AS failed, "
                       "COUNT(*) AS events, {} AS cost, {} AS baseline, "
                       "CAST(SUM(latency_ms) AS DOUBLE PRECISION) AS latency, "
                       "COALESCE(SUM(CAST(quality_score AS DOUBLE PRECISION)), 0) AS quality, "
                       "COUNT(quality_score) AS rated "
                       "FROM inference_events WHERE timestamp < ? "
                       "GROUP BY 1, 2, 3, 4, 5, 6, 7",
                       nanos(dialect, "cost"), nanos(dialect, "baseline_cost")),
           {format_rfc3339(start)}}));
  std::map<std::string, OrgTotals> totals;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::string model = rows.text(row, "model_selected");
    const std::int64_t events = rows.integer(row, "events");
    const NanoUsd cost{rows.integer(row, "cost")};
    const NanoUsd baseline{rows.integer(row, "baseline")};
    OrgTotals& org = totals[rows.text(row, "org_id")];
    org.requests += events;
    org.cost += cost;
    org.baseline_cost += baseline;
    if (rows.integer(row, "failed") != 0) {
      org.errors += events;
      if (cost.nanos != 0) org.cost_by_model[model] += cost;
      continue;
    }
    org.cost_by_model[model] += cost;
    org.latency_ms_sum += rows.real(row, "latency");
    org.quality_sum += rows.real(row, "quality");
    org.quality_count += rows.integer(row, "rated");
    if (rows.text(row, "event_type") == "inference") org.lookups += events;
    const std::int64_t tier = rows.integer(row, "cache_tier");
    if (rows.boolean(row, "cache_hit") && tier >= 1 && tier <= 3) {
      org.hits_by_tier[static_cast<std::size_t>(tier)] += events;
      org.cache_saved += baseline - cost;
    }
    org.requests_by_model[model] += events;
    const std::string mode = rows.text(row, "routing_mode");
    if (!mode.empty()) org.requests_by_mode[mode] += events;
  }
  return totals;
}

}  // namespace asahi::gateway
