#include "gateway/analytics/rollup_pages.h"

#include <algorithm>
#include <ranges>
#include <set>
#include <span>
#include <tuple>

#include "gateway/analytics/bulk.h"
#include "storage/sql/copy_rows.h"

namespace asahi::gateway::analytics {
namespace {

/// What the table holds, by place.
using Stored = std::map<Where, std::string>;

constexpr Column kColumns[] = {{"org_id", "varchar"}, {"dimension", "smallint"},
                               {"grain", "smallint"}, {"start", "bigint"},
                               {"page", "bigint"},    {"sums", "bytea"}};
constexpr std::span<const Column> kPlace(kColumns, 5);

std::vector<sql::Value> place_of(const Where& where) {
  const auto& [org, dimension, grain, start, page] = where;
  return {org, dimension, grain, start, page};
}

/// Reads the pages that are in both a range of starts and a range of pages, and asked for.
Result<void> read_box(sql::Session& session, std::span<const Where* const> asked, Stored& out) {
  const auto& [org, dimension, grain, from, any] = *asked.front();
  const std::int64_t to = std::get<3>(*asked.back());
  const auto [least, most] = std::ranges::minmax(
      asked | std::views::transform([](const Where* where) { return std::get<4>(*where); }));
  sql::Statement statement{
      "SELECT start, page, sums FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND "
      "grain = ? AND start = ? AND page BETWEEN ? AND ?",
      {org, dimension, grain, from, least, most}};
  if (from != to) {
    statement.sql =
        "SELECT start, page, sums FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND "
        "grain = ? AND start BETWEEN ? AND ? AND page BETWEEN ? AND ?";
    statement.params.insert(statement.params.begin() + 4, to);
  }
  ASAHI_TRY(const sql::Rows rows, session.query(statement));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    Where where{org, dimension, grain, rows.integer(row, "start"), rows.integer(row, "page")};
    const bool wanted = std::ranges::binary_search(
        asked, where, {}, [](const Where* one) -> const Where& { return *one; });
    if (wanted) out.emplace(std::move(where), rows.text(row, "sums"));
  }
  return {};
}

/// Reads pages that differ in start and page only: at once what lies close together, so that
/// little comes along that nobody asked for.
Result<void> read_near(sql::Session& session, std::span<const Where* const> asked, Stored& out) {
  constexpr std::int64_t kMostGap = 4;
  constexpr std::size_t kMostUnasked = 4, kLookahead = 64;
  const std::int64_t wide = width(static_cast<Grain>(std::get<2>(*asked.front())));
  while (!asked.empty()) {
    std::size_t count = 1;
    std::int64_t least = std::get<4>(*asked.front()), most = least;
    std::size_t best = 1;
    for (; count < asked.size(); ++count) {
      const auto start_at = [&](std::size_t at) { return std::get<3>(*asked[at]); };
      if (start_at(count) - start_at(count - 1) > kMostGap * wide) break;
      least = std::min(least, std::get<4>(*asked[count]));
      most = std::max(most, std::get<4>(*asked[count]));
      const auto starts = static_cast<std::size_t>((start_at(count) - start_at(0)) / wide + 1);
      const auto box = starts * static_cast<std::size_t>(most - least + 1);
      if (box <= (count + 1) * kMostUnasked) best = count + 1;
      if (count - best > kLookahead) break;
    }
    if (auto read = read_box(session, asked.first(best), out); !read) return read;
    asked = asked.subspan(best);
  }
  return {};
}

Result<Stored> read_pages(sql::Session& session, const Pages& pages) {
  Stored stored;
  std::vector<const Where*> near;
  const auto kind = [](const Where& where) {
    return std::tie(std::get<0>(where), std::get<1>(where), std::get<2>(where));
  };
  for (const auto& [where, page] : pages) {
    if (!near.empty() && kind(*near.front()) != kind(where)) {
      if (auto read = read_near(session, near, stored); !read)
        return std::unexpected(std::move(read.error()));
      near.clear();
    }
    near.push_back(&where);
  }
  if (!near.empty()) {
    if (auto read = read_near(session, near, stored); !read)
      return std::unexpected(std::move(read.error()));
  }
  return stored;
}

}  // namespace

std::int64_t first_number(const Where& where) {
  return std::get<4>(where) *
         keys_per_page(std::get<1>(where), static_cast<Grain>(std::get<2>(where)));
}

Latencies latencies_of(const Where& where) {
  const std::int64_t dimension = std::get<1>(where);
  return dimension >= kBareCosts ? Latencies::kLeftOut
                                 : layout(static_cast<Dimension>(dimension)).latencies;
}

void put(Pages& pages, const std::string& org, Dimension dimension, Grain grain, std::int64_t start,
         std::int64_t number, Sums sums) {
  const auto wide = static_cast<std::int64_t>(grain);
  const auto page = [&](std::int64_t which) -> Page& {
    return pages[{org, which, wide, start, number / keys_per_page(which, grain)}];
  };
  if (layout(dimension).folded && grain >= Grain::kDay) {
    Sums bare;
    bare.cost = sums.cost;
    page(costs_of(dimension)).emplace_back(number, std::move(bare));
  }
  page(number_of(dimension)).emplace_back(number, std::move(sums));
}

namespace {

/// A time of an organisation, at which there may be sums.
using Moment = std::tuple<std::string_view, std::int64_t, std::int64_t>;
Moment moment_of(const Where& where) {
  return {std::get<0>(where), std::get<2>(where), std::get<3>(where)};
}
bool of_all(const Where& where) { return std::get<1>(where) == number_of(Dimension::kNone); }

Result<void> take_out(sql::Session& session, const Rows& places, Stored& out) {
  return delete_rows(session, "analytics_rollups", kPlace, "RETURNING *", places,
                     [&](const sql::Rows& found) -> Result<void> {
                       for (std::size_t row = 0; row < found.size(); ++row) {
                         out.emplace(
                             Where{found.text(row, "org_id"), found.integer(row, "dimension"),
                                   found.integer(row, "grain"), found.integer(row, "start"),
                                   found.integer(row, "page")},
                             found.text(row, "sums"));
                       }
                       return {};
                     });
}

/// Takes the pages that are in PostgreSQL's table out of it. A new version of a row is a row of its
/// own there in any case, and this way all of them come by COPY.
Result<Stored> take_out(sql::Session& session, const Pages& pages, LookUp look_up) {
  Stored stored;
  Rows of_all_keys, others;
  std::set<Moment> written, found;
  for (const auto& [where, page] : pages) {
    if (!of_all(where)) continue;
    of_all_keys.push_back(place_of(where));
    written.insert(moment_of(where));
  }
  if (auto taken = take_out(session, of_all_keys, stored); !taken)
    return std::unexpected(std::move(taken.error()));
  for (const auto& [where, sums] : stored) found.insert(moment_of(where));
  for (const auto& [where, page] : pages) {
    if (of_all(where)) continue;
    const bool likely = found.contains(moment_of(where)) || !written.contains(moment_of(where));
    if (likely || look_up == LookUp::kEvery) others.push_back(place_of(where));
  }
  if (auto taken = take_out(session, others, stored); !taken)
    return std::unexpected(std::move(taken.error()));
  return stored;
}

Result<void> copy_pages(sql::Session& session, const Pages& pages, const Stored& stored) {
  constexpr std::string_view kNames[] = {"org_id", "dimension", "grain", "start", "page", "sums"};
  constexpr std::size_t kMostBytes = 4 * 1024 * 1024;
  const auto fresh = [&] { return sql::CopyRows("analytics_rollups", kNames); };
  const auto store = [&](sql::CopyRows& rows) -> Result<void> {
    if (auto copied = sql::copy(session, rows); !copied)
      return std::unexpected(std::move(copied.error()));
    rows = fresh();
    return {};
  };
  sql::CopyRows rows = fresh();
  for (const auto& [where, page] : pages) {
    const auto before = stored.find(where);
    ASAHI_TRY(const std::string sums,
              merge_page(before == stored.end() ? std::string_view() : before->second, page,
                         first_number(where), latencies_of(where)));
    const auto& [org, dimension, grain, start, number] = where;
    rows.begin_row();
    rows.text(org);
    rows.smallint(static_cast<std::int16_t>(dimension));
    rows.smallint(static_cast<std::int16_t>(grain));
    rows.bigint(start);
    rows.bigint(number);
    rows.bytea(sums);
    if (rows.size() < kMostBytes) continue;
    if (auto copied = store(rows); !copied) return copied;
  }
  return rows.rows() > 0 ? store(rows) : Result<void>{};
}

}  // namespace

Result<void> write_pages(sql::Session& session, Pages& pages, LookUp look_up) {
  for (auto& [where, page] : pages)
    std::ranges::sort(page, {}, [](auto& entry) { return entry.first; });
  if (session.dialect() == sql::Dialect::kPostgres) {
    ASAHI_TRY(const Stored stored, take_out(session, pages, look_up));
    return copy_pages(session, pages, stored);
  }
  ASAHI_TRY(const Stored stored, read_pages(session, pages));
  Rows rows;
  rows.reserve(pages.size());
  for (const auto& [where, page] : pages) {
    const auto before = stored.find(where);
    ASAHI_TRY(std::string sums,
              merge_page(before == stored.end() ? std::string_view() : before->second, page,
                         first_number(where), latencies_of(where)));
    rows.push_back(place_of(where));
    rows.back().emplace_back(sql::Blob{std::move(sums)});
  }
  auto written = insert_rows(
      session, "analytics_rollups", kColumns,
      "ON CONFLICT (org_id, dimension, grain, start, page) DO UPDATE SET sums = excluded.sums",
      rows);
  if (!written) return std::unexpected(std::move(written.error()));
  return {};
}

}  // namespace asahi::gateway::analytics
