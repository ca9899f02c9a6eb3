#pragma once
// Events and minutes for tests of analytics.

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "gateway/analytics/store.h"
#include "gateway/events/event.h"

namespace asahi::gateway::analytics::testing {

inline Clock::Time at(std::string_view text) { return parse_rfc3339(text).value(); }

/// An answered request: a miss on gpt-4o that cost a cent and would have cost three.
inline InferenceEvent answered(Clock::Time when, double dollars = 0.01) {
  InferenceEvent event;
  event.timestamp = when;
  event.org_id = "acme";
  event.model_selected = "gpt-4o";
  event.provider = "openai";
  event.task_type = "faq";
  event.routing_mode = "autopilot";
  event.input_tokens = event.answer_input_tokens = 100;
  event.output_tokens = event.answer_output_tokens = 50;
  event.latency_ms = 800;
  event.cost = nano_usd_from_dollars(dollars);
  event.baseline_cost = nano_usd_from_dollars(3 * dollars);
  event.quality_score = 4.5;
  return event;
}
inline InferenceEvent hit(Clock::Time when, int tier = 1) {
  InferenceEvent event = answered(when);
  event.cache_hit = true;
  event.cache_tier = tier;
  event.input_tokens = event.output_tokens = 0;
  event.tokens_saved = 150;
  event.cost = {};
  event.latency_ms = 2;
  return event;
}
inline InferenceEvent failed(Clock::Time when, std::string code = "service_unavailable") {
  InferenceEvent event = answered(when, 0);
  event.event_type = "error";
  event.error_code = std::move(code);
  event.quality_score = 0;
  return event;
}

inline Sums sums_of(const std::vector<InferenceEvent>& events) {
  Sums sums;
  for (const InferenceEvent& event : events) sums.add(event);
  return sums;
}

}  // namespace asahi::gateway::analytics::testing
