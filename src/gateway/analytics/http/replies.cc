#include "gateway/analytics/http/replies.h"

#include <fmt/format.h>

#include "gateway/analytics/compute/rounding.h"

namespace asahi::gateway::analytics {
namespace {

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

}  // namespace

json::object window_json(const Window& window) {
  return {{"period", text_or_null(window.period)},
          {"from", format_rfc3339(window.from)},
          {"to", format_rfc3339(window.to)}};
}

json::object percentiles_json(const Percentiles& of) {
  return {{"count", of.count}, {"mean", of.mean}, {"p50", of.p50}, {"p75", of.p75},
          {"p90", of.p90},     {"p95", of.p95},   {"p99", of.p99}};
}

json::object cache_json(const Sums& sums, const TiersOn& on) {
  const CacheFigures figures = cache_figures(sums, on);
  json::object out{{"requests", sums.requests},
                   {"lookups", figures.lookups},
                   {"hits", figures.hits},
                   {"misses", figures.misses},
                   {"overall_hit_rate", figures.hit_rate}};
  for (std::size_t tier = 1; tier < figures.tiers.size(); ++tier) {
    const TierFigures& one = figures.tiers[tier];
    out[fmt::format("tier_{}", tier)] = {{"enabled", one.enabled},
                                         {"hits", one.hits},
                                         {"misses", one.misses},
                                         {"hit_rate", one.hit_rate},
                                         {"avg_latency_ms", one.avg_latency_ms},
                                         {"cost_saved", shown_dollars(one.saved)}};
  }
  out["cost_saved"] = shown_dollars(figures.saved);
  out["tokens_saved"] = sums.tokens_saved;
  out["avg_hit_latency_ms"] = figures.avg_hit_ms;
  out["avg_miss_latency_ms"] = figures.avg_miss_ms;
  return out;
}

json::object event_json(const InferenceEvent& event) {
  const auto positive = [](double value, int digits) {
    return value > 0 ? json::value(rounded(value, digits)) : json::value(nullptr);
  };
  return {{"event_id", event.event_id},
          {"request_id", event.request_id},
          {"timestamp", format_rfc3339(event.timestamp)},
          {"event_type", event.event_type},
          {"user_id", text_or_null(event.user_id)},
          {"api_key_prefix", text_or_null(event.api_key_prefix)},
          {"task_type", text_or_null(event.task_type)},
          {"model_used", event.model_selected},
          {"provider", text_or_null(event.provider)},
          {"routing_mode", text_or_null(event.routing_mode)},
          {"routing_reason", text_or_null(event.routing_reason)},
          {"cache_hit", event.cache_hit},
          {"cache_tier", event.cache_tier},
          {"cache_similarity", positive(event.cache_similarity, 4)},
          {"input_tokens", event.input_tokens},
          {"output_tokens", event.output_tokens},
          {"total_tokens", event.input_tokens + event.output_tokens},
          {"tokens_saved", event.tokens_saved},
          {"latency_ms", rounded(event.latency_ms, 3)},
          {"cost", shown_dollars(event.cost)},
          {"baseline_cost", shown_dollars(event.baseline_cost)},
          {"savings", shown_dollars(event.savings())},
          {"quality_score", positive(event.quality_score, 2)},
          {"fallback_used", event.fallback_used},
          {"streamed", event.streamed},
          {"retries", event.retries},
          {"error", text_or_null(event.error_code)}};
}

http::Response data_reply(json::value data, json::object beside) {
  json::object body{{"data", std::move(data)}};
  for (auto& member : beside) body[member.key()] = std::move(member.value());
  http::Response response = http::Response::json(200, write_json(body));
  response.headers.add("Cache-Control", "no-store");
  return response;
}

}  // namespace asahi::gateway::analytics
