#include "gateway/alerts/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "gateway/analytics/org_days.h"

namespace asahi::gateway::alerts {
namespace {

constexpr std::string_view kPostgres = R"sql(
CREATE TABLE alerts (
  id VARCHAR(40) PRIMARY KEY,
  alert_key VARCHAR(1024) NOT NULL,
  kind VARCHAR(60) NOT NULL,
  subject VARCHAR(255) NOT NULL,
  org_id VARCHAR(255),
  node_id VARCHAR(64) NOT NULL,
  is_local BOOLEAN NOT NULL,
  severity SMALLINT NOT NULL,
  title TEXT NOT NULL,
  message TEXT NOT NULL,
  metric VARCHAR(100) NOT NULL,
  current_value DOUBLE PRECISION NOT NULL,
  expected_value DOUBLE PRECISION NOT NULL,
  occurrences BIGINT NOT NULL,
  told BOOLEAN NOT NULL,
  fired_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  resolved_at BIGINT,
  acknowledged_at BIGINT,
  acknowledged_by VARCHAR(255),
  dismissed_at BIGINT,
  dismissed_by VARCHAR(255)
);
CREATE UNIQUE INDEX idx_alerts_open ON alerts (alert_key) WHERE resolved_at IS NULL;
CREATE INDEX idx_alerts_org_id ON alerts (org_id, id);
CREATE INDEX idx_alerts_fired_at ON alerts (fired_at);
)sql";

constexpr std::string_view kSqlite = R"sql(
CREATE TABLE alerts (
  id TEXT PRIMARY KEY,
  alert_key TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  org_id TEXT,
  node_id TEXT NOT NULL,
  is_local INTEGER NOT NULL,
  severity INTEGER NOT NULL,
  title TEXT NOT NULL,
  message TEXT NOT NULL,
  metric TEXT NOT NULL,
  current_value REAL NOT NULL,
  expected_value REAL NOT NULL,
  occurrences INTEGER NOT NULL,
  told INTEGER NOT NULL,
  fired_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  resolved_at INTEGER,
  acknowledged_at INTEGER,
  acknowledged_by TEXT,
  dismissed_at INTEGER,
  dismissed_by TEXT
);
CREATE UNIQUE INDEX idx_alerts_open ON alerts (alert_key) WHERE resolved_at IS NULL;
CREATE INDEX idx_alerts_org_id ON alerts (org_id, id);
CREATE INDEX idx_alerts_fired_at ON alerts (fired_at);
)sql";

constexpr std::string_view kDown = "DROP TABLE alerts;";

std::int64_t ms_of(Clock::Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
Clock::Time time_of(std::int64_t ms) { return Clock::Time(std::chrono::milliseconds(ms)); }
sql::Value optional_ms(const std::optional<Clock::Time>& time) {
  return time ? sql::Value{ms_of(*time)} : sql::Value{};
}
sql::Value optional_text(const std::string& text) {
  return text.empty() ? sql::Value{} : sql::Value{text};
}
sql::Value flag(bool value) { return std::int64_t{value ? 1 : 0}; }

Alert alert_of(const sql::Rows& rows, std::size_t i) {
  const auto optional_time = [&](std::string_view name) -> std::optional<Clock::Time> {
    if (rows.is_null(i, name)) return std::nullopt;
    return time_of(rows.integer(i, name));
  };
  Alert alert;
  alert.id = rows.text(i, "id");
  alert.kind = rows.text(i, "kind");
  alert.subject = rows.text(i, "subject");
  alert.org_id = rows.text(i, "org_id");
  alert.node = rows.text(i, "node_id");
  alert.local = rows.boolean(i, "is_local");
  alert.severity =
      static_cast<Severity>(std::clamp<std::int64_t>(rows.integer(i, "severity"), 0, 3));
  alert.title = rows.text(i, "title");
  alert.message = rows.text(i, "message");
  alert.metric = rows.text(i, "metric");
  alert.current = rows.real(i, "current_value");
  alert.expected = rows.real(i, "expected_value");
  alert.occurrences = rows.integer(i, "occurrences");
  alert.told = rows.boolean(i, "told");
  alert.fired_at = time_of(rows.integer(i, "fired_at"));
  alert.last_seen_at = time_of(rows.integer(i, "last_seen_at"));
  alert.resolved_at = optional_time("resolved_at");
  alert.acknowledged_at = optional_time("acknowledged_at");
  alert.acknowledged_by = rows.text(i, "acknowledged_by");
  alert.dismissed_at = optional_time("dismissed_at");
  alert.dismissed_by = rows.text(i, "dismissed_by");
  return alert;
}

std::vector<Alert> alerts_of(const sql::Rows& rows) {
  std::vector<Alert> all;
  for (std::size_t i = 0; i < rows.size(); ++i) all.push_back(alert_of(rows, i));
  return all;
}

/// What a caller may see, as a condition.
std::string in_view(const View& view, std::vector<sql::Value>& params) {
  params.emplace_back(view.org_id);
  return view.installation ? "(org_id = ? OR org_id IS NULL)" : "org_id = ?";
}

}  // namespace

sql::Migration alerts_migration() {
  return {.version = 160,
          .name = "alerts",
          .up = {.sqlite = kSqlite, .postgres = kPostgres},
          .down = {.sqlite = kDown, .postgres = kDown}};
}

Task<bool> Store::insert(Alert alert) {
  const std::string key = alert.key();
  if (alert.local) {
    ASAHI_CO_TRY(
        const sql::Rows ended,
        co_await database_.query(
            {"UPDATE alerts SET resolved_at = last_seen_at WHERE alert_key = ? AND resolved_at IS "
             "NULL AND id <> ?",
             {key, alert.id}}));
    static_cast<void>(ended);
  }
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query(
          {"INSERT INTO alerts (id, alert_key, kind, subject, org_id, node_id, is_local, severity,"
           " title, message, metric, current_value, expected_value, occurrences, told, fired_at,"
           " last_seen_at, resolved_at)"
           " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
           {alert.id, key, alert.kind, alert.subject, optional_text(alert.org_id), alert.node,
            flag(alert.local), static_cast<std::int64_t>(alert.severity), alert.title,
            alert.message, alert.metric, alert.current, alert.expected, alert.occurrences,
            flag(alert.told), ms_of(alert.fired_at), ms_of(alert.last_seen_at),
            optional_ms(alert.resolved_at)}}));
  co_return rows.affected() > 0;
}

Task<void> Store::save(Alert alert) {
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query(
          {"UPDATE alerts SET severity = ?, title = ?, message = ?, current_value = ?,"
           " expected_value = ?, occurrences = ?, told = ?, last_seen_at = ?, resolved_at = ?"
           " WHERE id = ?",
           {static_cast<std::int64_t>(alert.severity), alert.title, alert.message, alert.current,
            alert.expected, alert.occurrences, flag(alert.told), ms_of(alert.last_seen_at),
            optional_ms(alert.resolved_at), alert.id}}));
  static_cast<void>(rows);
  co_return Result<void>{};
}

Task<std::vector<Alert>> Store::open_of(std::string node) {
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query(
          {"SELECT * FROM alerts WHERE node_id = ? AND resolved_at IS NULL LIMIT 1000", {node}}));
  co_return alerts_of(rows);
}

Task<AlertPage> Store::list(AlertQuery query) {
  std::vector<sql::Value> params;
  std::string where = in_view(query.view, params);
  if (query.active)
    where += *query.active ? " AND resolved_at IS NULL" : " AND resolved_at IS NOT NULL";
  if (!query.dismissed) where += " AND dismissed_at IS NULL";
  if (query.severity) {
    where += " AND severity = ?";
    params.emplace_back(static_cast<std::int64_t>(*query.severity));
  }
  if (!query.kind.empty()) {
    where += " AND kind = ?";
    params.emplace_back(query.kind);
  }
  if (!query.before.empty()) {
    where += " AND id < ?";
    params.emplace_back(query.before);
  }
  params.emplace_back(static_cast<std::int64_t>(query.limit + 1));
  // Ids begin with the time: their order is that of the alerts.
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(
                   {fmt::format("SELECT * FROM alerts WHERE {} ORDER BY id DESC LIMIT ?", where),
                    std::move(params)}));
  AlertPage page;
  page.alerts = alerts_of(rows);
  if (page.alerts.size() > query.limit) {
    page.alerts.resize(query.limit);
    page.next = page.alerts.back().id;
  }
  std::vector<sql::Value> whose;
  const std::string seen = in_view(query.view, whose);
  ASAHI_CO_TRY(const sql::Rows counts,
               co_await database_.query(
                   {fmt::format("SELECT severity, COUNT(*) AS n FROM alerts WHERE {} AND "
                                "resolved_at IS NULL AND dismissed_at IS NULL GROUP BY severity",
                                seen),
                    std::move(whose)}));
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto severity = static_cast<std::size_t>(counts.integer(i, "severity"));
    if (severity < page.active.size()) page.active[severity] = counts.integer(i, "n");
  }
  co_return page;
}

Task<Alert> Store::mark(std::string id, View view, Mark mark, std::string who, Clock::Time now) {
  const std::string_view column = mark == Mark::kAcknowledged ? "acknowledged" : "dismissed";
  std::vector<sql::Value> params{ms_of(now), who, id};
  const std::string seen = in_view(view, params);
  ASAHI_CO_TRY(const sql::Rows marked,
               co_await database_.query(
                   {fmt::format("UPDATE alerts SET {0}_at = ?, {0}_by = ? WHERE id = ? AND {1} AND "
                                "{0}_at IS NULL",
                                column, seen),
                    std::move(params)}));
  static_cast<void>(marked);
  std::vector<sql::Value> whose{id};
  const std::string readable = in_view(view, whose);
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query(
          {fmt::format("SELECT * FROM alerts WHERE id = ? AND {}", readable), std::move(whose)}));
  if (rows.empty()) {
    auto missing = fail(Errc::kNotFound, fmt::format("there is no alert '{}'", id.substr(0, 64)));
    missing.error().reason = "alert_not_found";
    co_return missing;
  }
  co_return alert_of(rows, 0);
}

Task<void> Store::tidy(Clock::Time now, Clock::Time before, Clock::Time oldest) {
  ASAHI_CO_TRY(
      const auto done,
      co_await database_.batch(
          {{"UPDATE alerts SET resolved_at = ? WHERE resolved_at IS NULL AND last_seen_at < ?",
            {ms_of(now), ms_of(before)}},
           {"DELETE FROM alerts WHERE fired_at < ?", {ms_of(oldest)}}}));
  static_cast<void>(done);
  co_return Result<void>{};
}

Task<std::vector<Store::DayCost>> Store::costs(Clock::Time from, Clock::Time to) {
  ASAHI_CO_TRY(const std::vector<analytics::OrgDay> days,
               co_await analytics::org_days(database_, analytics::Dimension::kNone, from, to));
  std::vector<DayCost> all;
  for (const analytics::OrgDay& day : days)
    all.push_back({day.org_id, format_date(day.day), day.sums.cost.dollars()});
  co_return all;
}

Task<Digest> Store::digest(Clock::Time day) {
  constexpr std::size_t kModels = 5;
  constexpr int kAlerts = 50;
  const Clock::Time end = day + std::chrono::days(1);
  ASAHI_CO_TRY(const std::vector<analytics::OrgDay> found,
               co_await analytics::org_days(database_, analytics::Dimension::kModel, day, end));
  analytics::Sums sums;
  std::map<std::string, analytics::Sums> by_model;
  for (const analytics::OrgDay& one : found) {
    sums += one.sums;
    by_model[one.key] += one.sums;
  }
  std::vector<std::pair<std::string, analytics::Sums>> models(by_model.begin(), by_model.end());
  std::ranges::sort(models, [](const auto& one, const auto& other) {
    const auto dear = [](const auto& model) {
      return std::pair(model.second.cost, model.second.requests);
    };
    return dear(one) != dear(other) ? dear(one) > dear(other) : one.first < other.first;
  });
  if (models.size() > kModels) models.resize(kModels);
  ASAHI_CO_TRY(const sql::Rows alerts,
               co_await database_.query(
                   {fmt::format("SELECT * FROM alerts WHERE (fired_at >= ? AND fired_at < ?) OR "
                                "(severity = 0 AND resolved_at IS NULL) ORDER BY id LIMIT {}",
                                kAlerts),
                    {ms_of(day), ms_of(end)}}));
  Digest digest;
  digest.day = format_date(day);
  digest.requests = sums.requests;
  digest.errors = sums.errors;
  digest.hits = sums.hits();
  digest.lookups = sums.lookups;
  digest.cost = sums.cost.dollars();
  digest.savings = sums.total_savings().dollars();
  for (const auto& [name, of_model] : models)
    digest.models.push_back({name, of_model.requests, of_model.cost.dollars()});
  digest.alerts = alerts_of(alerts);
  co_return digest;
}

}  // namespace asahi::gateway::alerts
