#include "memory/knowledge/series_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/ids.h"
#include "memory/knowledge/graph_rows.h"

namespace asahi::memory::knowledge {

namespace {

using series::Bucket;
using series::Point;
using series::Resolution;
using std::chrono::milliseconds;

constexpr auto kDerived = std::to_array<std::string_view>(
    {"active_systems", "bytes", "conversation_count", "duplicates", "mean_vector_norm"});
constexpr std::int64_t kExpiredAtOnce = 5'000;

std::int64_t to_ms(series::Time time) {
  return std::chrono::floor<milliseconds>(time).time_since_epoch().count();
}
series::Time from_ms(std::int64_t ms) { return series::Time(milliseconds(ms)); }
std::int64_t width_ms(Resolution resolution) {
  return std::chrono::duration_cast<milliseconds>(series::width(resolution)).count();
}

std::unexpected<Error> too_many(std::size_t most) {
  return fail(Errc::kTooLarge,
              fmt::format("there are more than {} values in that time; name a system_id, or a "
                          "shorter time",
                          most));
}

/// The condition that bounds rows to some systems; empty: to none.
std::string among(const std::optional<std::vector<std::string>>& systems,
                  std::vector<sql::Value>& params) {
  if (!systems) return {};
  if (systems->empty()) return " AND 1 = 0";
  std::string sql = " AND system_id IN (?";
  for (std::size_t i = 1; i < systems->size(); ++i) sql += ", ?";
  params.insert(params.end(), systems->begin(), systems->end());
  return sql + ')';
}

/// A statement with the filter of a system where one is named.
sql::Statement select(std::string sql, std::vector<sql::Value> params, const SeriesQuery& query,
                      std::string_view order, std::size_t most) {
  if (!query.system_id.empty()) {
    sql += " AND system_id = ?";
    params.emplace_back(query.system_id);
  }
  sql += among(query.systems, params);
  sql += fmt::format(" ORDER BY {} LIMIT ?", order);
  params.emplace_back(static_cast<std::int64_t>(most));
  return {std::move(sql), std::move(params)};
}

}  // namespace

bool is_derived_metric(std::string_view name) { return std::ranges::binary_search(kDerived, name); }

SeriesStore::SeriesStore(sql::Database& db, const Clock& clock, Options options)
    : db_(db), clock_(clock), options_(options) {}

Result<void> SeriesStore::add(const std::string& tenant, const std::vector<NewPoint>& points) {
  const series::Time now = clock_.now();
  BulkInsert raw(
      "INSERT INTO memory_metric_points (tenant, metric, at_ms, row_id, system_id, value,"
      " metadata)",
      "", 7);
  std::map<std::string, std::vector<Point>> by_metric;
  for (const NewPoint& each : points) {
    const Point& point = each.point;
    if (point.at >= options_.kept.cutoff(Resolution::kRaw, now)) {
      raw.add({tenant, each.metric, to_ms(point.at), random_id("", 16), point.system_id,
               point.value, point.metadata});
    }
    by_metric[each.metric].push_back(point);
  }
  // One row a statement at most once: parts of one bucket are added up here first.
  BulkInsert rollups(
      "INSERT INTO memory_metric_rollups (tenant, metric, width_ms, at_ms, system_id, total, least,"
      " most, points)",
      "ON CONFLICT (tenant, metric, width_ms, at_ms, system_id) DO UPDATE SET"
      " total = memory_metric_rollups.total + excluded.total,"
      " least = CASE WHEN excluded.least < memory_metric_rollups.least THEN excluded.least"
      " ELSE memory_metric_rollups.least END,"
      " most = CASE WHEN excluded.most > memory_metric_rollups.most THEN excluded.most"
      " ELSE memory_metric_rollups.most END,"
      " points = memory_metric_rollups.points + excluded.points",
      9);
  for (const auto& [metric, list] : by_metric) {
    for (const Resolution resolution : {Resolution::kFiveMinutes, Resolution::kHour}) {
      for (const Bucket& bucket : series::rolled(std::span(list), series::width(resolution))) {
        if (bucket.at < options_.kept.cutoff(resolution, now)) continue;
        rollups.add({tenant, metric, width_ms(resolution), to_ms(bucket.at), bucket.system_id,
                     bucket.sum, bucket.min, bucket.max, static_cast<std::int64_t>(bucket.count)});
      }
    }
  }
  std::vector<sql::Statement> statements;
  raw.take(statements);
  rollups.take(statements);
  return db_.transaction_blocking([&](sql::Session& session) -> Result<void> {
    for (const sql::Statement& statement : statements) {
      if (auto ok = session.query(statement); !ok) return std::unexpected(ok.error());
    }
    return {};
  });
}

std::vector<sql::Statement> SeriesStore::count(const std::string& tenant, const Hours& hours) {
  BulkInsert rows(
      "INSERT INTO memory_system_hours (tenant, at_ms, system_id, conversations, bytes, duplicates,"
      " vectors, norms)",
      "ON CONFLICT (tenant, at_ms, system_id) DO UPDATE SET"
      " conversations = memory_system_hours.conversations + excluded.conversations,"
      " bytes = memory_system_hours.bytes + excluded.bytes,"
      " duplicates = memory_system_hours.duplicates + excluded.duplicates,"
      " vectors = memory_system_hours.vectors + excluded.vectors,"
      " norms = memory_system_hours.norms + excluded.norms",
      8);
  const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  for (const auto& [key, hour] : hours) {
    rows.add({tenant, to_ms(key.first), key.second, number(hour.conversations), number(hour.bytes),
              number(hour.duplicates), number(hour.vectors), hour.norms});
  }
  std::vector<sql::Statement> out;
  rows.take(out);
  return out;
}

Result<std::vector<MetricName>> SeriesStore::metrics(
    const std::string& tenant, series::Time since,
    const std::optional<std::vector<std::string>>& systems) {
  std::vector<MetricName> out;
  std::vector<sql::Value> of_sent{tenant, width_ms(Resolution::kHour),
                                  to_ms(std::chrono::floor<std::chrono::hours>(since))};
  const std::string some = among(systems, of_sent);
  ASAHI_TRY(const sql::Rows sent,
            db_.query_blocking(
                {"SELECT metric, CAST(SUM(points) AS BIGINT) AS points, MIN(at_ms) AS first_ms,"
                 " MAX(at_ms) AS last_ms FROM memory_metric_rollups WHERE tenant = ? AND width_ms"
                 " = ? AND at_ms >= ?" +
                     some + " GROUP BY metric ORDER BY metric LIMIT 10000",
                 std::move(of_sent)}));
  for (std::size_t i = 0; i < sent.size(); ++i) {
    out.push_back({.name = sent.text(i, "metric"),
                   .points = static_cast<std::uint64_t>(sent.integer(i, "points")),
                   .first = from_ms(sent.integer(i, "first_ms")),
                   .last = from_ms(sent.integer(i, "last_ms"))});
  }
  std::vector<sql::Value> of_counted{tenant, to_ms(since)};
  among(systems, of_counted);
  ASAHI_TRY(const sql::Rows counted,
            db_.query_blocking({"SELECT COUNT(*) AS points, COUNT(DISTINCT at_ms) AS hours,"
                                " MIN(at_ms) AS first_ms, MAX(at_ms) AS last_ms"
                                " FROM memory_system_hours WHERE tenant = ? AND at_ms >= ?" +
                                    some,
                                std::move(of_counted)}));
  if (counted.integer(0, "points") > 0) {
    for (const std::string_view name : kDerived) {
      const bool of_all = name == "active_systems";
      out.push_back(
          {.name = std::string(name),
           .points = static_cast<std::uint64_t>(counted.integer(0, of_all ? "hours" : "points")),
           .first = from_ms(counted.integer(0, "first_ms")),
           .last = from_ms(counted.integer(0, "last_ms")),
           .derived = true});
    }
  }
  std::ranges::sort(out, {}, &MetricName::name);
  return out;
}

Result<SeriesFound> SeriesStore::read_counted(const std::string& tenant, const SeriesQuery& query) {
  const bool of_all = query.metric == "active_systems";
  SeriesFound out{.resolution = Resolution::kHour};
  if (of_all && !query.system_id.empty()) return out;
  ASAHI_TRY(
      const sql::Rows rows,
      db_.query_blocking(select(
          "SELECT at_ms, system_id, conversations, bytes, duplicates,"
          " vectors, norms FROM memory_system_hours"
          " WHERE tenant = ? AND at_ms >= ? AND at_ms < ?",
          {tenant, to_ms(std::chrono::floor<std::chrono::hours>(query.from)), to_ms(query.to)},
          query, "at_ms, system_id", options_.most_read + 1)));
  if (rows.size() > options_.most_read) return too_many(options_.most_read);
  Hours hours;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto number = [&](std::string_view column) {
      return static_cast<std::uint64_t>(rows.integer(i, column));
    };
    hours[{from_ms(rows.integer(i, "at_ms")), rows.text(i, "system_id")}] = {
        .conversations = number("conversations"),
        .bytes = number("bytes"),
        .duplicates = number("duplicates"),
        .vectors = number("vectors"),
        .norms = rows.real(i, "norms")};
  }
  for (series::Measured& each : series::measured(hours)) {
    if (each.metric != query.metric) continue;
    const double value = each.point.value;
    out.buckets.push_back({each.point.at, each.point.system_id, value, value, value, 1});
    out.points.push_back(std::move(each.point));
  }
  return out;
}

Result<std::optional<std::vector<Point>>> SeriesStore::read_raw(const std::string& tenant,
                                                                const SeriesQuery& query,
                                                                std::size_t most) {
  ASAHI_TRY(
      const sql::Rows rows,
      db_.query_blocking(select("SELECT at_ms, system_id, value, metadata FROM memory_metric_points"
                                " WHERE tenant = ? AND metric = ? AND at_ms >= ? AND at_ms < ?",
                                {tenant, query.metric, to_ms(query.from), to_ms(query.to)}, query,
                                "at_ms, row_id", most + 1)));
  if (rows.size() > most) return std::nullopt;
  std::vector<Point> out;
  out.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.push_back({from_ms(rows.integer(i, "at_ms")), rows.real(i, "value"),
                   rows.text(i, "system_id"), rows.text(i, "metadata")});
  }
  return out;
}

Result<SeriesFound> SeriesStore::read(const std::string& tenant, const SeriesQuery& query,
                                      std::optional<Resolution> at_least) {
  if (is_derived_metric(query.metric)) return read_counted(tenant, query);
  Resolution resolution =
      std::max(at_least.value_or(Resolution::kRaw), series::resolution_for(query.to - query.from));
  const series::Time now = clock_.now();
  SeriesFound out;
  if (!at_least || *at_least == Resolution::kRaw) {
    const bool kept =
        query.from >= options_.kept.cutoff(Resolution::kRaw, now) - std::chrono::minutes{1};
    if (kept) {
      const std::size_t most =
          resolution == Resolution::kRaw ? options_.most_read : options_.most_raw;
      ASAHI_TRY(auto points, read_raw(tenant, query, most));
      if (points) {
        out.points = std::move(*points);
        return out;
      }
    }
    resolution = std::max(resolution, Resolution::kFiveMinutes);
  }
  if (query.from < options_.kept.cutoff(Resolution::kFiveMinutes, now))
    resolution = Resolution::kHour;
  const auto width = series::width(resolution);
  const series::Time first = query.from - query.from.time_since_epoch() % width;
  ASAHI_TRY(const sql::Rows rows,
            db_.query_blocking(select(
                "SELECT at_ms, system_id, total, least, most, points FROM memory_metric_rollups"
                " WHERE tenant = ? AND metric = ? AND width_ms = ? AND at_ms >= ? AND at_ms < ?",
                {tenant, query.metric, width_ms(resolution), to_ms(first), to_ms(query.to)}, query,
                "at_ms, system_id", options_.most_read + 1)));
  if (rows.size() > options_.most_read) return too_many(options_.most_read);
  out.resolution = resolution;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.buckets.push_back({from_ms(rows.integer(i, "at_ms")), rows.text(i, "system_id"),
                           rows.real(i, "total"), rows.real(i, "least"), rows.real(i, "most"),
                           static_cast<std::uint64_t>(rows.integer(i, "points"))});
  }
  out.points = series::points_of(out.buckets);
  return out;
}

Result<std::size_t> SeriesStore::expire() {
  const series::Time now = clock_.now();
  std::size_t gone = 0;
  const auto run = [&](std::string_view table, std::string_view key, std::string_view old,
                       std::vector<sql::Value> params) -> Result<void> {
    params.emplace_back(kExpiredAtOnce);
    ASAHI_TRY(const sql::Rows done,
              db_.query_blocking({fmt::format("DELETE FROM {0} WHERE ({1}) IN (SELECT {1} FROM {0}"
                                              " WHERE {2} LIMIT ?)",
                                              table, key, old),
                                  std::move(params)}));
    gone += static_cast<std::size_t>(done.affected());
    return {};
  };
  if (auto ok = run("memory_metric_points", "tenant, metric, at_ms, row_id", "at_ms < ?",
                    {to_ms(options_.kept.cutoff(Resolution::kRaw, now))});
      !ok)
    return std::unexpected(ok.error());
  for (const Resolution resolution : {Resolution::kFiveMinutes, Resolution::kHour}) {
    if (auto ok = run("memory_metric_rollups", "tenant, metric, width_ms, at_ms, system_id",
                      "width_ms = ? AND at_ms < ?",
                      {width_ms(resolution), to_ms(options_.kept.cutoff(resolution, now))});
        !ok)
      return std::unexpected(ok.error());
  }
  if (auto ok = run("memory_system_hours", "tenant, at_ms, system_id", "at_ms < ?",
                    {to_ms(options_.kept.cutoff(Resolution::kHour, now))});
      !ok)
    return std::unexpected(ok.error());
  return gone;
}

}  // namespace asahi::memory::knowledge
