#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "gateway/analytics/compute/anomalies.h"
#include "gateway/analytics/compute/budget_risk.h"
#include "gateway/analytics/compute/forecast.h"
#include "gateway/analytics/compute/recommendations.h"
#include "gateway/analytics/compute/rounding.h"
#include "gateway/analytics/http/handlers.h"
#include "gateway/analytics/http/params.h"
#include "gateway/analytics/http/replies.h"

namespace asahi::gateway::analytics {
namespace {

using std::chrono::days;
using std::chrono::hours;

constexpr int kBudgetDays = 30;

/// Whole days of a window, with or without events, and today.
struct Days {
  std::vector<Bucket> past;  ///< oldest first, yesterday last
  Sums today;

  double cost_of_last(std::size_t count) const {
    NanoUsd sum = today.cost;
    for (std::size_t i = 0; i + 1 < count && i < past.size(); ++i) {
      sum += past[past.size() - 1 - i].sums.cost;
    }
    return sum.dollars();
  }
};

Task<Days> read_days(const AnalyticsParts& parts, std::string org, int count) {
  const Clock::Time today = floor_to(parts.clock.now(), days(1));
  SumsQuery query;
  query.org_id = std::move(org);
  query.from = today - days(count);
  query.to = today + days(1);
  query.step = days(1);
  ASAHI_CO_TRY(const std::vector<Bucket> buckets, co_await parts.store.sums(std::move(query)));
  Days result;
  for (int i = 0; i < count; ++i) {
    result.past.push_back({.start = today - days(count - i), .key = {}, .sums = {}});
  }
  for (const Bucket& bucket : buckets) {
    const auto day = (bucket.start - (today - days(count))) / days(1);
    if (day >= count) {
      result.today += bucket.sums;
    } else if (day >= 0) {
      result.past[static_cast<std::size_t>(day)].sums += bucket.sums;
    }
  }
  co_return result;
}

/// The last `count` of them, without what was before the first request.
std::vector<Bucket> known_days(const std::vector<Bucket>& past, std::size_t count) {
  auto first = past.end() - static_cast<std::ptrdiff_t>(std::min(count, past.size()));
  first = std::find_if(first, past.end(), [](const Bucket& day) { return day.sums.requests > 0; });
  return {first, past.end()};
}

json::object hit_rates_json(const std::vector<Bucket>& past, const TiersOn& on) {
  std::vector<double> overall, tiers[4];
  for (const Bucket& day : past) {
    if (day.sums.lookups == 0) continue;
    const CacheFigures figures = cache_figures(day.sums, on);
    overall.push_back(figures.hit_rate);
    for (std::size_t tier = 1; tier < 4; ++tier)
      tiers[tier].push_back(figures.tiers[tier].hit_rate);
  }
  return {{"overall", rounded(moving_average(overall), 4)},
          {"tier_1", rounded(moving_average(tiers[1]), 4)},
          {"tier_2", rounded(moving_average(tiers[2]), 4)},
          {"tier_3", rounded(moving_average(tiers[3]), 4)}};
}

struct MonthlyBudget {
  double dollars = 0;
  std::string_view source = "none";
};

/// The one asked about, else what the policy allows: its month, or 30 of its days where that is
/// less.
Task<MonthlyBudget> budget_of(const AnalyticsParts& parts, std::string org, double asked) {
  if (asked > 0) co_return MonthlyBudget{asked, "parameter"};
  ASAHI_CO_TRY(const auto rules, co_await parts.policies.get(std::move(org)));
  if (rules == nullptr || !rules->has_policy) co_return MonthlyBudget{};
  const OrgPolicy& policy = rules->policy;
  std::optional<double> least;
  if (policy.max_cost_per_month) least = policy.max_cost_per_month->dollars();
  if (policy.max_cost_per_day) {
    const double month = policy.max_cost_per_day->dollars() * kBudgetDays;
    least = std::min(least.value_or(month), month);
  }
  if (!least) co_return MonthlyBudget{};
  co_return MonthlyBudget{*least, "policy"};
}

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

}  // namespace

Task<http::Response> get_forecast(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const std::int64_t horizon, params.integer("horizon_days", 30, 1, 365));
  ASAHI_CO_TRY(const double asked, params.number("monthly_budget", 0, 0, 1e9));
  ASAHI_CO_TRY(const double confidence, params.number("confidence", 0.95, 0.5, 0.999));
  ASAHI_CO_TRY(const std::int64_t history, params.integer("history_days", 30, 3, 365));
  const std::string org = org_of(context);
  ASAHI_CO_TRY(const MonthlyBudget budget, co_await budget_of(parts, org, asked));
  ASAHI_CO_TRY(const Days read,
               co_await read_days(parts, org, std::max(static_cast<int>(history), kBudgetDays)));
  const std::vector<Bucket> past = known_days(read.past, static_cast<std::size_t>(history));
  std::vector<double> daily;
  json::array history_json;
  for (const Bucket& day : past) {
    daily.push_back(day.sums.cost.dollars());
    history_json.push_back(
        json::object{{"date", format_date(day.start)}, {"cost", shown_dollars(day.sums.cost)}});
  }
  const Forecast ahead = forecast(daily, static_cast<int>(horizon), confidence);
  const Forecast thirty = forecast(daily, kBudgetDays, confidence);
  const auto risk = budget_risk(thirty, budget.dollars);
  json::array days_json;
  Clock::Time date = floor_to(parts.clock.now(), days(1));
  for (const DayForecast& day : ahead.days) {
    days_json.push_back(json::object{{"date", format_date(date)},
                                     {"predicted_cost", rounded(day.value, 6)},
                                     {"confidence_low", rounded(day.low, 6)},
                                     {"confidence_high", rounded(day.high, 6)}});
    date += days(1);
  }
  json::object data{{"period", fmt::format("next {} day{}", horizon, horizon == 1 ? "" : "s")},
                    {"horizon_days", horizon},
                    {"predicted_cost", rounded(ahead.predicted, 6)},
                    {"confidence_low", rounded(ahead.low, 6)},
                    {"confidence_high", rounded(ahead.high, 6)},
                    {"confidence", ahead.confidence},
                    {"trend", to_string(ahead.trend)},
                    {"warning", text_or_null(ahead.warning)},
                    {"method", to_string(ahead.method)},
                    {"history", std::move(history_json)},
                    {"daily", std::move(days_json)},
                    {"budget",
                     {{"monthly_budget", rounded(budget.dollars, 6)},
                      {"source", budget.source},
                      {"predicted_30_days", rounded(thirty.predicted, 6)},
                      {"high_30_days", rounded(thirty.high, 6)},
                      {"last_30_days", rounded(read.cost_of_last(kBudgetDays), 6)}}},
                    {"budget_risk", risk ? json::value(*risk) : json::value(nullptr)},
                    {"hit_rate_forecast", hit_rates_json(past, parts.tiers)}};
  co_return data_reply(std::move(data));
}

namespace {

/// The requests behind an anomaly, as parameters of GET /analytics/requests.
json::object filter_json(AnomalyType type, Clock::Time from, Clock::Time to) {
  EventsQuery query;
  filter_by(type, query);
  json::object filter{{"from", format_rfc3339(from)}, {"to", format_rfc3339(to)}};
  if (query.cache_hit) filter["cache_hit"] = *query.cache_hit;
  if (query.failed) filter["error"] = *query.failed;
  return filter;
}

}  // namespace

Task<http::Response> get_anomalies(const AnalyticsParts& parts, http::Context& context) {
  const Clock::Time now = parts.clock.now();
  AnomalyWindow window = anomaly_window(std::string(org_of(context)), now);
  const Clock::Time recent_from = window.recent_from, baseline_from = window.query.from;
  const Clock::Time to = window.query.to;
  ASAHI_CO_TRY(const std::vector<Bucket> minutes,
               co_await parts.store.sums(std::move(window.query)));
  json::array found;
  for (const Anomaly& anomaly : anomalies(minutes, recent_from)) {
    found.push_back(json::object{{"anomaly_type", to_string(anomaly.type)},
                                 {"severity", anomaly.critical ? "critical" : "warning"},
                                 {"metric_name", metric_name(anomaly.type)},
                                 {"current_value", anomaly.current},
                                 {"expected_value", anomaly.expected},
                                 {"deviation_pct", anomaly.deviation_pct()},
                                 {"message", anomaly.message},
                                 {"detected_at", format_rfc3339(now)},
                                 {"filter", filter_json(anomaly.type, recent_from, to)}});
  }
  co_return data_reply(std::move(found), {{"checked_at", format_rfc3339(now)},
                                          {"window_from", format_rfc3339(recent_from)},
                                          {"baseline_from", format_rfc3339(baseline_from)}});
}

Task<http::Response> get_recommendations(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const WindowWish wish, params.window("week"));
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now()));
  ASAHI_CO_TRY(const std::vector<KeySums> models,
               co_await keys_of(parts.store, org_of(context), window, Dimension::kModel, 500));
  const Sums all = total_of(models);
  json::array found;
  for (const Recommendation& one : recommendations(all, models, parts.tiers)) {
    found.push_back(json::object{{"id", one.id},
                                 {"category", one.category},
                                 {"title", one.title},
                                 {"description", one.description},
                                 {"estimated_savings", one.estimated_savings},
                                 {"priority", to_string(one.priority)},
                                 {"action", one.action}});
  }
  json::object beside = window_json(window);
  beside["requests"] = all.requests;
  beside["requests_needed"] = kRequestsNeeded;
  co_return data_reply(std::move(found), std::move(beside));
}

}  // namespace asahi::gateway::analytics
