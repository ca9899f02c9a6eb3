#include "gateway/analytics/rollup_pages.h"

#include <algorithm>
#include <span>

#include "gateway/analytics/bulk.h"

namespace asahi::gateway::analytics {
namespace {

Page merged(Page mine, const Page& added) {
  for (const auto& [number, sums] : added) {
    const auto at =
        std::ranges::lower_bound(mine, number, {}, [](auto& entry) { return entry.first; });
    if (at != mine.end() && at->first == number) {
      at->second += sums;
    } else {
      mine.insert(at, {number, sums});
    }
  }
  return mine;
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

Result<void> write_pages(sql::Session& session, Pages& pages) {
  constexpr Column kColumns[] = {{"org_id", "varchar"}, {"dimension", "smallint"},
                                 {"grain", "smallint"}, {"start", "bigint"},
                                 {"page", "bigint"},    {"sums", "bytea"}};
  const std::span<const Column> place(kColumns, 5);
  Rows rows;
  rows.reserve(pages.size());
  for (auto& [where, page] : pages) {
    std::ranges::sort(page, {}, [](auto& entry) { return entry.first; });
    const auto& [org, dimension, grain, start, number] = where;
    rows.push_back({org, dimension, grain, start, number});
  }
  auto read = select_rows(
      session, "org_id, dimension, grain, start, page, sums", "analytics_rollups", place, rows,
      [&](const sql::Rows& found) -> Result<void> {
        for (std::size_t row = 0; row < found.size(); ++row) {
          const Where where{found.text(row, "org_id"), found.integer(row, "dimension"),
                            found.integer(row, "grain"), found.integer(row, "start"),
                            found.integer(row, "page")};
          ASAHI_TRY(Page before, parse_page(found.text(row, "sums"), first_number(where)));
          Page& now = pages[where];
          now = merged(std::move(before), now);
        }
        return {};
      });
  if (!read) return read;
  std::size_t row = 0;
  for (const auto& [where, page] : pages) {
    rows[row++].emplace_back(
        sql::Blob{encode_page(page, first_number(where), latencies_of(where))});
  }
  return insert_rows(
      session, "analytics_rollups", kColumns,
      "ON CONFLICT (org_id, dimension, grain, start, page) DO UPDATE SET sums = excluded.sums",
      std::move(rows));
}

}  // namespace asahi::gateway::analytics
