#include "memory/access/hits.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::memory {
namespace {

/// Three to five parameters each.
constexpr std::size_t kRowsOfStatement = 300;

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_hits (
  tenant TEXT NOT NULL,
  system_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  hits BIGINT NOT NULL,
  PRIMARY KEY (tenant, system_id, conversation_id, day)
);
CREATE INDEX memory_hits_day ON memory_hits (day);
CREATE TABLE memory_kept_hot (
  tenant TEXT NOT NULL,
  system_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  kept_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant, system_id, conversation_id)
);
CREATE TABLE memory_hits_counted (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  since_day BIGINT NOT NULL,
  last_day BIGINT NOT NULL
);
)sql";
constexpr std::string_view kDown =
    "DROP TABLE memory_hits_counted; DROP TABLE memory_kept_hot; DROP TABLE memory_hits;";

void append(std::vector<sql::Value>& params, const Key& key) {
  params.insert(params.end(), {key.tenant, key.system_id, key.conversation_id});
}

/// "(VALUES (?, ?, ?), …)" for some keys from `at` on, whose parts are added to `params`.
std::string values_of(const std::vector<Key>& keys, std::size_t at,
                      std::vector<sql::Value>& params) {
  std::string out = "(VALUES ";
  const std::size_t end = std::min(at + kRowsOfStatement, keys.size());
  for (std::size_t i = at; i < end; ++i) {
    out += i == at ? "(?, ?, ?)" : ", (?, ?, ?)";
    append(params, keys[i]);
  }
  return out + ")";
}

Key key_at(const sql::Rows& rows, std::size_t row) {
  return {rows.text(row, "tenant"), rows.text(row, "system_id"), rows.text(row, "conversation_id")};
}

}  // namespace

std::int64_t day_of(Clock::Time time) {
  return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count();
}

Task<void> Hits::add(std::vector<std::pair<Key, std::uint64_t>> hits, std::int64_t day) {
  for (std::size_t at = 0; at < hits.size(); at += kRowsOfStatement) {
    std::string values;
    std::vector<sql::Value> params;
    for (std::size_t i = at; i < std::min(at + kRowsOfStatement, hits.size()); ++i) {
      values += values.empty() ? "(?, ?, ?, ?, ?)" : ", (?, ?, ?, ?, ?)";
      append(params, hits[i].first);
      params.insert(params.end(), {day, static_cast<std::int64_t>(hits[i].second)});
    }
    ASAHI_CO_TRY([[maybe_unused]] const auto done,
                 co_await database_.query(
                     {"INSERT INTO memory_hits (tenant, system_id, conversation_id, day, hits)"
                      " VALUES " +
                          values +
                          " ON CONFLICT (tenant, system_id, conversation_id, day) DO UPDATE SET"
                          " hits = memory_hits.hits + excluded.hits",
                      std::move(params)}));
  }
  co_return Result<void>{};
}

Task<std::map<Key, std::uint64_t>> Hits::of(std::vector<Key> keys, std::int64_t from_day) {
  std::map<Key, std::uint64_t> out;
  for (std::size_t at = 0; at < keys.size(); at += kRowsOfStatement) {
    std::vector<sql::Value> params{from_day};
    const std::string values = values_of(keys, at, params);
    ASAHI_CO_TRY(
        const sql::Rows rows,
        co_await database_.query(
            {"SELECT tenant, system_id, conversation_id, CAST(SUM(hits) AS BIGINT) AS hits FROM"
             " memory_hits WHERE day >= ? AND (tenant, system_id, conversation_id) IN " +
                 values + " GROUP BY tenant, system_id, conversation_id",
             std::move(params)}));
    for (std::size_t i = 0; i < rows.size(); ++i)
      out[key_at(rows, i)] = static_cast<std::uint64_t>(rows.integer(i, "hits"));
  }
  co_return out;
}

Task<std::vector<Key>> Hits::frequent(std::uint64_t at_least, std::int64_t from_day,
                                      std::optional<Key> after, std::size_t limit) {
  std::vector<sql::Value> params{from_day};
  if (after) append(params, *after);
  params.insert(params.end(),
                {static_cast<std::int64_t>(at_least), static_cast<std::int64_t>(limit)});
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query(
          {fmt::format("SELECT tenant, system_id, conversation_id FROM memory_hits WHERE"
                       " day >= ?{} GROUP BY tenant, system_id, conversation_id HAVING"
                       " SUM(hits) >= ? ORDER BY tenant, system_id, conversation_id"
                       " LIMIT ?",
                       after ? " AND (tenant, system_id, conversation_id) > (?, ?, ?)" : ""),
           std::move(params)}));
  std::vector<Key> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(key_at(rows, i));
  co_return out;
}

Task<void> Hits::keep(std::vector<Key> keys, Clock::Time now) {
  const std::int64_t ms =
      std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
  // One statement takes a key once.
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (std::size_t at = 0; at < keys.size(); at += kRowsOfStatement) {
    std::string values;
    std::vector<sql::Value> params;
    for (std::size_t i = at; i < std::min(at + kRowsOfStatement, keys.size()); ++i) {
      values += values.empty() ? "(?, ?, ?, ?)" : ", (?, ?, ?, ?)";
      append(params, keys[i]);
      params.emplace_back(ms);
    }
    ASAHI_CO_TRY([[maybe_unused]] const auto done,
                 co_await database_.query(
                     {"INSERT INTO memory_kept_hot (tenant, system_id, conversation_id, kept_at_ms)"
                      " VALUES " +
                          values + " ON CONFLICT (tenant, system_id, conversation_id) DO NOTHING",
                      std::move(params)}));
  }
  co_return Result<void>{};
}

Task<std::set<Key>> Hits::kept(std::vector<Key> keys) {
  std::set<Key> out;
  for (std::size_t at = 0; at < keys.size(); at += kRowsOfStatement) {
    std::vector<sql::Value> params;
    const std::string values = values_of(keys, at, params);
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await database_.query(
                     {"SELECT tenant, system_id, conversation_id FROM memory_kept_hot WHERE"
                      " (tenant, system_id, conversation_id) IN " +
                          values,
                      std::move(params)}));
    for (std::size_t i = 0; i < rows.size(); ++i) out.insert(key_at(rows, i));
  }
  co_return out;
}

Task<void> Hits::counting(std::int64_t day) {
  ASAHI_CO_TRY([[maybe_unused]] const auto done,
               co_await database_.query(
                   {"INSERT INTO memory_hits_counted (one, since_day, last_day) VALUES (1, ?, ?)"
                    " ON CONFLICT (one) DO UPDATE SET since_day = CASE WHEN"
                    " memory_hits_counted.last_day >= excluded.last_day - 1 THEN"
                    " memory_hits_counted.since_day ELSE excluded.since_day END,"
                    " last_day = excluded.last_day",
                    {day, day}}));
  co_return Result<void>{};
}

Task<std::optional<std::int64_t>> Hits::counted_since(std::int64_t today) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(
                   {"SELECT since_day FROM memory_hits_counted WHERE last_day >= ?", {today - 1}}));
  if (rows.empty()) co_return std::optional<std::int64_t>{};
  co_return std::optional(rows.integer(0, "since_day"));
}

Task<void> Hits::prune(std::int64_t from_day, std::uint64_t at_least) {
  ASAHI_CO_TRY([[maybe_unused]] const auto old,
               co_await database_.query({"DELETE FROM memory_hits WHERE day < ?", {from_day}}));
  ASAHI_CO_TRY([[maybe_unused]] const auto cold,
               co_await database_.query(
                   {"DELETE FROM memory_kept_hot WHERE (SELECT COALESCE(SUM(h.hits), 0) FROM"
                    " memory_hits h WHERE h.tenant = memory_kept_hot.tenant AND"
                    " h.system_id = memory_kept_hot.system_id AND"
                    " h.conversation_id = memory_kept_hot.conversation_id) < ?",
                    {static_cast<std::int64_t>(at_least)}}));
  co_return Result<void>{};
}

Task<void> Hits::forget(Key key) {
  std::vector<sql::Statement> statements;
  for (const std::string_view table : {"memory_hits", "memory_kept_hot"}) {
    statements.push_back({fmt::format("DELETE FROM {} WHERE tenant = ? AND system_id = ? AND"
                                      " conversation_id = ?",
                                      table),
                          {key.tenant, key.system_id, key.conversation_id}});
  }
  ASAHI_CO_TRY([[maybe_unused]] const auto done, co_await database_.batch(std::move(statements)));
  co_return Result<void>{};
}

Task<void> Hits::forget_system(std::string tenant, std::string system_id) {
  std::vector<sql::Statement> statements;
  for (const std::string_view table : {"memory_hits", "memory_kept_hot"}) {
    statements.push_back({fmt::format("DELETE FROM {} WHERE tenant = ? AND system_id = ?", table),
                          {tenant, system_id}});
  }
  ASAHI_CO_TRY([[maybe_unused]] const auto done, co_await database_.batch(std::move(statements)));
  co_return Result<void>{};
}

std::vector<sql::Migration> hit_migrations() {
  return {{.version = 341,
           .name = "memory_hits",
           .up = {.sqlite = kUp, .postgres = kUp},
           .down = {.sqlite = kDown, .postgres = kDown}}};
}

}  // namespace asahi::memory
