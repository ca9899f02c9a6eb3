#include <algorithm>
#include <limits>

#include "gateway/analytics/rollup_cells.h"
#include "gateway/analytics/store.h"
#include "net/blocking.h"

namespace asahi::gateway::analytics {
namespace {

/// Whether rollups hold the rows from before they were (rollups.h).
Result<bool> hold_all_rows(sql::Database& database) {
  ASAHI_TRY(const sql::Rows state,
            database.query_blocking({"SELECT (SELECT value FROM analytics_state WHERE name = "
                                     "'backfill_next') AS next, (SELECT value FROM "
                                     "analytics_state WHERE name = 'backfill_end') AS last",
                                     {}}));
  return state.integer(0, "next") >= state.integer(0, "last");
}

/// Adds the rows of [from, to).
Result<void> add_rows(sql::Database& database, const std::string& org_id, Clock::Time from,
                      std::optional<Clock::Time> to, UseByError& use) {
  // SQLite keeps nine decimals as text, and would add them up as binary floating point.
  sql::Statement statement{"SELECT error_code, COUNT(*) AS n, ", {}};
  statement.sql += database.dialect() == sql::Dialect::kPostgres
                       ? "CAST(COALESCE(SUM(cost), 0) * 1000000000 AS BIGINT)"
                       : "COALESCE(SUM(CAST(REPLACE(cost, '.', '') AS INTEGER)), 0)";
  statement.sql += " AS cost FROM inference_events WHERE org_id = ? AND timestamp >= ?";
  statement.params = {org_id, format_rfc3339(from)};
  if (to) {
    statement.sql += " AND timestamp < ?";
    statement.params.emplace_back(format_rfc3339(*to));
  }
  statement.sql += " GROUP BY error_code";
  ASAHI_TRY(const sql::Rows rows, database.query_blocking(std::move(statement)));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    Use& some = use[rows.text(row, "error_code")];
    some.requests += rows.integer(row, "n");
    some.cost += NanoUsd{rows.integer(row, "cost")};
  }
  return {};
}

}  // namespace

Task<UseByError> Store::use_since(std::string org_id, Clock::Time from) const {
  auto work = [this, org_id = std::move(org_id), from] { return read_use(org_id, from); };
  co_return co_await net::run_blocking(threads_, std::move(work));
}

Result<UseByError> Store::read_use(const std::string& org_id, Clock::Time from) const {
  // Events of clocks that run ahead count as well.
  constexpr std::chrono::days kAhead{3'660};
  const Clock::Time now = clock_.now();
  UseByError use;
  ASAHI_TRY(const bool complete, hold_all_rows(database_));
  if (!complete) {
    if (auto added = add_rows(database_, org_id, from, std::nullopt, use); !added)
      return std::unexpected(std::move(added.error()));
    return use;
  }
  const Clock::Time whole{std::chrono::minutes(first_start(Dimension::kErrorCode, from, now))};
  ASAHI_TRY(const std::vector<Bucket> sums,
            read_sums({.org_id = org_id,
                       .from = whole,
                       .to = std::max(whole, now) + kAhead,
                       .by = Dimension::kErrorCode,
                       .key = {},
                       .max_keys = std::numeric_limits<std::size_t>::max()},
                      now));
  for (const Bucket& bucket : sums)
    use[bucket.key] = {.requests = bucket.sums.requests, .cost = bucket.sums.cost};
  if (from < whole) {
    if (auto added = add_rows(database_, org_id, from, whole, use); !added)
      return std::unexpected(std::move(added.error()));
  }
  return use;
}

}  // namespace asahi::gateway::analytics
