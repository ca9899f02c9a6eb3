#include "identity/limits/budget_table.h"

#include <algorithm>

namespace asahi::identity {
namespace {

constexpr std::size_t kRowsPerRead = 5'000;

/// NUMERIC(18,9).
std::string money(NanoUsd amount) {
  constexpr std::int64_t kMost = 999'999'999'999'999'999;
  return to_decimal({std::clamp(amount.nanos, -kMost, kMost)});
}

}  // namespace

Result<void> BudgetTable::write(const std::string& node, const std::vector<LocalBudgets::Row>& rows,
                                Clock::Time now) {
  if (rows.empty()) return {};
  sql::Statement statement;
  statement.sql =
      "INSERT INTO budget_use (account, bucket, node, spent, requests, updated_at) VALUES ";
  const std::string time = format_rfc3339(now);
  for (const LocalBudgets::Row& row : rows) {
    statement.sql += &row == &rows.front() ? "(?, ?, ?, ?, ?, ?)" : ", (?, ?, ?, ?, ?, ?)";
    statement.params.insert(
        statement.params.end(),
        {row.account, row.bucket, node, money(row.sums.spent), row.sums.requests, time});
  }
  statement.sql +=
      " ON CONFLICT (account, bucket, node) DO UPDATE SET spent = excluded.spent, "
      "requests = excluded.requests, updated_at = excluded.updated_at";
  auto written = database_.query_blocking(std::move(statement));
  if (!written) return std::unexpected(std::move(written.error()));
  return {};
}

Result<std::size_t> BudgetTable::restore(LocalBudgets& budgets, Clock::Time now) {
  const std::string oldest = slice_name(slice_of(now) - kSlicesPerDay);
  const std::string month = month_name(month_of(now));
  std::string account;
  std::string bucket;
  std::string node;
  for (std::size_t count = 0;;) {
    // A month's name sorts before all slices of that month.
    ASAHI_TRY(
        const sql::Rows rows,
        database_.query_blocking(
            {"SELECT account, bucket, node, spent, requests FROM budget_use WHERE (bucket = ? "
             "OR (bucket >= ? AND length(bucket) = 16)) AND node <> ? AND (account, bucket, "
             "node) > (?, ?, ?) ORDER BY account, bucket, node LIMIT " +
                 std::to_string(kRowsPerRead),
             {month, oldest, budgets.node(), account, bucket, node}}));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      account = rows.text(i, "account");
      bucket = rows.text(i, "bucket");
      node = rows.text(i, "node");
      ASAHI_TRY(const NanoUsd spent, parse_nano_usd(rows.text(i, "spent")));
      budgets.add_other(node, {account, bucket, {spent, rows.integer(i, "requests")}});
    }
    count += rows.size();
    if (rows.size() < kRowsPerRead) return count;
  }
}

Result<void> BudgetTable::purge(Clock::Time now) {
  const std::string day = slice_name(slice_of(now - std::chrono::hours{48}));
  const std::string month = month_name(month_of(now) - 1);
  auto purged = database_.query_blocking(
      {"DELETE FROM budget_use WHERE (length(bucket) = 16 AND bucket < ?) OR (length(bucket) = 7 "
       "AND bucket < ?)",
       {day, month}});
  if (!purged) return std::unexpected(std::move(purged.error()));
  return {};
}

}  // namespace asahi::identity
