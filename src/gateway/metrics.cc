#include "gateway/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include "gateway/analytics/sums.h"

namespace asahi::gateway {
namespace {

const std::vector<double> kRequestSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                             0.5,   1,    2.5,   5,    10};
const std::vector<double> kMilliseconds = {5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000};
const std::vector<double> kLookupSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1};
const std::vector<double> kTokens = {10, 50, 100, 500, 1000, 5000, 10000};
constexpr std::size_t kMostTenants = 200;

telemetry::Counter& savings(telemetry::Registry& registry, std::string phase) {
  return registry.counter("asahi_savings_dollars_total", "Money saved against the baseline model",
                          {{"phase", std::move(phase)}});
}

/// Codes of requests that governance turned down.
constexpr std::array<std::string_view, 6> kDenials{
    "model_blocked",          "compliance_violation",      "budget_exceeded",
    "request_limit_exceeded", "prompt_injection_detected", "forbidden"};

telemetry::Counter& denials(telemetry::Registry& registry, std::string_view reason) {
  return registry.counter("asahi_policy_denials_total", "Requests that a rule turned down",
                          {{"reason", std::string(reason)}});
}

}  // namespace

EventMetrics::EventMetrics(telemetry::Registry& registry)
    : registry_(registry),
      tokens_in_(registry.histogram("asahi_token_count", "Tokens of one request", kTokens,
                                    {{"direction", "input"}})),
      tokens_out_(registry.histogram("asahi_token_count", "Tokens of one request", kTokens,
                                     {{"direction", "output"}})),
      trim_savings_(savings(registry, "tokens")),
      batching_savings_(savings(registry, "batching")) {
  // Series that alerts look at exist from the start: an absent series and a zero are different
  // things to Prometheus.
  for (std::size_t i = 1; i < tiers_.size(); ++i) {
    const telemetry::Labels tier{{"tier", std::to_string(i)}};
    tiers_[i] = {
        .hits = &registry.counter("asahi_cache_hits_total", "Requests answered from a cache tier",
                                  tier),
        .misses = &registry.counter("asahi_cache_misses_total",
                                    "Lookups that a cache tier could not answer", tier),
        .hit_rate = &registry.gauge("asahi_cache_hit_rate",
                                    "Share of a tier's lookups answered since start", tier),
        .lookup = &registry.histogram("asahi_cache_lookup_latency_seconds",
                                      "Time of one cache lookup", kLookupSeconds, tier)};
    savings(registry, fmt::format("cache_t{}", i));
  }
  savings(registry, "routing");
  for (const std::string_view reason : kDenials) denials(registry, reason);
}

EventMetrics::Series& EventMetrics::series(const InferenceEvent& event) {
  const bool failed = !event.error_code.empty();
  std::string key =
      fmt::format("{}\x1f{}\x1f{}\x1f{}\x1f{}\x1f{}", event.model_selected, event.task_type,
                  event.cache_tier, failed, event.org_id, event.route);
  const auto found = series_.find(key);
  if (found != series_.end()) return found->second;
  // Bounded like the registry itself: with ever new labels the map starts over, the registry folds
  // them into "other".
  if (series_.size() > 4'096) series_.clear();
  const std::string tier = std::to_string(event.cache_tier);
  const std::string& model = event.model_selected;
  Series made{};
  made.requests = &registry_.counter("asahi_requests_total", "Model calls answered or failed",
                                     {{"model", model},
                                      {"task_type", event.task_type},
                                      {"cache_tier", tier},
                                      {"status", failed ? "error" : "success"}});
  made.cost =
      &registry_.counter("asahi_cost_dollars_total", "Money paid to vendors", {{"model", model}});
  const telemetry::Labels org{{"org_id", tenant(event.org_id)}};
  made.tenant_requests =
      &registry_.counter("asahi_tenant_requests_total", "Model calls per organisation", org);
  made.tenant_cost = &registry_.counter("asahi_tenant_cost_dollars_total",
                                        "Money paid to vendors per organisation", org);
  made.latency_ms =
      &registry_.histogram("asahi_latency_ms", "Time of one model call in milliseconds",
                           kMilliseconds, {{"model", model}, {"cache_tier", tier}});
  made.latency_seconds =
      &registry_.histogram("asahi_request_latency_seconds", "Time of one request", kRequestSeconds,
                           {{"route", event.route}, {"cache_tier", tier}});
  made.model_latency =
      &registry_.histogram("asahi_model_latency_seconds", "Time spent in vendor calls",
                           kRequestSeconds, {{"model", model}});
  made.savings =
      &savings(registry_, event.cache_hit ? fmt::format("cache_t{}", event.cache_tier) : "routing");
  made.quality = &registry_.gauge(
      "asahi_quality_score", "Profile quality of the model that answered last", {{"model", model}});
  return series_.emplace(std::move(key), made).first->second;
}

const std::string& EventMetrics::tenant(const std::string& org) {
  static const std::string kOther = "other";
  if (tenants_.contains(org)) return org;
  if (tenants_.size() >= kMostTenants) return kOther;
  return *tenants_.insert(org).first;
}

void EventMetrics::observe_lookups(const InferenceEvent& event) {
  for (std::size_t i = 1; i < tiers_.size(); ++i) {
    const bool hit = event.cache_hit && event.cache_tier == static_cast<int>(i);
    if (event.tier_ms[i] >= 0) tiers_[i].lookup->observe(event.tier_ms[i] / 1000);
    if (hit) {
      tiers_[i].hits->add();
    } else if (event.tier_ms[i] >= 0) {
      tiers_[i].misses->add();
    } else {
      continue;
    }
    const double hits = tiers_[i].hits->value();
    tiers_[i].hit_rate->set(hits / (hits + tiers_[i].misses->value()));
  }
}

void EventMetrics::observe_estimate(const InferenceEvent& event) {
  // Slow enough that one odd prompt is no alarm, fast enough to see a day's change.
  constexpr double kWeight = 0.02, kTooHigh = 1.2, kFine = 1.15;
  if (drifts_.size() > 1'024) drifts_.clear();
  Drift& drift = drifts_[event.model_selected];
  if (drift.shown == nullptr) {
    drift.shown = &registry_.gauge("asahi_token_estimate_ratio",
                                   "Input tokens billed ÷ counted before the call, of late",
                                   {{"model", event.model_selected}});
  }
  drift.ratio += kWeight * (static_cast<double>(event.answer_input_tokens) /
                                static_cast<double>(event.counted_input_tokens) -
                            drift.ratio);
  drift.shown->set(drift.ratio);
  if (!drift.told && drift.ratio > kTooHigh) {
    logger_.warning(
        "a model bills more input tokens than are estimated: budgets and routing see too few",
        {{"model", event.model_selected}, {"ratio", drift.ratio}});
    drift.told = true;
  } else if (drift.told && drift.ratio < kFine) {
    drift.told = false;
  }
}

void EventMetrics::observe(const InferenceEvent& event) {
  Series& now = series(event);
  now.requests->add();
  now.tenant_requests->add();
  now.tenant_cost->add(event.cost.dollars());
  now.cost->add(event.cost.dollars());
  now.latency_ms->observe(event.latency_ms);
  now.latency_seconds->observe(event.latency_ms / 1000);
  if (!event.error_code.empty()) {
    registry_
        .counter("asahi_errors_total", "Failures by kind",
                 {{"type", event.error_code},
                  {"component", event.provider.empty() ? "gateway" : "vendor"}})
        .add();
    if (std::ranges::find(kDenials, event.error_code) != kDenials.end())
      denials(registry_, event.error_code).add();
    return;
  }
  if (event.event_type != "inference") return;
  const analytics::Savings saved = analytics::divide_savings(event);
  for (std::size_t i = 0; i < saved.size(); ++i) {
    if (saved[i].nanos <= 0) continue;  // a counter only grows
    const auto saving = static_cast<analytics::Saving>(i);
    auto& counter = saving == analytics::Saving::kTokens     ? trim_savings_
                    : saving == analytics::Saving::kBatching ? batching_savings_
                                                             : *now.savings;
    counter.add(saved[i].dollars());
  }
  if (event.counted_input_tokens > 0) observe_estimate(event);
  if (event.quality_score > 0) now.quality->set(event.quality_score);
  observe_lookups(event);
  if (!event.cache_hit) {
    now.model_latency->observe(event.vendor_ms / 1000);
    tokens_in_.observe(static_cast<double>(event.input_tokens));
    tokens_out_.observe(static_cast<double>(event.output_tokens));
  }
}

}  // namespace asahi::gateway
