#include "gateway/analytics/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "gateway/analytics/event_rows.h"
#include "gateway/analytics/rollup_cells.h"
#include "net/blocking.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::string_view kOther = "other";

/// Rollups of one grain from one start to before another.
struct Stretch {
  Grain grain;
  std::int64_t from, to;
};

/// The last start of any grain that is kept at this time.
std::int64_t round_down(Dimension dimension, std::int64_t minute, Clock::Time now) {
  for (const Grain grain : kGrains) {
    if (grain < layout(dimension).finest) continue;
    const std::int64_t start = rounded(minute, grain);
    if (start >= kept_from(dimension, grain, now)) return start;
  }
  return rounded(minute, Grain::kDay);
}

/// Covers [from, to) by rollups, none wider than `widest`: days in the middle, then hours, then
/// minutes, as far as they are kept.
void cover(Dimension dimension, Clock::Time now, std::int64_t from, std::int64_t to, Grain widest,
           std::vector<Stretch>& out) {
  if (from >= to) return;
  if (widest <= layout(dimension).finest) {
    out.push_back({layout(dimension).finest, from, to});
    return;
  }
  const auto finer = static_cast<Grain>(static_cast<int>(widest) - 1);
  const std::int64_t begin = rounded(from + width(widest) - 1, widest);
  const std::int64_t end = rounded(to, widest);
  if (begin >= end) return cover(dimension, now, from, to, finer, out);
  cover(dimension, now, from, begin, finer, out);
  out.push_back({widest, begin, end});
  cover(dimension, now, end, to, finer, out);
}

/// The rollups to read for a query: of the widest grain that fits, but none that is gone.
std::vector<Stretch> stretches(const SumsQuery& query, std::int64_t from, std::int64_t to,
                               Clock::Time now) {
  const std::int64_t step = query.step.count() / 60;
  Grain widest = Grain::kDay;
  if (step > 0) {
    while (widest > layout(query.by).finest &&
           (step % width(widest) != 0 || from % width(widest) != 0)) {
      widest = static_cast<Grain>(static_cast<int>(widest) - 1);
    }
  }
  // Where the wanted grain is gone, the next wider one serves: from the oldest part to the newest.
  std::vector<Stretch> out;
  const std::int64_t hours_from = kept_from(query.by, Grain::kHour, now);
  const std::int64_t minutes_from = kept_from(query.by, Grain::kMinute, now);
  const std::int64_t old = std::clamp(hours_from, from, to);
  cover(query.by, now, from, old, Grain::kDay, out);
  std::int64_t middle = old;
  if (layout(query.by).finest == Grain::kMinute) {
    middle = std::clamp(minutes_from, old, to);
    cover(query.by, now, old, middle, std::max(widest, Grain::kHour), out);
  }
  cover(query.by, now, middle, to, widest, out);
  return out;
}

}  // namespace

Task<std::vector<Bucket>> Store::sums(SumsQuery query) const {
  auto work = [this, query = std::move(query)] { return read_sums(query); };
  co_return co_await net::run_blocking(threads_, std::move(work));
}

Result<std::vector<Bucket>> Store::read_sums(const SumsQuery& query) const {
  const Clock::Time now = clock_.now();
  const auto minute_of = [](Clock::Time time) { return start_of(time, Grain::kMinute); };
  const std::int64_t from = round_down(query.by, minute_of(query.from), now);
  std::int64_t to = round_down(query.by, minute_of(query.to), now);
  const Grain finest = layout(query.by).finest;
  if (to == start_of(now, finest) && query.to > Clock::Time{std::chrono::minutes(to)})
    to += width(finest);
  if (from >= to) return {};

  const auto which = static_cast<std::int64_t>(query.by);
  const std::int64_t keys_per_page = layout(query.by).keys_per_page;
  std::optional<std::int64_t> only;
  if (query.key && query.by != Dimension::kNone) {
    ASAHI_TRY(const sql::Rows rows,
              database_.query_blocking({"SELECT number FROM analytics_keys WHERE dimension = ? AND "
                                        "org_id = ? AND key = ?",
                                        {which, query.org_id, *query.key}}));
    if (rows.empty()) return {};
    only = rows.integer(0, "number");
  }
  const std::int64_t step = query.step.count() / 60;
  std::map<std::int64_t, std::map<std::int64_t, Sums>> buckets;  // by start, by key number
  for (const Stretch& stretch : stretches(query, from, to, now)) {
    sql::Statement statement{
        "SELECT start, page, sums FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND "
        "grain = ? AND start >= ? AND start < ?",
        {query.org_id, which, static_cast<std::int64_t>(stretch.grain), stretch.from, stretch.to}};
    if (only) {
      statement.sql += " AND page = ?";
      statement.params.emplace_back(*only / keys_per_page);
    }
    ASAHI_TRY(const sql::Rows rows, database_.query_blocking(std::move(statement)));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::int64_t start = rows.integer(row, "start");
      ASAHI_TRY(const Page page,
                parse_page(rows.text(row, "sums"), rows.integer(row, "page") * keys_per_page));
      auto& bucket = buckets[step > 0 ? from + (start - from) / step * step : from];
      for (const auto& [number, sums] : page) {
        if (!only || number == *only) bucket[number] += sums;
      }
    }
  }

  std::map<std::int64_t, NanoUsd> costs;
  for (const auto& [start, keys] : buckets) {
    for (const auto& [number, sums] : keys) costs[number] += sums.cost;
  }
  std::unordered_map<std::int64_t, std::string> names;
  if (query.by != Dimension::kNone) {
    ASAHI_TRY(const sql::Rows rows,
              database_.query_blocking({"SELECT number, key FROM analytics_keys WHERE dimension = "
                                        "? AND org_id = ?",
                                        {which, query.org_id}}));
    for (std::size_t row = 0; row < rows.size(); ++row)
      names.emplace(rows.integer(row, "number"), rows.text(row, "key"));
  } else {
    names.emplace(0, "");
  }
  std::vector<std::int64_t> order;
  for (const auto& [number, cost] : costs) {
    // A key that was erased meanwhile.
    if (names.contains(number)) order.push_back(number);
  }
  if (order.size() > query.max_keys) {
    std::ranges::sort(order, [&](std::int64_t one, std::int64_t two) {
      const NanoUsd first = costs[one], second = costs[two];
      return first != second ? first > second : names[one] < names[two];
    });
    for (std::size_t i = query.max_keys; i < order.size(); ++i) names[order[i]] = kOther;
  }

  std::vector<Bucket> out;
  for (auto& [start, keys] : buckets) {
    std::map<std::string_view, Sums> named;
    for (auto& [number, sums] : keys) {
      if (const auto name = names.find(number); name != names.end()) named[name->second] += sums;
    }
    for (auto& [name, sums] : named) {
      out.push_back({.start = Clock::Time{std::chrono::minutes(start)},
                     .key = std::string(name),
                     .sums = std::move(sums)});
    }
  }
  return out;
}

}  // namespace asahi::gateway::analytics
