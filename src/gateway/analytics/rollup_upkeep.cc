#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "gateway/analytics/rollup_pages.h"
#include "gateway/analytics/rollups.h"
#include "gateway/analytics/turn.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::array kFolded = {Dimension::kUser, Dimension::kApiKey};

/// Keys folded at once: bounds the memory. A multiple of every page.
constexpr std::int64_t kKeysAtOnce = 16'384;

/// Adds up an organisation's pages of one grain into the next wider one, from `start` on for the
/// width of that.
Result<void> fold(sql::Session& session, const std::string& org, Dimension dimension, Grain from,
                  std::int64_t start) {
  const auto into = static_cast<Grain>(static_cast<int>(from) + 1);
  const std::int64_t which = number_of(dimension), each = keys_per_page(which, from);
  ASAHI_TRY(const sql::Rows last,
            session.query({"SELECT COALESCE(MAX(number), -1) AS last FROM analytics_keys WHERE "
                           "dimension = ? AND org_id = ?",
                           {which, org}}));
  for (std::int64_t first = 0; first <= last.integer(0, "last"); first += kKeysAtOnce) {
    std::map<std::int64_t, Sums> keys;
    for (std::int64_t part = start; part < start + width(into); part += width(from)) {
      ASAHI_TRY(const sql::Rows rows,
                session.query({"SELECT page, sums FROM analytics_rollups WHERE org_id = ? AND "
                               "dimension = ? AND grain = ? AND start = ? AND page >= ? AND "
                               "page < ?",
                               {org, which, static_cast<std::int64_t>(from), part, first / each,
                                (first + kKeysAtOnce) / each}}));
      for (std::size_t row = 0; row < rows.size(); ++row) {
        ASAHI_TRY(const Page page,
                  parse_page(rows.text(row, "sums"), rows.integer(row, "page") * each));
        for (const auto& [number, sums] : page) keys[number] += sums;
      }
    }
    Pages pages;
    for (auto& [number, sums] : keys)
      put(pages, org, dimension, into, start, number, std::move(sums));
    if (auto written = write_pages(session, pages); !written) return written;
  }
  return {};
}

constexpr std::string_view kOrgs = "SELECT org_id FROM analytics_keys WHERE dimension = ?";

/// Takes one key out of a page. Returns whether it was there.
Result<bool> erase_from(sql::Session& session, const Where& where, std::int64_t number) {
  const auto& [org, dimension, grain, start, page] = where;
  const std::vector<sql::Value> place{org, dimension, grain, start, page};
  constexpr std::string_view kPlace =
      "org_id = ? AND dimension = ? AND grain = ? AND start = ? AND page = ?";
  ASAHI_TRY(
      const sql::Rows stored,
      session.query({fmt::format("SELECT sums FROM analytics_rollups WHERE {}", kPlace), place}));
  if (stored.empty()) return false;
  ASAHI_TRY(Page sums, parse_page(stored.text(0, "sums"), first_number(where)));
  if (std::erase_if(sums, [&](const auto& entry) { return entry.first == number; }) == 0)
    return false;
  sql::Statement change{fmt::format("DELETE FROM analytics_rollups WHERE {}", kPlace), place};
  if (!sums.empty()) {
    change.sql = fmt::format("UPDATE analytics_rollups SET sums = ? WHERE {}", kPlace);
    change.params.insert(change.params.begin(),
                         sql::Blob{encode_page(sums, first_number(where), latencies_of(where))});
  }
  if (auto changed = session.query(change); !changed)
    return std::unexpected(std::move(changed.error()));
  return true;
}

/// Takes one key out of all pages that hold it. Returns from how many.
Result<std::int64_t> erase_key(sql::Session& session, const std::string& org, Dimension dimension,
                               const std::string& key) {
  ASAHI_TRY(const sql::Rows numbered,
            session.query({"DELETE FROM analytics_keys WHERE dimension = ? AND org_id = ? AND key "
                           "= ? RETURNING number",
                           {number_of(dimension), org, key}}));
  if (numbered.empty()) return 0;
  const std::int64_t number = numbered.integer(0, "number");
  // Whenever there was anybody, there is a sum of all: these starts are few, the users' pages many.
  ASAHI_TRY(
      const sql::Rows starts,
      session.query({"SELECT grain, start FROM analytics_rollups WHERE org_id = ? AND "
                     "dimension = ? AND grain IN (?, ?)",
                     {org, number_of(Dimension::kNone), static_cast<std::int64_t>(Grain::kHour),
                      static_cast<std::int64_t>(Grain::kDay)}}));
  std::set<std::pair<Grain, std::int64_t>> all;
  for (std::size_t row = 0; row < starts.size(); ++row) {
    const auto grain = static_cast<Grain>(starts.integer(row, "grain"));
    const std::int64_t start = starts.integer(row, "start");
    all.emplace(grain, start);
    if (grain == Grain::kDay) all.emplace(Grain::kWeek, rounded(start, Grain::kWeek));
  }
  std::int64_t erased = 0;
  for (const auto& [grain, start] : all) {
    for (const std::int64_t which : {number_of(dimension), costs_of(dimension)}) {
      if (which >= kBareCosts && grain < Grain::kDay) continue;
      ASAHI_TRY(const bool was_there, erase_from(session,
                                                 {org, which, static_cast<std::int64_t>(grain),
                                                  start, number / keys_per_page(which, grain)},
                                                 number));
      if (was_there && which == number_of(dimension)) ++erased;
    }
  }
  return erased;
}

}  // namespace

Result<bool> RollupWriter::fold_day(sql::Database& database) {
  // A little later than midnight: what is under way then would come late.
  constexpr std::chrono::minutes kPatience{10};
  const std::int64_t today = start_of(clock_.now() - kPatience, Grain::kDay);
  if (folded_day_ >= today) return false;
  std::int64_t next = today;
  auto done = database.transaction_blocking([&](sql::Session& session) -> Result<void> {
    next = today;
    if (auto begun = begin(session); !begun) return begun;
    if (folded_day_ >= today) return {};
    ASAHI_TRY(const sql::Rows orgs,
              session.query({std::string(kOrgs), {number_of(Dimension::kNone)}}));
    next = folded_day_ + width(Grain::kDay);
    const bool week_over = rounded(next, Grain::kWeek) == next;
    for (std::size_t row = 0; row < orgs.size(); ++row) {
      const std::string org = orgs.text(row, "org_id");
      for (const Dimension dimension : kFolded) {
        if (auto ok = fold(session, org, dimension, Grain::kHour, folded_day_); !ok) return ok;
        if (!week_over) continue;
        const std::int64_t week = next - width(Grain::kWeek);
        if (auto ok = fold(session, org, dimension, Grain::kDay, week); !ok) return ok;
      }
    }
    auto moved =
        session.query({"UPDATE analytics_state SET value = CASE name WHEN 'folded_day' "
                       "THEN CAST(? AS BIGINT) ELSE CAST(? AS BIGINT) END WHERE name IN "
                       "('folded_day', 'folded_week')",
                       {next, week_over ? next : folded_week_}});
    if (!moved) return std::unexpected(std::move(moved.error()));
    return {};
  });
  if (!done) {
    folded_day_ = 0;
    return std::unexpected(std::move(done.error()));
  }
  committed();
  folded_day_ = std::max(folded_day_, next);
  return folded_day_ < today;
}

Result<void> RollupWriter::prune(sql::Database& database) {
  const Clock::Time now = clock_.now();
  ASAHI_TRY(const sql::Rows orgs,
            database.query_blocking({std::string(kOrgs), {number_of(Dimension::kNone)}}));
  for (std::size_t row = 0; row < orgs.size(); ++row) {
    for (const Dimension dimension : kDimensions) {
      for (const Grain grain : {Grain::kMinute, Grain::kHour}) {
        if (grain < layout(dimension).finest) continue;
        // Hours that no day holds yet stay in any case.
        auto gone = database.query_blocking(
            {fmt::format("DELETE FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND "
                         "grain = ? AND start < ?{}",
                         layout(dimension).folded
                             ? " AND start < (SELECT COALESCE(MAX(value), 0) FROM "
                               "analytics_state WHERE name = 'folded_day')"
                             : ""),
             {orgs.text(row, "org_id"), number_of(dimension), static_cast<std::int64_t>(grain),
              kept_from(dimension, grain, now)}});
        if (!gone) return std::unexpected(std::move(gone.error()));
      }
    }
  }
  return {};
}

Task<void> expire_rollups(sql::Database& database, std::string org_id, Clock::Time cutoff) {
  std::vector<std::int64_t> dimensions;
  for (const Dimension dimension : kDimensions) {
    dimensions.push_back(number_of(dimension));
    if (layout(dimension).folded) dimensions.push_back(costs_of(dimension));
  }
  for (const std::int64_t dimension : dimensions) {
    for (const Grain grain : kGrains) {
      sql::Statement statement{
          "DELETE FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND grain = ? AND "
          "start < ?",
          {org_id, dimension, static_cast<std::int64_t>(grain), start_of(cutoff, grain)}};
      ASAHI_CO_TRY([[maybe_unused]] const sql::Rows gone,
                   co_await database.query(std::move(statement)));
    }
  }
  co_return Result<void>{};
}

Task<std::int64_t> erase_rollups_of(sql::Database& database, std::string org_id,
                                    std::string user_id) {
  auto erased = std::make_shared<std::int64_t>(0);
  auto body = [org_id, user_id, erased](sql::Session& session) -> Result<void> {
    *erased = 0;
    if (auto turn = take_turn(session); !turn) return turn;
    ASAHI_TRY(*erased, erase_key(session, org_id, Dimension::kUser, user_id));
    ASAHI_TRY(const sql::Rows keys,
              session.query({"SELECT key_prefix FROM api_keys WHERE org_id = ? AND user_id = ?",
                             {org_id, user_id}}));
    for (std::size_t row = 0; row < keys.size(); ++row) {
      ASAHI_TRY(const std::int64_t of_key,
                erase_key(session, org_id, Dimension::kApiKey, keys.text(row, "key_prefix")));
      *erased += of_key;
    }
    auto told = session.query(
        {"UPDATE analytics_state SET value = value + 1 WHERE name = 'keys_version'", {}});
    if (!told) return std::unexpected(std::move(told.error()));
    return {};
  };
  if (auto done = co_await database.transaction(std::move(body)); !done)
    co_return std::unexpected(std::move(done.error()));
  co_return *erased;
}

}  // namespace asahi::gateway::analytics
