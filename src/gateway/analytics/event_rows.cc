#include "gateway/analytics/event_rows.h"

namespace asahi::gateway::analytics {

Result<InferenceEvent> event_of(const sql::Rows& rows, std::size_t row) {
  InferenceEvent event;
  event.event_id = rows.text(row, "event_id");
  event.request_id = rows.text(row, "request_id");
  ASAHI_TRY(event.timestamp, parse_rfc3339(rows.text(row, "timestamp")));
  event.user_id = rows.text(row, "user_id");
  event.org_id = rows.text(row, "org_id");
  event.task_type = rows.text(row, "task_type");
  event.model_selected = rows.text(row, "model_selected");
  event.cache_hit = rows.boolean(row, "cache_hit");
  event.cache_tier = static_cast<int>(rows.integer(row, "cache_tier"));
  event.input_tokens = rows.integer(row, "input_tokens");
  event.output_tokens = rows.integer(row, "output_tokens");
  event.latency_ms = rows.real(row, "latency_ms");
  event.routing_reason = rows.text(row, "routing_reason");
  event.quality_score = rows.real(row, "quality_score");
  event.event_type = rows.text(row, "event_type");
  event.routing_mode = rows.text(row, "routing_mode");
  event.provider = rows.text(row, "provider");
  event.cache_similarity = rows.real(row, "cache_similarity");
  event.tokens_saved = rows.integer(row, "tokens_saved");
  event.fallback_used = rows.boolean(row, "fallback_used");
  event.error_code = rows.text(row, "error_code");
  event.api_key_prefix = rows.text(row, "api_key_prefix");
  if (!rows.is_null(row, "hallucination")) event.hallucination = rows.boolean(row, "hallucination");
  event.streamed = rows.boolean(row, "streamed");
  event.retries = static_cast<int>(rows.integer(row, "retries"));
  ASAHI_TRY(event.cost, parse_nano_usd(rows.text(row, "cost")));
  ASAHI_TRY(event.baseline_cost, parse_nano_usd(rows.text(row, "baseline_cost")));
  if (!rows.is_null(row, "token_savings")) {
    ASAHI_TRY(event.trim_savings, parse_nano_usd(rows.text(row, "token_savings")));
  }
  if (!rows.is_null(row, "batching_savings")) {
    ASAHI_TRY(event.batching_savings, parse_nano_usd(rows.text(row, "batching_savings")));
  }
  return event;
}

std::string_view bytes_of(const sql::Rows& rows, std::size_t row, std::string_view column) {
  const auto* blob = std::get_if<sql::Blob>(&rows.at(row, column));
  return blob == nullptr ? std::string_view() : std::string_view(blob->bytes);
}

}  // namespace asahi::gateway::analytics
