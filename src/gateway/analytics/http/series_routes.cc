#include <algorithm>
#include <map>

#include "gateway/analytics/compute/overview.h"
#include "gateway/analytics/compute/rounding.h"
#include "gateway/analytics/compute/savings.h"
#include "gateway/analytics/compute/trends.h"
#include "gateway/analytics/http/handlers.h"
#include "gateway/analytics/http/params.h"
#include "gateway/analytics/http/replies.h"
#include "identity/principal.h"

namespace asahi::gateway::analytics {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;

/// Lines of a trend told apart by key; the rest is one line.
constexpr std::size_t kMostLines = 10;
/// Points of a series: a quarter by hours.
constexpr std::int64_t kMostPoints = 2'400;

/// A window with its sums, whole and over time.
struct Series {
  Window window;
  std::string granularity;
  Sums total;
  std::vector<Bucket> points;  ///< every hour or day of the window, with or without events
};

/// `granularity` of the query, or what suits the window.
Result<std::string> granularity_of(const Params& params, const Window& window) {
  ASAHI_TRY(std::string word, params.word("granularity", "", {"hour", "day"}));
  if (word.empty()) return std::string(window.length() <= days(2) ? "hour" : "day");
  if (word == "hour" && (window.unit == Unit::kDay || window.length() / hours(1) > kMostPoints)) {
    return fail_field("granularity",
                      "granularity is 'hour'; it must be day for windows of more than 99 days");
  }
  return word;
}

Task<Series> read_series(const AnalyticsParts& parts, std::string org, const Params& params,
                         std::string_view usual_period, int times_back = 1) {
  Series series;
  ASAHI_CO_TRY(const WindowWish wish, params.window(usual_period));
  ASAHI_CO_TRY(series.window, make_window(wish, parts.clock.now(), times_back));
  ASAHI_CO_TRY(series.granularity, granularity_of(params, series.window));
  const seconds width = series.granularity == "hour" ? seconds(hours(1)) : seconds(days(1));
  const Window& window = series.window;
  // The first and the last hour or day may be there in part: the points add up to the total.
  const bool whole = floor_to(window.from, width) == window.from;
  SumsQuery query;
  query.org_id = std::move(org);
  query.from = window.from;
  query.to = window.to;
  query.step = whole ? width : std::min(width, length(std::max(window.unit, Unit::kHour)));
  if (!whole && floor_to(window.from, query.step) != window.from) query.step = length(window.unit);
  ASAHI_CO_TRY(const std::vector<Bucket> buckets, co_await parts.store.sums(std::move(query)));
  for (auto at = floor_to(window.from, width); at < window.to; at += width) {
    series.points.push_back({.start = at, .key = {}, .sums = {}});
  }
  for (const Bucket& bucket : buckets) {
    const auto at = static_cast<std::size_t>((bucket.start - series.points.front().start) / width);
    if (bucket.start < series.points.front().start || at >= series.points.size()) continue;
    series.points[at].sums += bucket.sums;
    series.total += bucket.sums;
  }
  co_return series;
}

json::object figures_json(const std::vector<Figure>& figures) {
  json::object out;
  for (const auto& [name, value] : figures) out[name] = value;
  return out;
}

json::array points_json(const std::vector<TrendPoint>& points) {
  json::array out;
  for (const TrendPoint& point : points) {
    out.push_back(json::object{{"timestamp", format_rfc3339(point.start)},
                               {"value", point.value},
                               {"requests", point.requests}});
  }
  return out;
}

}  // namespace

Task<http::Response> get_trends(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const std::string word,
               params.word("metric", "cost",
                           {"cost", "latency", "requests", "cache_hit_rate", "savings", "errors",
                            "error_rate", "tokens", "quality", "latency_p50", "latency_p95",
                            "latency_p99"}));
  const Metric metric = parse_metric(word).value_or(Metric::kCost);
  ASAHI_CO_TRY(const std::int64_t intervals, params.integer("intervals", 30, 1, 1'000));
  ASAHI_CO_TRY(const std::string group,
               params.word("group_by", "",
                           {"model", "task_type", "user", "tier", "api_key", "provider", "mode"}));
  ASAHI_CO_TRY(const WindowWish wish, params.window("day"));
  if (is_money(metric) && !identity::principal_of(context).may(identity::Permission::kViewCost)) {
    auto refused = fail(Errc::kForbidden, "this metric needs the permission view_cost");
    refused.error().details = R"("required_permission":"view_cost")";
    co_return refused;
  }
  const Dimension by = parse_dimension(group).value_or(Dimension::kNone);
  const bool persons = by == Dimension::kUser || by == Dimension::kApiKey;
  if (persons && word.starts_with("latency_p")) {
    co_return fail_field("metric",
                         "metric is '" + word + "'; percentiles are not kept by user or API key");
  }
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now(), 1, reach_of(by)));
  const auto count = static_cast<std::size_t>(intervals);
  SumsQuery query;
  query.org_id = org_of(context);
  query.from = window.from;
  query.to = window.to;
  query.step = reading_step(window, count);
  query.by = by;
  query.max_keys = kMostLines;
  ASAHI_CO_TRY(std::vector<Bucket> buckets, co_await parts.store.sums(std::move(query)));

  json::object data = window_json(window);
  data["metric"] = word;
  data["intervals"] = intervals;
  data["interval_seconds"] =
      rounded(static_cast<double>(window.length().count()) / static_cast<double>(intervals), 3);
  data["points"] = points_json(trend(equal_intervals(buckets, window, count), metric));
  if (by != Dimension::kNone) {
    std::map<std::string, std::vector<Bucket>> of_key;
    for (Bucket& bucket : buckets) of_key[shown_key(bucket.key)].push_back(bucket);
    json::array lines;
    for (const KeySums& key : by_key(std::move(buckets))) {
      lines.push_back(json::object{
          {"key", key.key},
          {"points", points_json(trend(equal_intervals(of_key[key.key], window, count), metric))}});
    }
    data["group_by"] = group;
    data["series"] = std::move(lines);
  }
  co_return data_reply(std::move(data));
}

Task<http::Response> get_overview(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  const std::string org = org_of(context);
  ASAHI_CO_TRY(const Series series, co_await read_series(parts, org, params, "30d", 2));
  ASAHI_CO_TRY(const Sums earlier, co_await sums_of(parts.store, org, before(series.window)));
  const std::vector<Figure> current = overview_figures(series.total);
  const std::vector<Figure> previous = overview_figures(earlier);
  json::object deltas;
  for (std::size_t i = 0; i < current.size(); ++i) {
    const auto delta = delta_pct(current[i].value, previous[i].value);
    deltas[current[i].name] = delta ? json::value(*delta) : json::value(nullptr);
  }
  json::array points;
  for (const Bucket& point : series.points) {
    const Sums& sums = point.sums;
    points.push_back(json::object{{"timestamp", format_rfc3339(point.start)},
                                  {"requests", sums.requests},
                                  {"errors", sums.errors},
                                  {"cost", shown_dollars(sums.cost)},
                                  {"baseline_cost", shown_dollars(sums.baseline_cost)},
                                  {"savings", shown_dollars(sums.total_savings())},
                                  {"hit_rate", rounded(sums.hit_rate(), 4)},
                                  {"avg_latency_ms", rounded(sums.mean_latency_ms(), 2)},
                                  {"avg_quality", rounded(sums.mean_quality(), 2)}});
  }
  json::object data = window_json(series.window);
  data["current"] = figures_json(current);
  data["previous"] = figures_json(previous);
  data["delta_pct"] = std::move(deltas);
  data["granularity"] = series.granularity;
  data["series"] = std::move(points);
  co_return data_reply(std::move(data));
}

Task<http::Response> get_savings(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const Series series, co_await read_series(parts, org_of(context), params, "30d"));
  const BaselineComparison compared = compare_with_baseline(series.total);
  json::array steps;
  json::object by_technique;
  for (const WaterfallStep& step : waterfall(series.total)) {
    steps.push_back(json::object{{"key", step.key},
                                 {"label", step.label},
                                 {"kind", step.total ? "total" : "saving"},
                                 {"amount", shown_dollars(step.amount)},
                                 {"start", shown_dollars(step.start)},
                                 {"end", shown_dollars(step.end)},
                                 {"share_pct", step.share_pct}});
    if (!step.total) by_technique[step.key] = shown_dollars(step.amount);
  }
  json::array points;
  for (const Bucket& point : series.points) {
    json::object one{{"timestamp", format_rfc3339(point.start)},
                     {"requests", point.sums.requests},
                     {"baseline_cost", shown_dollars(point.sums.baseline_cost)},
                     {"actual_cost", shown_dollars(point.sums.cost)},
                     {"savings", shown_dollars(point.sums.total_savings())}};
    for (std::size_t i = 0; i < kSavings; ++i) {
      one[to_string(static_cast<Saving>(i))] = shown_dollars(point.sums.savings[i]);
    }
    points.push_back(std::move(one));
  }
  json::object data = window_json(series.window);
  data["baseline_cost"] = shown_dollars(compared.baseline);
  data["actual_cost"] = shown_dollars(compared.actual);
  data["total_savings"] = shown_dollars(compared.savings);
  data["savings_pct"] = compared.savings_pct;
  data["baseline_model"] = parts.baseline_model;
  data["request_count"] = series.total.requests;
  data["waterfall"] = std::move(steps);
  data["by_technique"] = std::move(by_technique);
  data["granularity"] = series.granularity;
  data["series"] = std::move(points);
  co_return data_reply(std::move(data));
}

Task<http::Response> get_cache(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const Series series, co_await read_series(parts, org_of(context), params, "30d"));
  json::array points;
  for (const Bucket& point : series.points) {
    const Sums& sums = point.sums;
    points.push_back(json::object{{"timestamp", format_rfc3339(point.start)},
                                  {"requests", sums.requests},
                                  {"lookups", sums.lookups},
                                  {"hit_rate", rounded(sums.hit_rate(), 4)},
                                  {"tier_1_hits", sums.hits_by_tier[1]},
                                  {"tier_2_hits", sums.hits_by_tier[2]},
                                  {"tier_3_hits", sums.hits_by_tier[3]},
                                  {"cost_saved", shown_dollars(saved_by_cache(sums))}});
  }
  json::object data = window_json(series.window);
  for (auto& member : cache_json(series.total, parts.tiers)) data[member.key()] = member.value();
  data["granularity"] = series.granularity;
  data["series"] = std::move(points);
  co_return data_reply(std::move(data));
}

Task<http::Response> get_latency(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  const std::string org = org_of(context);
  ASAHI_CO_TRY(const Series series, co_await read_series(parts, org, params, "30d"));
  ASAHI_CO_TRY(std::vector<KeySums> keys,
               co_await keys_of(parts.store, org, series.window, Dimension::kTier, 10));
  std::ranges::sort(keys, {}, &KeySums::key);
  json::array points, tiers;
  for (const Bucket& point : series.points) {
    json::object one = percentiles_json(percentiles(point.sums));
    one["timestamp"] = format_rfc3339(point.start);
    points.push_back(std::move(one));
  }
  for (const auto& [key, sums] : keys) {
    json::object one = percentiles_json(percentiles(sums));
    one["key"] = key;
    tiers.push_back(std::move(one));
  }
  json::object data = window_json(series.window);
  for (auto& member : percentiles_json(percentiles(series.total))) {
    data[member.key()] = member.value();
  }
  data["granularity"] = series.granularity;
  data["series"] = std::move(points);
  data["tiers"] = std::move(tiers);
  co_return data_reply(std::move(data));
}

}  // namespace asahi::gateway::analytics
