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

/// Up to where (minutes since 1970) days and weeks of folded dimensions are made.
struct Folded {
  std::int64_t day = 0, week = 0;
};
Result<Folded> folded_to(sql::Database& database) {
  ASAHI_TRY(const sql::Rows rows,
            database.query_blocking({"SELECT name, value FROM analytics_state WHERE name IN "
                                     "('folded_day', 'folded_week')",
                                     {}}));
  Folded folded;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const bool day = rows.text(row, "name") == "folded_day";
    (day ? folded.day : folded.week) = rows.integer(row, "value");
  }
  return folded;
}

/// The rollups to read for a query: of the widest grain that fits, but none that is gone or not
/// made yet.
std::vector<Stretch> stretches(const SumsQuery& query, std::int64_t from, std::int64_t to,
                               Clock::Time now, const Folded& folded) {
  const Layout kept = layout(query.by);
  const std::int64_t step = query.step.count() / 60;
  Grain widest = kept.widest;
  if (step > 0) {
    while (widest > kept.finest && (step % width(widest) != 0 || rounded(from, widest) != from)) {
      widest = static_cast<Grain>(static_cast<int>(widest) - 1);
    }
  }
  std::vector<Stretch> out;
  std::int64_t at = from;
  const auto until = [&](std::int64_t end, Grain grain) {
    end = std::clamp(end, at, to);
    cover(query.by, now, at, end, grain, out);
    at = end;
  };
  // From the oldest part to the newest. Where the wanted grain is gone, the next wider one serves;
  // where it is not made yet, the next narrower.
  const auto at_most = [&](Grain grain) { return std::min(widest, grain); };
  const std::int64_t hours_from = kept_from(query.by, Grain::kHour, now);
  if (kept.folded) {
    until(std::min(hours_from, folded.week), step > 0 ? Grain::kDay : Grain::kWeek);
    until(std::min(hours_from, folded.day), Grain::kDay);
    until(folded.week, widest);
    until(folded.day, at_most(Grain::kDay));
    until(to, Grain::kHour);
  } else {
    until(hours_from, Grain::kDay);
    until(kept_from(query.by, Grain::kMinute, now), std::max(widest, Grain::kHour));
    until(to, widest);
  }
  return out;
}

/// A list of numbers as one parameter, and the condition that a column is among them.
sql::Value list_of(sql::Dialect dialect, const std::vector<std::int64_t>& numbers) {
  return dialect == sql::Dialect::kPostgres ? fmt::format("{{{}}}", fmt::join(numbers, ","))
                                            : fmt::format("[{}]", fmt::join(numbers, ","));
}
std::string among(sql::Dialect dialect, std::string_view column) {
  return dialect == sql::Dialect::kPostgres
             ? fmt::format("{} = ANY(CAST(? AS bigint[]))", column)
             : fmt::format("{} IN (SELECT value FROM json_each(?))", column);
}

using Names = std::unordered_map<std::int64_t, std::string>;

/// Names of keys by number: of all, or of some.
Result<Names> names_of(sql::Database& database, const SumsQuery& query,
                       const std::vector<std::int64_t>* numbers) {
  Names names;
  if (query.by == Dimension::kNone) {
    names.emplace(0, "");
    return names;
  }
  sql::Statement statement{
      "SELECT number, key FROM analytics_keys WHERE dimension = ? AND org_id = ?",
      {number_of(query.by), query.org_id}};
  if (numbers != nullptr) {
    statement.sql += " AND " + among(database.dialect(), "number");
    statement.params.push_back(list_of(database.dialect(), *numbers));
  }
  ASAHI_TRY(const sql::Rows rows, database.query_blocking(std::move(statement)));
  for (std::size_t row = 0; row < rows.size(); ++row)
    names.emplace(rows.integer(row, "number"), rows.text(row, "key"));
  return names;
}

/// Neighbouring pages that are read in one go, both ends among them.
struct PageRuns {
  std::vector<std::int64_t> first, last;
};
PageRuns runs_of(const std::vector<std::int64_t>& pages) {
  // To pass over a row takes PostgreSQL half a microsecond, to look for the next one some three.
  constexpr std::int64_t kMostGap = 8;
  PageRuns runs;
  for (const std::int64_t page : pages) {
    if (runs.last.empty() || page - runs.last.back() > kMostGap) {
      runs.first.push_back(page);
      runs.last.push_back(page);
    }
    runs.last.back() = page;
  }
  return runs;
}

/// Narrows a statement, which ends in conditions, to some pages (ascending) of some starts.
void narrow(sql::Dialect dialect, sql::Statement& statement,
            const std::vector<std::int64_t>& starts, const std::vector<std::int64_t>& pages) {
  const sql::Value of_starts = list_of(dialect, starts), of_pages = list_of(dialect, pages);
  if (dialect != sql::Dialect::kPostgres) {
    statement.sql += fmt::format(" AND {} AND {}", among(dialect, "start"), among(dialect, "page"));
    statement.params.insert(statement.params.end(), {of_starts, of_pages});
    return;
  }
  // Start by start and run by run, which OFFSET keeps the planner from undoing: it would rather
  // read the whole table. The bounds are for the index: of a list of pages alone the planner makes
  // a filter over all pages of the start.
  const PageRuns runs = runs_of(pages);
  statement.sql = fmt::format(
      "SELECT found.start, found.page, found.sums FROM unnest(CAST(? AS bigint[])) AS asked (at) "
      "CROSS JOIN unnest(CAST(? AS bigint[]), CAST(? AS bigint[])) AS run (first, last) CROSS JOIN "
      "LATERAL ({} AND start = asked.at AND page BETWEEN run.first AND run.last AND {} OFFSET 0) "
      "AS found",
      statement.sql, among(dialect, "page"));
  statement.params.insert(statement.params.begin(),
                          {of_starts, list_of(dialect, runs.first), list_of(dialect, runs.last)});
  statement.params.push_back(of_pages);
}

/// The rollups of a stretch: all, or at least those of some keys.
Result<sql::Rows> read_stretch(sql::Database& database, const std::string& org_id,
                               std::int64_t dimension, const Stretch& stretch,
                               const std::vector<std::int64_t>* numbers) {
  // The index leads to each page of each start; beyond this many it is faster to read all.
  constexpr std::size_t kMostLookups = 20'000;
  sql::Statement statement{
      "SELECT start, page, sums FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND "
      "grain = ?",
      {org_id, dimension, static_cast<std::int64_t>(stretch.grain)},
      sql::Wire::kBinary};
  if (numbers != nullptr) {
    std::vector<std::int64_t> pages, starts;
    for (const std::int64_t number : *numbers)
      pages.push_back(number / keys_per_page(dimension, stretch.grain));
    std::ranges::sort(pages);
    pages.erase(std::ranges::unique(pages).begin(), pages.end());
    const auto count = static_cast<std::size_t>((stretch.to - stretch.from) / width(stretch.grain));
    if (pages.size() * count < kMostLookups) {
      for (std::int64_t start = stretch.from; start < stretch.to; start += width(stretch.grain))
        starts.push_back(start);
      narrow(database.dialect(), statement, starts, pages);
      return database.query_blocking(std::move(statement));
    }
  }
  statement.sql += " AND start >= ? AND start < ?";
  statement.params.emplace_back(stretch.from);
  statement.params.emplace_back(stretch.to);
  return database.query_blocking(std::move(statement));
}

/// Whole stretches that were read for their costs, by their place in the list: the sums of the
/// dearest are taken out of the same bytes.
class Kept {
 public:
  /// Keeps no more than so much of one query.
  static constexpr std::size_t kMostBytes = 64 * 1024 * 1024;

  void keep(std::size_t place, sql::Rows rows) {
    std::size_t size = 0;
    for (std::size_t row = 0; row < rows.size(); ++row) size += bytes_of(rows, row, "sums").size();
    if (bytes_ + size > kMostBytes) return;
    bytes_ += size;
    stretches_.emplace(place, std::move(rows));
  }
  const sql::Rows* find(std::size_t place) const {
    const auto found = stretches_.find(place);
    return found == stretches_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::size_t, sql::Rows> stretches_;
  std::size_t bytes_ = 0;
};

/// The dearest keys of a dimension with many, by number, and whether there are others.
struct Dearest {
  std::vector<std::int64_t> numbers;
  bool others = false;
  Kept kept;
};
Result<Dearest> find_dearest(sql::Database& database, const SumsQuery& query,
                             const std::vector<Stretch>& all) {
  std::vector<NanoUsd> costs;
  std::vector<bool> seen;
  Dearest dearest;
  for (std::size_t place = 0; place < all.size(); ++place) {
    const Stretch& stretch = all[place];
    const bool bare = stretch.grain >= Grain::kDay;
    const std::int64_t dimension = bare ? costs_of(query.by) : number_of(query.by);
    ASAHI_TRY(sql::Rows rows, read_stretch(database, query.org_id, dimension, stretch, nullptr));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::int64_t first =
          rows.integer(row, "page") * keys_per_page(dimension, stretch.grain);
      if (auto ok = add_costs(bytes_of(rows, row, "sums"), first, costs, seen); !ok)
        return std::unexpected(std::move(ok.error()));
    }
    if (!bare) dearest.kept.keep(place, std::move(rows));
  }
  for (std::size_t number = 0; number < seen.size(); ++number) {
    if (seen[number]) dearest.numbers.push_back(static_cast<std::int64_t>(number));
  }
  if (dearest.numbers.size() <= query.max_keys) return dearest;
  dearest.others = true;
  const auto cost = [&](std::int64_t number) { return costs[static_cast<std::size_t>(number)]; };
  const auto last = dearest.numbers.begin() + static_cast<std::ptrdiff_t>(query.max_keys);
  std::ranges::nth_element(dearest.numbers, last, std::greater{}, cost);
  // Of those that cost the same as the first left out, names decide.
  const NanoUsd border = cost(*last);
  std::vector<std::int64_t> equal;
  std::ranges::copy_if(dearest.numbers, std::back_inserter(equal),
                       [&](std::int64_t number) { return cost(number) == border; });
  std::erase_if(dearest.numbers, [&](std::int64_t number) { return cost(number) <= border; });
  const std::size_t room = query.max_keys - dearest.numbers.size();
  if (room > 0) {
    ASAHI_TRY(const Names names, names_of(database, query, &equal));
    std::erase_if(equal, [&](std::int64_t number) { return !names.contains(number); });
    std::ranges::sort(equal, {}, [&](std::int64_t number) { return names.at(number); });
    equal.resize(std::min(equal.size(), room));
    dearest.numbers.insert(dearest.numbers.end(), equal.begin(), equal.end());
  }
  return dearest;
}

/// What all keys together add up to, by the starts of the stretches' grains, without latencies.
Result<std::map<std::int64_t, Sums>> sum_all(sql::Database& database, const std::string& org_id,
                                             const std::vector<Stretch>& all) {
  const std::int64_t dimension = number_of(Dimension::kNone);
  std::map<std::int64_t, Sums> sums;
  for (const Stretch& stretch : all) {
    // These have no weeks: a week is its days.
    const Grain grain = std::min(stretch.grain, layout(Dimension::kNone).widest);
    ASAHI_TRY(const sql::Rows rows, read_stretch(database, org_id, dimension,
                                                 {grain, stretch.from, stretch.to}, nullptr));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_TRY(Page page, parse_page(bytes_of(rows, row, "sums"), rows.integer(row, "page")));
      for (auto& [number, one] : page) {
        one.latency = {};
        sums[rounded(rows.integer(row, "start"), stretch.grain)] += one;
      }
    }
  }
  return sums;
}

}  // namespace

Task<std::vector<Bucket>> Store::sums(SumsQuery query) const {
  auto work = [this, query = std::move(query)] { return read_sums(query, clock_.now()); };
  co_return co_await net::run_blocking(threads_, std::move(work));
}

Result<std::vector<Bucket>> Store::read_sums(const SumsQuery& query, Clock::Time now) const {
  const auto minute_of = [](Clock::Time time) { return start_of(time, Grain::kMinute); };
  const std::int64_t from = round_down(query.by, minute_of(query.from), now);
  std::int64_t to = round_down(query.by, minute_of(query.to), now);
  const Grain finest = layout(query.by).finest;
  if (to == start_of(now, finest) && query.to > Clock::Time{std::chrono::minutes(to)})
    to += width(finest);
  if (from >= to) return {};

  const std::int64_t which = number_of(query.by);
  Folded folded;
  if (layout(query.by).folded) {
    ASAHI_TRY(folded, folded_to(database_));
  }
  const std::vector<Stretch> all = stretches(query, from, to, now, folded);
  // Keys to look at; none: all.
  std::optional<std::vector<std::int64_t>> only;
  bool others = false;
  Kept kept;
  if (query.key && query.by != Dimension::kNone) {
    ASAHI_TRY(const sql::Rows rows,
              database_.query_blocking({"SELECT number FROM analytics_keys WHERE dimension = ? AND "
                                        "org_id = ? AND key = ?",
                                        {which, query.org_id, *query.key}}));
    if (rows.empty()) return {};
    only.emplace({rows.integer(0, "number")});
  } else if (layout(query.by).folded) {
    ASAHI_TRY(Dearest dearest, find_dearest(database_, query, all));
    only = std::move(dearest.numbers);
    others = dearest.others;
    kept = std::move(dearest.kept);
  }
  const std::int64_t step = query.step.count() / 60;
  const auto bucket_of = [&](std::int64_t start) {
    return step > 0 ? from + (start - from) / step * step : from;
  };
  std::vector<bool> wanted;
  if (only) {
    for (const std::int64_t number : *only) {
      const auto at = static_cast<std::size_t>(number);
      if (at >= wanted.size()) wanted.resize(at + 1);
      wanted[at] = true;
    }
  }
  std::map<std::int64_t, std::map<std::int64_t, Sums>> buckets;  // by start, by key number
  for (std::size_t place = 0; place < all.size(); ++place) {
    const Stretch& stretch = all[place];
    sql::Rows read;
    if (kept.find(place) == nullptr) {
      ASAHI_TRY(read,
                read_stretch(database_, query.org_id, which, stretch, only ? &*only : nullptr));
    }
    const sql::Rows& rows = kept.find(place) != nullptr ? *kept.find(place) : read;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_TRY(Page page,
                parse_page(bytes_of(rows, row, "sums"),
                           rows.integer(row, "page") * keys_per_page(which, stretch.grain),
                           only ? &wanted : nullptr));
      if (page.empty()) continue;
      auto& bucket = buckets[bucket_of(rows.integer(row, "start"))];
      for (auto& [number, sums] : page) bucket[number] += std::move(sums);
    }
  }

  ASAHI_TRY(Names names, names_of(database_, query, only ? &*only : nullptr));
  std::map<std::int64_t, NanoUsd> costs;
  for (const auto& [start, keys] : buckets) {
    for (const auto& [number, sums] : keys) {
      // A key that was erased meanwhile has no name.
      if (names.contains(number)) costs[number] += sums.cost;
    }
  }
  if (costs.size() > query.max_keys) {
    std::vector<std::int64_t> order;
    for (const auto& [number, cost] : costs) order.push_back(number);
    std::ranges::sort(order, [&](std::int64_t one, std::int64_t two) {
      const NanoUsd first = costs[one], second = costs[two];
      return first != second ? first > second : names[one] < names[two];
    });
    for (std::size_t i = query.max_keys; i < order.size(); ++i) names[order[i]] = kOther;
  }
  std::map<std::int64_t, std::map<std::string_view, Sums>> named;
  for (auto& [start, keys] : buckets) {
    for (auto& [number, sums] : keys) {
      if (const auto name = names.find(number); name != names.end())
        named[start][name->second] += std::move(sums);
    }
  }
  if (others) {
    // The others are too many to add up: they are all without the dearest.
    ASAHI_TRY(auto every, sum_all(database_, query.org_id, all));
    std::map<std::int64_t, Sums> rest;
    for (const auto& [start, sums] : every) rest[bucket_of(start)] += sums;
    for (auto& [start, sums] : rest) {
      for (const auto& [name, part] : named[start]) sums -= part;
      if (sums.requests > 0) named[start][kOther] += sums;
    }
  }

  std::vector<Bucket> out;
  for (auto& [start, keys] : named) {
    for (auto& [name, sums] : keys) {
      out.push_back({.start = Clock::Time{std::chrono::minutes(start)},
                     .key = std::string(name),
                     .sums = std::move(sums)});
    }
  }
  return out;
}

}  // namespace asahi::gateway::analytics
