#pragma once

#include <string_view>

#include "gateway/events/event.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// The columns of `inference_events` that make an event, and `id`. Latencies are whole
/// milliseconds; what the table does not hold (vendor_ms, route …) stays empty.
inline constexpr std::string_view kEventColumns =
    "id, event_id, request_id, timestamp, user_id, org_id, task_type, model_selected, cache_hit, "
    "cache_tier, input_tokens, output_tokens, latency_ms, cost, routing_reason, quality_score, "
    "event_type, routing_mode, provider, baseline_cost, cache_similarity, tokens_saved, "
    "fallback_used, error_code, api_key_prefix, streamed, retries, token_savings, "
    "batching_savings, hallucination";
/// Errors: corrupt.
Result<InferenceEvent> event_of(const sql::Rows& rows, std::size_t row);

/// A column of bytes where it stands, as long as the rows live.
std::string_view bytes_of(const sql::Rows& rows, std::size_t row, std::string_view column);

}  // namespace asahi::gateway::analytics
