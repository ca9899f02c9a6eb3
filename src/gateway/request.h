#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"
#include "base/secret.h"
#include "gateway/routing/route.h"
#include "llm/message.h"

namespace asahi::gateway {

/// What a caller may ask of the gateway itself, in any API shape (spec §2.1, §2.2).
struct RequestOptions {
  RoutingMode mode = RoutingMode::kAutopilot;
  std::string model;  ///< explicit mode
  std::optional<QualityPreference> quality_preference;
  std::optional<LatencyPreference> latency_preference;
  std::optional<double> quality_threshold;  ///< 0–5
  std::optional<int> latency_budget_ms;     ///< 50–30,000
  std::optional<NanoUsd> cost_budget;
  std::string task_type;  ///< hint; skips detection
  std::string task_id;    ///< opaque
  std::string user_id;
  std::string organization_id;
  std::string document_id;
  std::string agent_id;    ///< whose record the multi-factor strategy heeds
  std::string request_id;  ///< idempotency; see GW-007
  std::vector<std::string> fallback_models;
  bool allow_fallback = false;  ///< explicit mode: another model may stand in
  bool bypass_cache = false;
  bool optimize_tokens = true;  ///< false: the prompt goes out as it came
  bool allow_batching = true;
  bool semantic_cache = true;    ///< false: tier 2 neither answers nor learns
  std::string cost_sensitivity;  ///< high, medium, low: how early tier 2 answers; empty: settings
  std::optional<bool> enrich_with_features;  ///< empty: where the task is one that gains by it
  Secret provider_api_key;
};

/// Reads the gateway's own fields from a request body of any shape. `body` is the whole object;
/// fields of other meaning are not looked at. `default_mode`: of requests that name none
/// (`routing.default_mode`). Errors: invalid_argument with the field.
Result<RequestOptions> read_options(const json::object& body,
                                    RoutingMode default_mode = RoutingMode::kAutopilot);

/// The routing mode that a `model` field asks for (spec §2.2): missing, "asahi", "auto" → the
/// default mode, which `options` holds already; "asahi-guided" → guided; anything else → explicit.
/// An explicit `routing_mode` in the body wins.
void apply_model_field(RequestOptions& options, std::string_view model, bool mode_given);

/// POST /infer: the body as a model call. Checks every field of spec §2.1; unknown fields are
/// refused.
struct NativeRequest {
  llm::ChatRequest chat;
  RequestOptions options;
};
Result<NativeRequest> read_native(std::shared_ptr<const JsonDocument> body,
                                  RoutingMode default_mode = RoutingMode::kAutopilot,
                                  std::int64_t max_prompt_chars = 100'000);

/// Takes NUL and the C0 controls except tab, newline and carriage return out of every text the
/// model would see (GW-048). True when something was taken out.
bool strip_control_characters(llm::ChatRequest& request);

}  // namespace asahi::gateway
