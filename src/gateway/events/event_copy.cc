#include "gateway/events/event_copy.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace asahi::gateway {
namespace {

constexpr std::string_view kColumns[] = {"id",
                                         "event_id",
                                         "request_id",
                                         "timestamp",
                                         "user_id",
                                         "org_id",
                                         "task_type",
                                         "model_selected",
                                         "cache_hit",
                                         "cache_tier",
                                         "input_tokens",
                                         "output_tokens",
                                         "total_tokens",
                                         "latency_ms",
                                         "cost",
                                         "routing_reason",
                                         "quality_score",
                                         "event_type",
                                         "routing_mode",
                                         "provider",
                                         "baseline_cost",
                                         "savings",
                                         "cache_similarity",
                                         "tokens_saved",
                                         "fallback_used",
                                         "error_code",
                                         "api_key_prefix",
                                         "streamed",
                                         "retries",
                                         "token_savings",
                                         "batching_savings",
                                         "hallucination",
                                         "created_at"};

constexpr int kMoneyDecimals = 9;

/// Writes one row's values by the kinds of the columns.
class RowWriter {
 public:
  explicit RowWriter(sql::CopyRows& rows) : rows_(rows) { rows_.begin_row(); }

  void text_or_null(std::string_view value) {
    if (value.empty()) {
      rows_.null();
    } else {
      rows_.text(value);
    }
  }
  void count(std::int64_t value) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    rows_.integer(static_cast<std::int32_t>(std::clamp<std::int64_t>(value, 0, kMost)));
  }
  /// NUMERIC(18,9).
  void money(NanoUsd amount) {
    constexpr std::int64_t kMost = 999'999'999'999'999'999;
    rows_.numeric(std::clamp(amount.nanos, -kMost, kMost), kMoneyDecimals);
  }
  void money_or_null(NanoUsd amount) {
    if (amount.nanos == 0) {
      rows_.null();
    } else {
      money(amount);
    }
  }
  /// A score or share with a few decimals; 0: nobody measured it. A half goes to the even digit,
  /// as in the texts that SQLite is given.
  void measure(double value, int decimals) {
    if (!(value > 0)) return rows_.null();
    long double units = value;
    for (int i = 0; i < decimals; ++i) units *= 10;
    rows_.numeric(std::llrint(units), decimals);
  }
  void time(Clock::Time time) {
    rows_.timestamptz(std::chrono::floor<std::chrono::milliseconds>(time));
  }

 private:
  sql::CopyRows& rows_;
};

}  // namespace

sql::CopyRows event_rows() { return {"inference_events", kColumns}; }

void append_row(sql::CopyRows& rows, std::int64_t id, const InferenceEvent& event,
                Clock::Time created_at) {
  RowWriter row(rows);
  rows.bigint(id);
  rows.text(event.event_id);
  rows.text(event.request_id);
  row.time(event.timestamp);
  row.text_or_null(event.user_id);
  row.text_or_null(event.org_id);
  row.text_or_null(event.task_type);
  rows.text(event.model_selected);
  rows.boolean(event.cache_hit);
  rows.smallint(static_cast<std::int16_t>(event.cache_tier));
  row.count(event.input_tokens);
  row.count(event.output_tokens);
  row.count(event.input_tokens + event.output_tokens);
  row.count(static_cast<std::int64_t>(event.latency_ms + 0.5));
  row.money(event.cost);
  row.text_or_null(event.routing_reason);
  row.measure(event.quality_score, 2);
  row.text_or_null(event.event_type);
  row.text_or_null(event.routing_mode);
  row.text_or_null(event.provider);
  row.money(event.baseline_cost);
  row.money(event.savings());
  row.measure(event.cache_similarity, 4);
  row.count(event.tokens_saved);
  rows.boolean(event.fallback_used);
  row.text_or_null(event.error_code);
  row.text_or_null(event.api_key_prefix);
  rows.boolean(event.streamed);
  rows.smallint(static_cast<std::int16_t>(event.retries));
  row.money_or_null(event.trim_savings);
  row.money_or_null(event.batching_savings);
  if (event.hallucination) {
    rows.boolean(*event.hallucination);
  } else {
    rows.null();
  }
  row.time(created_at);
}

}  // namespace asahi::gateway
