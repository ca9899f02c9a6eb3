#include "gateway/analytics/org_days.h"

#include <map>
#include <utility>

#include "gateway/analytics/rollup_cells.h"

namespace asahi::gateway::analytics {

Task<std::vector<OrgDay>> org_days(sql::Database& database, Dimension by, Clock::Time from,
                                   Clock::Time to) {
  const std::int64_t which = number_of(by);
  ASAHI_CO_TRY(
      const sql::Rows keys,
      co_await database.query(
          {"SELECT org_id, number, key FROM analytics_keys WHERE dimension = ?", {which}}));
  std::map<std::pair<std::string, std::int64_t>, std::string> names;
  for (std::size_t row = 0; row < keys.size(); ++row)
    names.emplace(std::pair(keys.text(row, "org_id"), keys.integer(row, "number")),
                  keys.text(row, "key"));
  // Every organisation has one key of kNone; each leads to its rows by the primary key.
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database.query(
          {"SELECT days.org_id, days.start, days.page, days.sums FROM analytics_keys AS orgs CROSS "
           "JOIN analytics_rollups AS days WHERE orgs.dimension = ? AND days.org_id = orgs.org_id "
           "AND days.dimension = ? AND days.grain = ? AND days.start >= ? AND days.start < ?",
           {number_of(Dimension::kNone), which, static_cast<std::int64_t>(Grain::kDay),
            start_of(from, Grain::kMinute), start_of(to, Grain::kMinute)}}));
  std::vector<OrgDay> days;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::string org = rows.text(row, "org_id");
    ASAHI_CO_TRY(Page page,
                 parse_page(rows.text(row, "sums"),
                            rows.integer(row, "page") * keys_per_page(which, Grain::kDay)));
    for (auto& [number, sums] : page) {
      const auto name = names.find({org, number});
      if (name == names.end()) continue;
      sums.latency = {};
      days.push_back({.org_id = org,
                      .key = name->second,
                      .day = Clock::Time{std::chrono::minutes(rows.integer(row, "start"))},
                      .sums = std::move(sums)});
    }
  }
  co_return days;
}

}  // namespace asahi::gateway::analytics
