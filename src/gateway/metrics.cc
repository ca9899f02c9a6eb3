#include "gateway/metrics.h"

#include <fmt/format.h>

#include "gateway/analytics/sums.h"

namespace asahi::gateway {
namespace {

const std::vector<double> kRequestSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                             0.5,   1,    2.5,   5,    10};
const std::vector<double> kMilliseconds = {5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000};
const std::vector<double> kLookupSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1};
const std::vector<double> kTokens = {10, 50, 100, 500, 1000, 5000, 10000};

}  // namespace

EventMetrics::EventMetrics(telemetry::Registry& registry)
    : registry_(registry),
      misses_(registry.counter("asahi_cache_misses_total",
                               "Lookups that a cache tier could not answer", {{"tier", "1"}})),
      hit_rate_(registry.gauge("asahi_cache_hit_rate", "Share of lookups answered since start",
                               {{"tier", "1"}})),
      lookup_(registry.histogram("asahi_cache_lookup_latency_seconds", "Time of one cache lookup",
                                 kLookupSeconds, {{"tier", "1"}})),
      tokens_in_(registry.histogram("asahi_token_count", "Tokens of one request", kTokens,
                                    {{"direction", "input"}})),
      tokens_out_(registry.histogram("asahi_token_count", "Tokens of one request", kTokens,
                                     {{"direction", "output"}})),
      trim_savings_(registry.counter("asahi_savings_dollars_total",
                                     "Money saved against the baseline model",
                                     {{"phase", "tokens"}})),
      batching_savings_(registry.counter("asahi_savings_dollars_total",
                                         "Money saved against the baseline model",
                                         {{"phase", "batching"}})) {
  // Series that alerts look at exist from the start: an absent series and a zero are different
  // things to Prometheus.
  for (const char* tier : {"1", "2", "3"}) {
    registry.counter("asahi_cache_hits_total", "Requests answered from a cache tier",
                     {{"tier", tier}});
  }
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
  made.tenant_requests = &registry_.counter(
      "asahi_tenant_requests_total", "Model calls per organisation", {{"org_id", event.org_id}});
  made.latency_ms =
      &registry_.histogram("asahi_latency_ms", "Time of one model call in milliseconds",
                           kMilliseconds, {{"model", model}, {"cache_tier", tier}});
  made.latency_seconds =
      &registry_.histogram("asahi_request_latency_seconds", "Time of one request", kRequestSeconds,
                           {{"route", event.route}, {"cache_tier", tier}});
  made.model_latency =
      &registry_.histogram("asahi_model_latency_seconds", "Time spent in vendor calls",
                           kRequestSeconds, {{"model", model}});
  if (event.cache_hit)
    made.hits = &registry_.counter("asahi_cache_hits_total", "Requests answered from a cache tier",
                                   {{"tier", tier}});
  made.savings = &registry_.counter(
      "asahi_savings_dollars_total", "Money saved against the baseline model",
      {{"phase", event.cache_hit ? fmt::format("cache_t{}", event.cache_tier) : "routing"}});
  made.quality = &registry_.gauge(
      "asahi_quality_score", "Profile quality of the model that answered last", {{"model", model}});
  return series_.emplace(std::move(key), made).first->second;
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
  now.cost->add(event.cost.dollars());
  now.latency_ms->observe(event.latency_ms);
  now.latency_seconds->observe(event.latency_ms / 1000);
  if (!event.error_code.empty()) {
    registry_
        .counter("asahi_errors_total", "Failures by kind",
                 {{"type", event.error_code},
                  {"component", event.provider.empty() ? "gateway" : "vendor"}})
        .add();
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
  lookups_seen_ += 1;
  lookup_.observe(event.lookup_ms / 1000);
  if (event.cache_hit) {
    now.hits->add();
    hits_seen_ += 1;
  } else {
    misses_.add();
    now.model_latency->observe(event.vendor_ms / 1000);
    tokens_in_.observe(static_cast<double>(event.input_tokens));
    tokens_out_.observe(static_cast<double>(event.output_tokens));
  }
  hit_rate_.set(hits_seen_ / lookups_seen_);
}

}  // namespace asahi::gateway
