#include "memory/knowledge/series_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/hash.h"

namespace asahi::memory::knowledge {
namespace {

constexpr double kClearTrend = 0.6;
constexpr std::size_t kTrendPoints = 10;
constexpr double kWorthTelling = 20;  ///< percent
constexpr std::size_t kMostOutliers = 20;

std::string day_of(series::Time time) { return format_rfc3339(time).substr(0, 10); }

void add_trend(const std::string& metric, std::span<const series::Point> points, Findings& out) {
  const auto trend = series::trend(points);
  if (!trend || trend->direction == series::Direction::kStable || trend->points < kTrendPoints ||
      trend->strength < kClearTrend)
    return;
  const std::string direction(series::to_string(trend->direction));
  const std::string change = fmt::format("{:+.0f} %", trend->percent_change);
  // Once a day while it lasts.
  const std::string anchor = direction + " " + day_of(trend->to);
  json::object numbers{{"slope", trend->slope},
                       {"percent_change", trend->percent_change},
                       {"points", trend->points},
                       {"from", format_rfc3339(trend->from)},
                       {"to", format_rfc3339(trend->to)}};
  out.patterns.push_back(
      {.category = "trend",
       .type = direction,
       .description = fmt::format("{} is {}: {} from {} to {}", metric, direction, change,
                                  day_of(trend->from), day_of(trend->to)),
       .confidence = std::clamp(trend->strength, 0.0, 1.0),
       .anchor = anchor,
       .metadata = numbers});
  if (std::abs(trend->percent_change) < kWorthTelling) return;
  out.insights.push_back({.type = "trend",
                          .title = fmt::format("{} changed by {}", metric, change),
                          .description = out.patterns.back().description,
                          .anchor = anchor,
                          .data = std::move(numbers)});
}

void add_outliers(const std::string& metric, std::span<const series::Point> points, Findings& out) {
  const auto unusual = series::anomalies(points);
  if (!unusual) return;
  // The latest ones: the others were told when they came.
  const std::size_t from =
      unusual->list.size() > kMostOutliers ? unusual->list.size() - kMostOutliers : 0;
  for (std::size_t i = from; i < unusual->list.size(); ++i) {
    const series::Anomaly& each = unusual->list[i];
    out.patterns.push_back(
        {.category = "anomaly",
         .type = "outlier",
         .description = fmt::format("{} was {:.6g} at {}, {:.1f} standard deviations from {:.6g}",
                                    metric, each.point.value, format_rfc3339(each.point.at),
                                    each.z_score, unusual->mean),
         .confidence = 1 - 1 / (each.z_score * each.z_score),
         .anchor = format_rfc3339(each.point.at) + " " + each.point.system_id,
         .metadata = {{"value", each.point.value},
                      {"z_score", each.z_score},
                      {"mean", unusual->mean},
                      {"system_id", each.point.system_id},
                      {"at", format_rfc3339(each.point.at)}}});
  }
}

void add_steps(const std::string& metric, std::span<const series::Point> points, Findings& out) {
  const auto cut = series::changepoints(points);
  if (!cut || cut->abrupt == 0) return;
  const auto [low, high] = std::ranges::minmax_element(points, {}, &series::Point::value);
  const double range = high->value - low->value;
  for (const series::Segment& each : cut->segments) {
    if (each.trend_class != series::TrendClass::kAbrupt || range <= 0) continue;
    const std::string anchor = format_rfc3339(each.start);
    json::object numbers{
        {"total_change", each.total_change}, {"start", anchor}, {"end", format_rfc3339(each.end)}};
    out.patterns.push_back(
        {.category = "changepoint",
         .type = fmt::format("abrupt_{}", each.direction),
         .description = fmt::format("{} stepped {} by {:.6g} at {}", metric, each.direction,
                                    std::abs(each.total_change), anchor),
         .confidence = std::clamp(std::abs(each.total_change) / range, 0.0, 1.0),
         .anchor = anchor,
         .metadata = numbers});
    out.insights.push_back({.type = "level_shift",
                            .title = fmt::format("{} has a new level", metric),
                            .description = out.patterns.back().description,
                            .anchor = anchor,
                            .data = std::move(numbers)});
  }
}

void add_correlations(const std::string& metric, std::span<const series::Point> points,
                      Findings& out) {
  const auto pairs = series::correlations(points);
  if (!pairs) return;
  const auto newest = std::ranges::max_element(points, {}, &series::Point::at);
  for (const series::Correlation& each : pairs->list) {
    if (!each.strong()) continue;
    const bool together = each.r > 0;
    const std::string anchor =
        fmt::format("{} {} {} {}", each.system_a, each.system_b, together, day_of(newest->at));
    json::object numbers{{"system_a", each.system_a},
                         {"system_b", each.system_b},
                         {"correlation", each.r},
                         {"hours", each.hours}};
    out.patterns.push_back(
        {.category = "correlation",
         .type = together ? "moves_together" : "moves_against",
         .description = fmt::format(
             "{} of {} and {} {} (r = {:.2f} over {} hours)", metric, each.system_a, each.system_b,
             together ? "move together" : "move against each other", each.r, each.hours),
         .confidence = std::min(1.0, std::abs(each.r)),
         .anchor = anchor,
         .metadata = numbers,
         .systems = {each.system_a, each.system_b}});
    out.insights.push_back(
        {.type = "correlation",
         .title = fmt::format("{} and {} {}", each.system_a, each.system_b,
                              together ? "move together" : "move against each other"),
         .description = out.patterns.back().description,
         .anchor = anchor,
         .data = std::move(numbers),
         .systems = {each.system_a, each.system_b}});
  }
}

}  // namespace

Findings findings(const std::string& metric, std::span<const series::Point> points) {
  Findings out;
  if (points.empty()) return out;
  add_trend(metric, points, out);
  add_outliers(metric, points, out);
  add_steps(metric, points, out);
  add_correlations(metric, points, out);
  return out;
}

bool SeriesWatch::is_new(const std::string& tenant, const std::string& id) {
  std::set<std::string>& told = told_[tenant];
  // What is forgotten is told once more, which is better than a set without bound.
  if (told.size() >= options_.most_told) told.clear();
  return told.insert(id).second;
}

std::size_t SeriesWatch::tell(const std::string& tenant, const std::string& metric,
                              const Findings& found) {
  std::size_t told = 0;
  const auto id_of = [&](std::string_view prefix, std::string_view kind, std::string_view anchor) {
    return std::string(prefix) +
           to_hex(sha256(fmt::format("{}|{}|{}|{}", tenant, kind, metric, anchor))).substr(0, 16);
  };
  for (const Pattern& one : found.patterns) {
    const std::string id = id_of("pat_", one.category, one.anchor);
    if (!is_new(tenant, id)) continue;
    json::object event{{"pattern_id", id},
                       {"pattern_type", one.type},
                       {"description", one.description},
                       {"confidence", one.confidence},
                       {"timestamp", format_rfc3339(clock_.now())},
                       {"metric_name", metric}};
    for (const auto& [name, value] : one.metadata) event[name] = value;
    hub_.publish(tenant, "patterns:" + one.category, "pattern.detected", std::move(event),
                 one.systems);
    ++told;
  }
  for (const Insight& one : found.insights) {
    const std::string id = id_of("ins_", one.type, one.anchor);
    if (!is_new(tenant, id)) continue;
    json::object data = one.data;
    data["metric_name"] = metric;
    hub_.publish(tenant, "insights", "insight.generated",
                 {{"insight_id", id},
                  {"insight_type", one.type},
                  {"title", one.title},
                  {"description", one.description},
                  {"data", std::move(data)}},
                 one.systems);
    ++told;
  }
  return told;
}

Result<std::size_t> SeriesWatch::look_at(const std::string& tenant) {
  const series::Time now = clock_.now();
  ASAHI_TRY(auto metrics, series_.metrics(tenant, now - options_.window));
  std::ranges::sort(metrics, [](const MetricName& a, const MetricName& b) {
    return std::tie(b.points, a.name) < std::tie(a.points, b.name);
  });
  if (metrics.size() > options_.most_metrics) metrics.resize(options_.most_metrics);
  std::size_t told = 0;
  for (const MetricName& metric : metrics) {
    const auto found = series_.read(
        tenant, {.metric = metric.name, .system_id = {}, .from = now - options_.window, .to = now});
    // More than one question may read: it is looked at when it is asked about, more coarsely.
    if (!found && found.error().code == Errc::kTooLarge) continue;
    if (!found) return std::unexpected(found.error());
    told += tell(tenant, metric.name, findings(metric.name, found->points));
  }
  return told;
}

Result<std::size_t> SeriesWatch::look() {
  const std::vector<std::string> tenants = hub_.tenants(options_.most_tenants);
  std::erase_if(
      told_, [&](const auto& known) { return !std::ranges::binary_search(tenants, known.first); });
  std::size_t told = 0;
  for (const std::string& tenant : tenants) {
    ASAHI_TRY(const std::size_t here, look_at(tenant));
    told += here;
  }
  return told;
}

}  // namespace asahi::memory::knowledge
