#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/money.h"
#include "base/result.h"

namespace asahi::gateway {

struct CallTrace;

/// What one request cost and why: one line of the daily JSONL, one row of `inference_events`.
struct InferenceEvent {
  std::string event_id;  ///< ULID
  std::string request_id;
  std::string event_type = "inference";  ///< "inference", "embedding", "error"
  Clock::Time timestamp{};
  std::string org_id, user_id, api_key_prefix;
  std::string task_type;
  std::string task_id;
  std::string model_selected, provider;
  std::string routing_mode, routing_reason;
  bool cache_hit = false;
  int cache_tier = 0;  ///< 0: miss
  double cache_similarity = 0;
  /// Tokens consumed now: zero on a hit.
  std::int64_t input_tokens = 0, output_tokens = 0;
  std::int64_t cached_input_tokens = 0, reasoning_tokens = 0;
  /// Tokens of the answer given, hit or not: what the baseline is computed from (spec R60).
  std::int64_t answer_input_tokens = 0, answer_output_tokens = 0;
  std::int64_t tokens_saved = 0;  ///< by a cache hit, or by trimming the prompt
  NanoUsd trim_savings;           ///< what the trimmed tokens would have cost
  /// Input tokens as counted before the call, 0 where that says nothing; not in the JSON.
  std::int64_t counted_input_tokens = 0;
  double latency_ms = 0;
  double lookup_ms = 0;  ///< time in the cache tiers
  /// Of it, in each tier (index 1 to 3); below 0: the tier was not asked. Not in the JSON.
  std::array<double, 4> tier_ms{-1, -1, -1, -1};
  double vendor_ms = 0;  ///< time waiting for vendors
  NanoUsd cost, baseline_cost;
  NanoUsd batching_savings;  ///< of the savings, what sharing the vendor call brought
  double quality_score = 0;  ///< 0 when unknown
  /// The answer shows signs of invention (gateway/quality); unset: nobody looked.
  std::optional<bool> hallucination;
  bool fallback_used = false;
  bool streamed = false;
  std::string error_code;  ///< empty: answered
  int retries = 0;
  std::string route;  ///< pattern of the HTTP route
  int http_status = 200;
  /// Trace id in two halves, both 0: none. Not read back from JSON.
  std::uint64_t trace_high = 0, trace_low = 0;
  /// Where the time went, for whoever watches; null: nobody does. Not in the JSON.
  std::shared_ptr<const CallTrace> trace;

  NanoUsd savings() const { return baseline_cost - cost; }
  /// The tier that answered, 1 to 3; 0: none.
  int hit_tier() const { return cache_hit && cache_tier >= 1 && cache_tier <= 3 ? cache_tier : 0; }
};

/// One JSON object, no newline: the line of the daily JSONL and the message of event streams.
void append_json(std::string& out, const InferenceEvent& event);
/// Reads what `append_json` wrote, also lines of older versions that lack fields.
/// Errors: corrupt.
Result<InferenceEvent> event_from_json(std::string_view line);
/// The header line and one row of the CSV export (RFC 4180).
std::string csv_header();
void append_csv(std::string& out, const InferenceEvent& event);
/// One field, quoted where it must be, and where a spreadsheet would take it for a formula.
void append_csv_field(std::string& out, std::string_view text);

}  // namespace asahi::gateway
