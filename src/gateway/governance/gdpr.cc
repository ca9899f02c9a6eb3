#include "gateway/governance/gdpr.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/ids.h"
#include "gateway/analytics/rollups.h"
#include "gateway/analytics/search_index.h"
#include "gateway/batch_api/batch_store.h"
#include "gateway/governance/retention.h"
#include "gateway/traces/trace_store.h"

namespace asahi::gateway {
namespace {

constexpr std::int64_t kPage = 500;

json::value cell_json(const sql::Rows& rows, std::size_t row, const std::string& column) {
  // SQLite knows neither of these types.
  constexpr auto kBooleans = std::to_array<std::string_view>({"cache_hit", "granted", "revoked"});
  if (std::ranges::find(kBooleans, column) != kBooleans.end()) return rows.boolean(row, column);
  const sql::Value& value = rows.at(row, column);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  if (const auto* real = std::get_if<double>(&value)) return *real;
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return nullptr;
  if (column == "scopes") return parse_json(*text).value_or(json::array());
  return json::value(*text);
}

json::object row_json(const sql::Rows& rows, std::size_t row) {
  json::object out;
  for (const std::string& column : rows.columns()) out[column] = cell_json(rows, row, column);
  return out;
}

/// The members of an array, page by page.
class ArrayWriter {
 public:
  explicit ArrayWriter(http::BodyWriter& writer) : writer_(writer) {}
  void add(const json::object& item) {
    if (!first_) piece_ += ',';
    first_ = false;
    piece_ += write_json(item);
  }
  Task<void> flush(std::string_view tail = {}) {
    piece_ += tail;
    if (piece_.empty()) co_return Result<void>{};
    co_return co_await writer_.write(std::exchange(piece_, {}));
  }

 private:
  http::BodyWriter& writer_;
  std::string piece_;
  bool first_ = true;
};

/// All rows of a table about a user, oldest first.
Task<void> write_rows(sql::Database& database, std::string columns, std::string table,
                      std::string org_id, std::string user_id, http::BodyWriter& writer) {
  ArrayWriter array(writer);
  for (std::int64_t after = 0;;) {
    sql::Statement statement{fmt::format("SELECT id, {} FROM {} WHERE org_id = ? AND user_id = ? "
                                         "AND id > ? ORDER BY id LIMIT {}",
                                         columns, table, kPage),
                             {org_id, user_id, after}};
    ASAHI_CO_TRY(const sql::Rows rows, co_await database.query(std::move(statement)));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      json::object item = row_json(rows, row);
      item.erase("id");
      array.add(item);
      after = rows.integer(row, "id");
    }
    if (auto written = co_await array.flush(); !written)
      co_return std::unexpected(std::move(written.error()));
    if (static_cast<std::int64_t>(rows.size()) < kPage) co_return Result<void>{};
  }
}

/// A user's rows of `inference_events`, oldest first, page by page.
class EventsOfUser {
 public:
  EventsOfUser(sql::Database& database, std::string org_id, std::string user_id)
      : database_(database), org_id_(std::move(org_id)), user_id_(std::move(user_id)) {}

  /// Once, first. Returns `left`.
  Task<std::int64_t> find() {
    ASAHI_CO_TRY(ids_, co_await analytics::rows_of_user(database_, org_id_, user_id_));
    co_return left();
  }
  /// Rows not looked at yet, of which some may be somebody else's.
  std::int64_t left() const { return static_cast<std::int64_t>(ids_.size() - at_); }
  Task<sql::Rows> next(std::string columns) {
    const sql::Dialect dialect = database_.dialect();
    const auto some = std::span<const std::int64_t>(ids_).subspan(at_).first(
        std::min<std::size_t>(ids_.size() - at_, kPage));
    at_ += some.size();
    sql::Statement statement{
        fmt::format("SELECT {} FROM inference_events WHERE {} AND org_id = ? AND user_id = ? "
                    "ORDER BY id",
                    columns, analytics::among_ids(dialect)),
        {analytics::list_of_ids(dialect, some), org_id_, user_id_}};
    co_return co_await database_.query(std::move(statement));
  }

 private:
  sql::Database& database_;
  std::string org_id_, user_id_;
  std::vector<std::int64_t> ids_;
  std::size_t at_ = 0;
};

Task<void> write_events(sql::Database& database, std::string columns, std::string org_id,
                        std::string user_id, http::BodyWriter& writer) {
  ArrayWriter array(writer);
  EventsOfUser events(database, std::move(org_id), std::move(user_id));
  ASAHI_CO_TRY(std::int64_t left, co_await events.find());
  while (left > 0) {
    ASAHI_CO_TRY(const sql::Rows rows, co_await events.next(columns));
    left = events.left();
    for (std::size_t row = 0; row < rows.size(); ++row) array.add(row_json(rows, row));
    if (auto written = co_await array.flush(); !written)
      co_return std::unexpected(std::move(written.error()));
  }
  co_return Result<void>{};
}

Task<void> write_audit(identity::AuditLog& audit, std::string org_id, std::string user_id,
                       http::BodyWriter& writer) {
  ArrayWriter array(writer);
  for (std::int64_t offset = 0;; offset += kPage) {
    identity::AuditFilter filter;
    filter.org_id = org_id;
    filter.user_id = user_id;
    filter.limit = kPage;
    filter.offset = offset;
    ASAHI_CO_TRY(const auto entries, co_await audit.query(std::move(filter)));
    for (const identity::StoredAuditEntry& entry : entries) {
      array.add({{"entry_id", entry.entry_id},
                 {"timestamp", format_rfc3339(entry.timestamp)},
                 {"action", entry.action},
                 {"resource", entry.resource},
                 {"details", entry.details},
                 {"ip_address", entry.ip_address},
                 {"user_agent", entry.user_agent},
                 {"result", entry.result}});
    }
    if (auto written = co_await array.flush(); !written)
      co_return std::unexpected(std::move(written.error()));
    if (static_cast<std::int64_t>(entries.size()) < kPage) co_return Result<void>{};
  }
}

/// A user's paid calls, by which their cached answers are found: an answer keeps the moment, the
/// model and the cost of the call that made it, not who made it.
struct Made {
  Clock::Time at;
  std::string model;
  NanoUsd cost;
};

Task<std::vector<Made>> calls_of(sql::Database& database, std::string org_id, std::string user_id) {
  std::vector<Made> calls;
  EventsOfUser events(database, org_id, user_id);
  ASAHI_CO_TRY(std::int64_t left, co_await events.find());
  while (left > 0) {
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await events.next("timestamp, model_selected, cost, cache_hit, error_code"));
    left = events.left();
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (rows.boolean(row, "cache_hit") || !rows.is_null(row, "error_code")) continue;
      const auto at = parse_rfc3339(rows.text(row, "timestamp"));
      const auto cost = parse_nano_usd(rows.text(row, "cost"));
      if (at && cost)
        calls.push_back({.at = *at, .model = rows.text(row, "model_selected"), .cost = *cost});
    }
  }
  std::ranges::sort(calls, {}, &Made::at);
  co_return calls;
}

bool made_by(const std::vector<Made>& calls, const Answer& answer) {
  constexpr auto kApart =
      std::chrono::seconds(10);  // between pricing an answer and recording its event
  auto call = std::ranges::lower_bound(calls, answer.created - kApart, {}, &Made::at);
  for (; call != calls.end() && call->at <= answer.created + kApart; ++call) {
    if (call->model == answer.model && call->cost == answer.cost) return true;
  }
  return false;
}

}  // namespace

Task<void> export_user(GdprParts parts, std::string org_id, std::string user_id,
                       http::BodyWriter& writer) {
  ASAHI_CO_TRY(const json::value account, co_await parts.accounts.describe(org_id, user_id));
  std::string head = R"({"org_id":)";
  append_json_string(head, org_id);
  head += R"(,"user_id":)";
  append_json_string(head, user_id);
  head += R"(,"exported_at":")" + format_rfc3339(parts.clock.now()) + R"(","account":)" +
          write_json(account);
  struct Section {
    std::string_view name, table, columns;
  };
  constexpr Section kSections[] = {
      {"api_keys", "api_keys",
       "key_prefix, name, scopes, created_at, expires_at, revoked, last_used_at"},
      {"consents", "gdpr_consents",
       "consent_id, purpose, granted, source, recorded_by, recorded_at"},
      {"events", "inference_events",
       "event_id, request_id, timestamp, event_type, task_type, model_selected, provider, "
       "routing_mode, routing_reason, "
       "cache_hit, cache_tier, input_tokens, output_tokens, total_tokens, latency_ms, cost, "
       "baseline_cost, savings, "
       "quality_score, error_code, api_key_prefix"},
  };
  for (const Section& section : kSections) {
    head += fmt::format(R"(,"{}":[)", section.name);
    if (auto written = co_await writer.write(std::exchange(head, {})); !written) {
      co_return std::unexpected(std::move(written.error()));
    }
    const std::string columns(section.columns);
    Result<void> rows;
    if (section.table == "inference_events") {
      rows = co_await write_events(parts.database, columns, org_id, user_id, writer);
    } else {
      rows = co_await write_rows(parts.database, columns, std::string(section.table), org_id,
                                 user_id, writer);
    }
    if (!rows) co_return std::unexpected(std::move(rows.error()));
    head = "]";
  }
  if (auto written = co_await writer.write(head + R"(,"audit_entries":[)"); !written) {
    co_return std::unexpected(std::move(written.error()));
  }
  if (auto entries = co_await write_audit(parts.audit, org_id, user_id, writer); !entries) {
    co_return std::unexpected(std::move(entries.error()));
  }
  co_return co_await writer.write("]}");
}

Task<ErasureReport> erase_user(GdprParts parts, std::string org_id, std::string user_id) {
  ErasureReport report;
  const std::string now = format_rfc3339(parts.clock.now());
  // First the record: if the rest is cut short, the next retention run goes on from it.
  sql::Statement request{
      "INSERT INTO gdpr_erasures (org_id, user_id, requested_at) VALUES (?, ?, ?) "
      "ON CONFLICT (org_id, user_id) DO UPDATE SET requested_at = excluded.requested_at",
      {org_id, user_id, now}};
  ASAHI_CO_TRY(const sql::Rows recorded, co_await parts.database.query(std::move(request)));
  static_cast<void>(recorded);
  ASAHI_CO_TRY(auto calls, co_await calls_of(parts.database, org_id, user_id));
  if (!calls.empty()) {
    if (parts.semantic != nullptr) {
      ASAHI_CO_TRY(
          report.cache_entries,
          co_await erase_similar(*parts.semantic, org_id, [calls](const semantic::EntryRow& row) {
            const auto answer = parse_answer(row.answer);
            return !answer || made_by(calls, *answer);
          }));
    }
    ASAHI_CO_TRY(const std::int64_t exact,
                 co_await erase_answers(parts.cache, parts.store, org_id,
                                        [calls = std::move(calls)](const Answer& answer) {
                                          return made_by(calls, answer);
                                        }));
    report.cache_entries += exact;
    // A step's answer cost a part of its call, by which it cannot be found: all of them go.
    if (parts.steps != nullptr) {
      ASAHI_CO_TRY(const ExactCache::Removed removed, co_await parts.steps->clear(org_id));
      report.cache_entries += static_cast<std::int64_t>(removed.tier_1);
    }
  }
  if (parts.traces != nullptr) parts.traces->forget_user(org_id, user_id);
  ASAHI_CO_TRY(report.events, co_await delete_events_of(parts.database, org_id, user_id, now));
  ASAHI_CO_TRY(report.rollups,
               co_await analytics::erase_rollups_of(parts.database, org_id, user_id));
  auto forgotten =
      co_await analytics::erase_search_of(parts.database, org_id, user_id, parts.clock.now());
  if (!forgotten) co_return std::unexpected(std::move(forgotten.error()));
  std::vector<sql::Statement> statements;
  statements.push_back(
      {"DELETE FROM gdpr_consents WHERE org_id = ? AND user_id = ?", {org_id, user_id}});
  statements.push_back(
      {"SELECT COUNT(*) AS kept FROM audit_entries WHERE org_id = ? AND user_id = ?",
       {org_id, user_id}});
  for (sql::Statement& statement : erase_batches_of(org_id, user_id))
    statements.push_back(std::move(statement));
  ASAHI_CO_TRY(const auto rows, co_await parts.database.batch(std::move(statements)));
  report.consents = rows[0].affected();
  report.audit_entries_kept = rows[1].integer(0, "kept");
  ASAHI_CO_TRY(report.accounts, co_await parts.accounts.erase(org_id, user_id));
  co_return report;
}

json::object report_json(const ErasureReport& report) {
  return {{"events", report.events},
          {"rollups", report.rollups},
          {"cache_entries", report.cache_entries},
          {"pii",
           {{"users", report.accounts.users},
            {"api_keys", report.accounts.keys},
            {"consents", report.consents}}},
          {"audit_entries_kept", report.audit_entries_kept}};
}

Task<Consent> record_consent(GdprParts parts, Consent consent) {
  consent.recorded_at = parts.clock.now();
  consent.consent_id = entity_id("con_", consent.recorded_at);
  sql::Statement statement{
      "INSERT INTO gdpr_consents (consent_id, org_id, user_id, purpose, granted, source, "
      "recorded_by, recorded_at) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      {consent.consent_id, consent.org_id, consent.user_id, consent.purpose,
       std::int64_t{consent.granted ? 1 : 0}, consent.source, consent.recorded_by,
       format_rfc3339(consent.recorded_at)}};
  ASAHI_CO_TRY(const sql::Rows stored, co_await parts.database.query(std::move(statement)));
  static_cast<void>(stored);
  co_return consent;
}

json::object consent_json(const Consent& consent) {
  return {
      {"consent_id", consent.consent_id},   {"org_id", consent.org_id},
      {"user_id", consent.user_id},         {"purpose", consent.purpose},
      {"granted", consent.granted},         {"source", consent.source},
      {"recorded_by", consent.recorded_by}, {"recorded_at", format_rfc3339(consent.recorded_at)}};
}

}  // namespace asahi::gateway
