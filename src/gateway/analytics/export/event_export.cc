#include "gateway/analytics/export/event_export.h"

#include <fmt/format.h>

#include "base/json_out.h"
#include "gateway/events/event.h"
#include "net/blocking.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::string_view kColumns =
    "id, timestamp, request_id, event_type, org_id, user_id, task_type, model_selected, provider, "
    "routing_mode, cache_hit, cache_tier, input_tokens, output_tokens, latency_ms, cost, "
    "baseline_cost, savings, fallback_used, streamed, error_code, event_id, api_key_prefix, "
    "routing_reason, cache_similarity, tokens_saved, quality_score, retries";

bool fits(const ExportQuery& query, const sql::Rows& rows, std::size_t row) {
  const auto same = [&](const std::string& wanted, std::string_view column) {
    return wanted.empty() || rows.text(row, column) == wanted;
  };
  return same(query.model, "model_selected") && same(query.task_type, "task_type") &&
         same(query.user_id, "user_id") && same(query.api_key_prefix, "api_key_prefix") &&
         same(query.provider, "provider") && same(query.error_code, "error_code") &&
         (!query.cache_hit || rows.boolean(row, "cache_hit") == *query.cache_hit) &&
         (!query.failed || rows.text(row, "error_code").empty() != *query.failed) &&
         (!query.cache_tier || rows.integer(row, "cache_tier") == *query.cache_tier);
}

/// As csv_header() of gateway/events/event.h says. Amounts of money stay the decimals they are.
void append_csv_row(std::string& out, const sql::Rows& rows, std::size_t row) {
  for (const std::string_view column :
       {"timestamp", "request_id", "event_type", "org_id", "user_id", "task_type", "model_selected",
        "provider", "routing_mode"}) {
    append_csv_field(out, rows.text(row, column));
    out += ',';
  }
  fmt::format_to(std::back_inserter(out), "{},{},{},{},{},{},{},{},{},{},",
                 rows.boolean(row, "cache_hit"), rows.integer(row, "cache_tier"),
                 rows.integer(row, "input_tokens"), rows.integer(row, "output_tokens"),
                 rows.integer(row, "latency_ms"), rows.text(row, "cost"),
                 rows.text(row, "baseline_cost"), rows.text(row, "savings"),
                 rows.boolean(row, "fallback_used"), rows.boolean(row, "streamed"));
  append_csv_field(out, rows.text(row, "error_code"));
  out += "\r\n";
}

/// With the names of the event log, so that what reads one reads the other.
void append_json_row(std::string& out, const sql::Rows& rows, std::size_t row) {
  std::string line;
  JsonOut json(line);
  json.open_object();
  const auto text = [&](std::string_view name, std::string_view column) {
    if (!rows.is_null(row, column)) json.member(name, rows.text(row, column));
  };
  const auto raw = [&](std::string_view name, std::string_view column) {
    if (!rows.is_null(row, column)) json.key(name).raw(rows.text(row, column));
  };
  const auto count = [&](std::string_view name, std::string_view column) {
    json.member(name, rows.integer(row, column));
  };
  const auto flag = [&](std::string_view name, std::string_view column) {
    json.member(name, rows.boolean(row, column));
  };
  text("event_id", "event_id");
  text("timestamp", "timestamp");
  text("event_type", "event_type");
  text("request_id", "request_id");
  text("org_id", "org_id");
  text("user_id", "user_id");
  text("api_key_prefix", "api_key_prefix");
  text("task_type", "task_type");
  text("model_used", "model_selected");
  text("provider", "provider");
  text("routing_mode", "routing_mode");
  text("routing_reason", "routing_reason");
  flag("cache_hit", "cache_hit");
  count("cache_tier", "cache_tier");
  raw("cache_similarity", "cache_similarity");
  count("input_tokens", "input_tokens");
  count("output_tokens", "output_tokens");
  count("tokens_saved", "tokens_saved");
  count("latency_ms", "latency_ms");
  raw("cost", "cost");
  raw("baseline_cost", "baseline_cost");
  raw("savings", "savings");
  raw("quality_score", "quality_score");
  flag("fallback_used", "fallback_used");
  flag("streamed", "streamed");
  count("retry", "retries");
  text("error", "error_code");
  json.close_object();
  out += line;
  out += '\n';
}

struct Cursor {
  std::string timestamp;
  std::int64_t id = 0;
};

sql::Statement page(const ExportQuery& query, const std::optional<Cursor>& after) {
  std::string where = "org_id = ?";
  std::vector<sql::Value> params{query.org_id};
  if (after) {
    // The first condition is the index's, the second leaves out what was written already.
    where += " AND timestamp >= ? AND (timestamp > ? OR id > ?)";
    params.insert(params.end(), {after->timestamp, after->timestamp, after->id});
  } else if (query.from) {
    where += " AND timestamp >= ?";
    params.emplace_back(format_rfc3339(*query.from));
  }
  if (query.to) {
    where += " AND timestamp < ?";
    params.emplace_back(format_rfc3339(*query.to));
  }
  return {fmt::format("SELECT {} FROM inference_events WHERE {} ORDER BY timestamp, id LIMIT {}",
                      kColumns, where, kExportPage),
          std::move(params)};
}

}  // namespace

Task<void> export_events(sql::Database& database, boost::asio::thread_pool& text, ExportQuery query,
                         http::BodyWriter& writer, std::function<bool()> gone) {
  const auto asked = std::make_shared<const ExportQuery>(std::move(query));
  if (asked->format == ExportFormat::kCsv) {
    if (auto written = co_await writer.write(csv_header()); !written) co_return written;
  }
  std::optional<Cursor> after;
  for (;;) {
    ASAHI_CO_TRY(sql::Rows rows, co_await database.query(page(*asked, after)));
    const bool last = static_cast<std::int64_t>(rows.size()) < kExportPage;
    if (!rows.empty()) {
      after = Cursor{rows.text(rows.size() - 1, "timestamp"), rows.integer(rows.size() - 1, "id")};
    }
    auto work = [asked, rows = std::move(rows)] {
      std::string out;
      for (std::size_t row = 0; row < rows.size(); ++row) {
        if (!fits(*asked, rows, row)) continue;
        if (asked->format == ExportFormat::kCsv) {
          append_csv_row(out, rows, row);
        } else {
          append_json_row(out, rows, row);
        }
      }
      return out;
    };
    std::string out = co_await net::run_blocking(text, std::move(work));
    if (gone && gone()) co_return fail(Errc::kCancelled, "the client has gone");
    if (!out.empty()) {
      if (auto written = co_await writer.write(std::move(out)); !written) co_return written;
    }
    if (last) co_return Result<void>{};
  }
}

}  // namespace asahi::gateway::analytics
