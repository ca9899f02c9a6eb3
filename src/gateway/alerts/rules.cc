#include "gateway/alerts/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace asahi::gateway::alerts {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr minutes kRateWindow{5};
constexpr std::uint64_t kRateRequests = 20;   ///< fewer say nothing about a rate
constexpr std::uint64_t kCacheLookups = 100;  ///< the same for hit rates
constexpr double kCacheBaseline = 0.1;        ///< a hit rate below has nothing to lose
constexpr int kCostDays = 3;                  ///< fewer are no history
constexpr minutes kLossIsNews{10};

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

bool is_failure(const InferenceEvent& event) {
  static constexpr std::array<std::string_view, 21> kOfCallers{"",
                                                               "validation_error",
                                                               "invalid_argument",
                                                               "invalid_request",
                                                               "model_not_found",
                                                               "not_found",
                                                               "prompt_injection_detected",
                                                               "compliance_violation",
                                                               "model_blocked",
                                                               "budget_exceeded",
                                                               "request_limit_exceeded",
                                                               "rate_limited",
                                                               "cost_budget_unsatisfiable",
                                                               "forbidden",
                                                               "insufficient_scope",
                                                               "unauthenticated",
                                                               "cancelled",
                                                               "conflict",
                                                               "too_large",
                                                               "payload_too_large",
                                                               "unsupported_media_type"};
  return std::ranges::find(kOfCallers, event.error_code) == kOfCallers.end();
}

const Rules::Reading& Rules::before(const std::deque<Reading>& readings, Clock::Steady now,
                                    seconds ago) {
  const auto later = std::ranges::upper_bound(readings, now - ago, {}, &Reading::at);
  return later == readings.begin() ? readings.front() : *std::prev(later);
}

void Rules::remember(const Counts& counts, Clock::Steady now) {
  // What was counted before the first look was counted since the start, a moment ago.
  if (recent_.empty()) {
    recent_.push_back({now, {}});
    minutes_.push_back({now, {}});
  }
  recent_.push_back({now, counts});
  while (recent_.size() > 2 && recent_[1].at <= now - kRateWindow) recent_.pop_front();
  if (minutes_.empty() || now - minutes_.back().at >= minutes(1)) minutes_.push_back({now, counts});
  while (minutes_.size() > 2 && minutes_[1].at <= now - hours(25)) minutes_.pop_front();
}

std::vector<Finding> Rules::look(const Facts& facts, Clock::Steady now) {
  remember(facts.counts, now);
  std::vector<Finding> found;
  look_at_vendors(facts, found);
  look_at_losses(facts, now, found);
  look_at_errors(facts, now, found);
  look_at_cache(facts, now, found);
  look_at_costs(facts, found);
  look_at_tokens(facts, found);
  return found;
}

void Rules::look_at_vendors(const Facts& facts, std::vector<Finding>& found) const {
  for (const Facts::Vendor& vendor : facts.vendors) {
    if (!vendor.breaker_open) continue;
    found.push_back({.kind = "breaker_open",
                     .subject = vendor.name,
                     .org_id = {},
                     .severity = Severity::kMedium,
                     .title = fmt::format("{} is failing", vendor.name),
                     .message = fmt::format(
                         "The circuit breaker of {} is open: its calls failed one after another. "
                         "Other vendors answer where they can; see GET /health/providers.",
                         vendor.name),
                     .metric = "asahi_circuit_breaker_state",
                     .current = 1,
                     .expected = 0});
  }
  const auto away = static_cast<double>(
      std::ranges::count_if(facts.vendors, [](const auto& vendor) { return vendor.away; }));
  if (facts.vendors.empty() || away < static_cast<double>(facts.vendors.size())) return;
  found.push_back({.kind = "vendors_down",
                   .subject = {},
                   .org_id = {},
                   .severity = Severity::kCritical,
                   .title = "No model vendor can be reached",
                   .message = fmt::format(
                       "All {} configured vendors fail or cannot be reached. Only cached answers "
                       "are given. Check the network, the vendors' keys and their status pages.",
                       facts.vendors.size()),
                   .metric = "asahi_circuit_breaker_state",
                   .current = away,
                   .expected = 0});
}

void Rules::lose(Loss& loss, std::uint64_t total, Clock::Steady now, Finding finding,
                 std::string_view what, std::vector<Finding>& found) {
  if (total > loss.seen) {
    const bool news = !loss.last || now - *loss.last >= kLossIsNews;
    loss.lost = (news ? 0 : loss.lost) + total - loss.seen;
    loss.seen = total;
    loss.last = now;
  }
  if (!loss.last || now - *loss.last >= kLossIsNews) return;
  finding.title = fmt::format("{} were lost", what);
  finding.current = static_cast<double>(loss.lost);
  found.push_back(std::move(finding));
}

void Rules::look_at_losses(const Facts& facts, Clock::Steady now, std::vector<Finding>& found) {
  lose(events_, facts.counts.events_lost, now,
       {.kind = "event_loss",
        .subject = {},
        .org_id = {},
        .severity = Severity::kCritical,
        .title = {},
        .message = "Events did not fit into the queue or could not be written: costs and analytics "
                   "of these requests are missing. Check the disk of tracking.log_dir.",
        .metric = "asahi_events_dropped_total"},
       "Events", found);
  if (!facts.events_written) {
    found.push_back({.kind = "event_writes",
                     .subject = {},
                     .org_id = {},
                     .severity = Severity::kCritical,
                     .title = "Events cannot be written",
                     .message = "The disk of tracking.log_dir takes no events; they wait in memory "
                                "and will be lost when that is full. Make room.",
                     .metric = "asahi_request_queue_depth",
                     .current = 1,
                     .expected = 0});
  }
  lose(audit_, facts.counts.audit_lost, now,
       {.kind = "audit_loss",
        .subject = {},
        .org_id = {},
        .severity = Severity::kCritical,
        .title = {},
        .message = "Audit entries did not fit into the queue. Check the database and the disk of "
                   "governance.audit_storage_dir.",
        .metric = "asahi_audit_entries_dropped_total"},
       "Audit entries", found);
  lose(stream_, facts.counts.stream_lost, now,
       {.kind = "stream_loss",
        .subject = "kafka",
        .org_id = {},
        .severity = Severity::kMedium,
        .title = {},
        .message = "Kafka did not take events in time. They are in the event log and the database; "
                   "readers of the topic lack them.",
        .metric = "asahi_event_stream_dropped_total"},
       "Events for Kafka", found);
}

void Rules::look_at_errors(const Facts& facts, Clock::Steady now, std::vector<Finding>& found) {
  const Counts& counts = facts.counts;
  const Counts minute_ago = before(recent_, now, minutes(1)).counts;
  const std::uint64_t failures = counts.failures - minute_ago.failures;
  const std::uint64_t requests = counts.requests - minute_ago.requests;
  if (failures > static_cast<std::uint64_t>(config_.error_spike_per_minute)) {
    found.push_back({.kind = "error_spike",
                     .subject = {},
                     .org_id = {},
                     .severity = Severity::kHigh,
                     .title = fmt::format("{} requests failed within a minute", failures),
                     .message = fmt::format(
                         "{} of {} requests of the last minute failed. GET /health/providers tells "
                         "the state of vendors, the log names each failure.",
                         failures, requests),
                     .metric = "asahi_errors_total",
                     .current = static_cast<double>(failures),
                     .expected = static_cast<double>(config_.error_spike_per_minute)});
  }
  // Minute by minute above the limit for all of the window; a minute without requests says nothing.
  if (requests > 0) {
    const bool failing = ratio(failures, requests) > config_.error_rate;
    if (!failing) failing_since_.reset();
    if (failing && !failing_since_) failing_since_ = now;
  }
  if (!failing_since_ || now - *failing_since_ < kRateWindow) return;
  const Counts window_ago = before(recent_, now, kRateWindow).counts;
  const std::uint64_t asked = counts.requests - window_ago.requests;
  const double rate = ratio(counts.failures - window_ago.failures, asked);
  if (asked < kRateRequests || rate <= config_.error_rate) return;
  found.push_back(
      {.kind = "error_rate",
       .subject = {},
       .org_id = {},
       .severity = Severity::kHigh,
       .title = fmt::format("{:.1f} % of requests fail", rate * 100),
       .message = fmt::format("For five minutes more than {:.1f} % of requests have failed "
                              "({:.1f} % of {}).",
                              config_.error_rate * 100, rate * 100, asked),
       .metric = "asahi_errors_total",
       .current = rate,
       .expected = config_.error_rate});
}

void Rules::look_at_cache(const Facts& facts, Clock::Steady now,
                          std::vector<Finding>& found) const {
  const Counts hour_ago = before(minutes_, now, hours(1)).counts;
  const Counts day_ago = before(minutes_, now, hours(25)).counts;
  const std::uint64_t lookups = facts.counts.lookups - hour_ago.lookups;
  const std::uint64_t usual_lookups = hour_ago.lookups - day_ago.lookups;
  if (lookups < kCacheLookups || usual_lookups < kCacheLookups) return;
  const double rate = ratio(facts.counts.hits - hour_ago.hits, lookups);
  const double usual = ratio(hour_ago.hits - day_ago.hits, usual_lookups);
  if (usual < kCacheBaseline || rate > usual * (1 - config_.cache_drop)) return;
  found.push_back(
      {.kind = "cache_regression",
       .subject = {},
       .org_id = {},
       .severity = Severity::kMedium,
       .title = "The cache answers far less than usual",
       .message = fmt::format("{:.1f} % of the last hour's requests were answered from the cache; "
                              "over the day before it was {:.1f} %. Was it cleared, or did prompts "
                              "change?",
                              rate * 100, usual * 100),
       .metric = "asahi_cache_hit_rate",
       .current = rate,
       .expected = usual});
}

void Rules::look_at_costs(const Facts& facts, std::vector<Finding>& found) const {
  for (const Facts::OrgCost& cost : facts.costs) {
    if (cost.days < kCostDays || cost.today < config_.cost_spike_min_usd ||
        cost.today <= config_.cost_spike_factor * cost.average) {
      continue;
    }
    found.push_back(
        {.kind = "cost_spike",
         .subject = {},
         .org_id = cost.org_id,
         .local = false,
         .severity = Severity::kHigh,
         .title = fmt::format("{} spends far more than usual", cost.org_id),
         .message = fmt::format("Today's cost is ${:.2f} so far; the {} days before averaged "
                                "${:.2f}. See GET /analytics/cost-breakdown; a policy can cap it.",
                                cost.today, cost.days, cost.average),
         .metric = "asahi_cost_dollars_total",
         .current = cost.today,
         .expected = cost.average});
  }
}

void Rules::look_at_tokens(const Facts& facts, std::vector<Finding>& found) const {
  for (const Facts::TokenRatio& token : facts.token_ratios) {
    if (token.ratio <= config_.token_ratio) continue;
    found.push_back(
        {.kind = "token_drift",
         .subject = token.model,
         .org_id = {},
         .severity = Severity::kLow,
         .title = fmt::format("{} bills more tokens than are counted", token.model),
         .message = fmt::format("It bills {:.2f} × the input tokens counted before the call: "
                                "budgets and routing see too few.",
                                token.ratio),
         .metric = "asahi_token_estimate_ratio",
         .current = token.ratio,
         .expected = 1});
  }
}

}  // namespace asahi::gateway::alerts
