#include "memory/alerts/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "base/json.h"

namespace asahi::memory {
namespace {

constexpr std::string_view kUpSqlite = R"sql(
CREATE TABLE memory_alert_thresholds (
  tenant TEXT NOT NULL,
  alert_type TEXT NOT NULL,
  threshold REAL,
  changed_at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, alert_type)
);
CREATE TABLE memory_webhooks (
  tenant TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  url TEXT NOT NULL,
  alert_types TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (tenant, webhook_id),
  UNIQUE (tenant, url)
);
CREATE TABLE memory_alerts (
  tenant TEXT NOT NULL,
  place TEXT NOT NULL,
  alert_id TEXT NOT NULL,
  alert_type TEXT NOT NULL,
  severity TEXT NOT NULL,
  body TEXT NOT NULL,
  told INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, place)
);
CREATE INDEX memory_alerts_by_id ON memory_alerts (tenant, alert_id);
CREATE INDEX memory_alerts_by_time ON memory_alerts (at_ms);
)sql";

constexpr std::string_view kUpPostgres = R"sql(
CREATE TABLE memory_alert_thresholds (
  tenant TEXT NOT NULL,
  alert_type TEXT NOT NULL,
  threshold DOUBLE PRECISION,
  changed_at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant, alert_type)
);
CREATE TABLE memory_webhooks (
  tenant TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  url TEXT NOT NULL,
  alert_types TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (tenant, webhook_id),
  UNIQUE (tenant, url)
);
CREATE TABLE memory_alerts (
  tenant TEXT NOT NULL,
  place TEXT NOT NULL,
  alert_id TEXT NOT NULL,
  alert_type TEXT NOT NULL,
  severity TEXT NOT NULL,
  body TEXT NOT NULL,
  told SMALLINT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant, place)
);
CREATE INDEX memory_alerts_by_id ON memory_alerts (tenant, alert_id);
CREATE INDEX memory_alerts_by_time ON memory_alerts (at_ms);
)sql";

constexpr std::string_view kDown =
    "DROP TABLE memory_alerts; DROP TABLE memory_webhooks; DROP TABLE memory_alert_thresholds;";

std::int64_t ms_of(Clock::Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string types_text(const std::vector<series::AlertType>& types) {
  std::string text;
  for (const series::AlertType type : types) {
    if (!text.empty()) text += ',';
    text += series::to_string(type);
  }
  return text;
}

std::vector<series::AlertType> types_of(std::string_view text) {
  std::vector<series::AlertType> types;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (const auto type = series::alert_type_from(text.substr(0, comma))) types.push_back(*type);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return types;
}

}  // namespace

bool Webhook::wants(series::AlertType type) const {
  return types.empty() || std::ranges::find(types, type) != types.end();
}

std::string_view told_name(Told told) {
  switch (told) {
    case Told::kNobody:
      return "nobody";
    case Told::kUnderWay:
      return "under_way";
    case Told::kDelivered:
      return "delivered";
    case Told::kFailed:
      return "failed";
  }
  return "nobody";
}

sql::Migration alert_migration() {
  return {.version = 325,
          .name = "memory_alerts",
          .up = {.sqlite = kUpSqlite, .postgres = kUpPostgres},
          .down = {.sqlite = kDown, .postgres = kDown}};
}

Task<Thresholds> AlertStore::thresholds(std::string tenant) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(
                   {"SELECT alert_type, threshold FROM memory_alert_thresholds WHERE tenant = ?",
                    {tenant}}));
  Thresholds all = series::AlertConfig::defaults();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto type = series::alert_type_from(rows.text(i, "alert_type"));
    if (!type) continue;
    auto& one = all[static_cast<std::size_t>(*type)];
    one.reset();
    if (!rows.is_null(i, "threshold")) one = rows.real(i, "threshold");
  }
  co_return all;
}

Task<void> AlertStore::set_thresholds(std::string tenant, std::vector<Change> changes,
                                      Clock::Time now) {
  std::vector<sql::Statement> statements;
  for (const Change& change : changes) {
    statements.push_back(
        {"INSERT INTO memory_alert_thresholds (tenant, alert_type, threshold, changed_at_ms) "
         "VALUES (?, ?, ?, ?) ON CONFLICT (tenant, alert_type) DO UPDATE SET "
         "threshold = excluded.threshold, changed_at_ms = excluded.changed_at_ms",
         {tenant, std::string(series::to_string(change.type)),
          change.threshold ? sql::Value{*change.threshold} : sql::Value{}, ms_of(now)}});
  }
  ASAHI_CO_TRY([[maybe_unused]] const auto done, co_await database_.batch(std::move(statements)));
  co_return Result<void>{};
}

Task<std::vector<Webhook>> AlertStore::webhooks(std::string tenant) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query({"SELECT * FROM memory_webhooks WHERE tenant = ? "
                                         "ORDER BY created_at_ms, webhook_id",
                                         {tenant}}));
  std::vector<Webhook> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    all.push_back(
        {.id = rows.text(i, "webhook_id"),
         .url = rows.text(i, "url"),
         .types = types_of(rows.text(i, "alert_types")),
         .created_at = Clock::Time(std::chrono::milliseconds(rows.integer(i, "created_at_ms"))),
         .created_by = rows.text(i, "created_by")});
  }
  co_return all;
}

Task<void> AlertStore::add_webhook(std::string tenant, Webhook webhook) {
  ASAHI_CO_TRY(
      const sql::Rows added,
      co_await database_.query(
          {fmt::format("INSERT INTO memory_webhooks (tenant, webhook_id, url, alert_types, "
                       "created_at_ms, created_by) SELECT ?, ?, ?, ?, CAST(? AS BIGINT), ? WHERE "
                       "(SELECT COUNT(*) FROM memory_webhooks WHERE tenant = ?) < {} "
                       "ON CONFLICT (tenant, url) DO NOTHING",
                       kMostWebhooks),
           {tenant, webhook.id, webhook.url, types_text(webhook.types), ms_of(webhook.created_at),
            webhook.created_by, tenant}}));
  if (added.affected() > 0) co_return Result<void>{};
  co_return fail(Errc::kConflict,
                 fmt::format("this URL is told already, or there are {} webhooks: remove one first",
                             kMostWebhooks));
}

Task<bool> AlertStore::remove_webhook(std::string tenant, std::string id) {
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query(
          {"DELETE FROM memory_webhooks WHERE tenant = ? AND webhook_id = ?", {tenant, id}}));
  co_return rows.affected() > 0;
}

Task<void> AlertStore::add(std::vector<Row> rows) {
  std::vector<sql::Statement> statements;
  for (const Row& row : rows) {
    statements.push_back(
        {"INSERT INTO memory_alerts (tenant, place, alert_id, alert_type, severity, body, told, "
         "at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
         {row.tenant, make_ulid(row.alert.at), row.alert.id,
          std::string(series::to_string(row.alert.type)),
          std::string(series::to_string(row.alert.severity)), row.alert.json(),
          static_cast<std::int64_t>(row.told), ms_of(row.alert.at)}});
  }
  ASAHI_CO_TRY([[maybe_unused]] const auto done, co_await database_.batch(std::move(statements)));
  co_return Result<void>{};
}

Task<void> AlertStore::set_told(std::string tenant, std::string alert_id, Told told) {
  ASAHI_CO_TRY([[maybe_unused]] const sql::Rows rows,
               co_await database_.query(
                   {"UPDATE memory_alerts SET told = ? WHERE tenant = ? AND alert_id = ?",
                    {static_cast<std::int64_t>(told), tenant, alert_id}}));
  co_return Result<void>{};
}

Task<std::vector<PastAlert>> AlertStore::list(AlertQuery query) {
  std::string where = "tenant = ?";
  std::vector<sql::Value> params{query.tenant};
  const auto also = [&](std::string_view condition, std::string value) {
    where += fmt::format(" AND {} ?", condition);
    params.emplace_back(std::move(value));
  };
  if (query.type) also("alert_type =", std::string(series::to_string(*query.type)));
  if (query.severity) also("severity =", std::string(series::to_string(*query.severity)));
  if (!query.before.empty()) also("place <", query.before);
  params.emplace_back(static_cast<std::int64_t>(query.limit));
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query({fmt::format("SELECT place, body, told FROM memory_alerts "
                                                     "WHERE {} ORDER BY place DESC LIMIT ?",
                                                     where),
                                         std::move(params)}));
  std::vector<PastAlert> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    all.push_back(
        {.place = rows.text(i, "place"),
         .body = rows.text(i, "body"),
         .told = static_cast<Told>(std::clamp<std::int64_t>(rows.integer(i, "told"), 0, 3))});
  }
  co_return all;
}

Task<std::uint64_t> AlertStore::sweep(Clock::Time before) {
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query({"DELETE FROM memory_alerts WHERE at_ms < ?", {ms_of(before)}}));
  co_return static_cast<std::uint64_t>(rows.affected());
}

}  // namespace asahi::memory
