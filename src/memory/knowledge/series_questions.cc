#include "memory/knowledge/series_questions.h"

#include <fmt/format.h>

#include <algorithm>

#include "memory/ingest/times.h"
#include "memory/knowledge/arguments.h"

namespace asahi::memory::knowledge {

namespace {

using series::Point;
using series::Resolution;
using series::Time;
using std::chrono::days;

constexpr std::size_t kMostPoints = 1'000, kMostMetadata = 4'096;
constexpr double kMostValue = 1e300;

/// What all questions about one metric have.
struct Asked {
  SeriesQuery query;
  std::int64_t window_days = 0;
};

Asked read_window(Knowledge& knowledge, const Reach& reach, Arguments& arguments,
                  std::int64_t fallback) {
  Asked asked;
  asked.query.metric = arguments.metric();
  asked.query.systems = reach.systems();
  asked.window_days = arguments.whole("time_window_days", fallback, 1, 90);
  asked.query.to = knowledge.clock().now() + kClockSkew;
  asked.query.from = knowledge.clock().now() - days{asked.window_days};
  return asked;
}

json::object about(const Asked& asked) {
  return {{"metric_name", asked.query.metric},
          {"system_id", asked.query.system_id.empty() ? json::value(nullptr)
                                                      : json::value(asked.query.system_id)},
          {"time_window_days", asked.window_days}};
}

json::object too_few(json::object answer, std::size_t points, std::string needed) {
  answer["total_points"] = points;
  answer["error"] = fmt::format("too little data: {} points; {}", points, needed);
  return answer;
}

json::value metadata_of(const Point& point) {
  auto parsed = parse_json(point.metadata, 16);
  return parsed ? std::move(*parsed) : json::value(json::object{});
}

Result<SeriesStore::NewPoint> read_point(Knowledge& knowledge, const Reach& reach,
                                         const json::object& given) {
  Arguments arguments(given);
  SeriesStore::NewPoint out;
  out.metric = arguments.metric();
  if (!arguments.has("value")) arguments.fault("value", "value is missing");
  out.point.value = arguments.number("value", -kMostValue, kMostValue).value_or(0);
  if (!arguments.has("system_id")) arguments.fault("system_id", "system_id is missing");
  out.point.system_id = arguments.system_within(reach);
  const Time now = knowledge.clock().now();
  out.point.at = arguments.time("timestamp").value_or(now);
  if (out.point.at > now + kClockSkew ||
      out.point.at < series::Retention().cutoff(Resolution::kHour, now)) {
    arguments.fault("timestamp",
                    fmt::format("timestamp is {}: expected at most 5 minutes ahead and 365 days "
                                "old",
                                format_rfc3339(out.point.at)));
  }
  out.point.metadata = arguments.object("metadata", kMostMetadata).value_or("{}");
  if (is_derived_metric(out.metric)) {
    arguments.fault("metric_name",
                    fmt::format("'{}' is counted here; choose another name", out.metric));
  }
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return out;
}

}  // namespace

Result<json::object> add_metrics(Knowledge& knowledge, const Reach& reach,
                                 const json::object& arguments) {
  std::vector<SeriesStore::NewPoint> points;
  const json::value* const many = arguments.if_contains("points");
  if (many == nullptr) {
    ASAHI_TRY(auto point, read_point(knowledge, reach, arguments));
    points.push_back(std::move(point));
  } else {
    if (arguments.size() > 1)
      return fail_field("points", "give either points or the fields of one point");
    const auto* const list = many->if_array();
    if (list == nullptr || list->empty() || list->size() > kMostPoints)
      return fail_field("points", fmt::format("expected a list of 1 to {} points", kMostPoints));
    for (std::size_t i = 0; i < list->size(); ++i) {
      const auto* const one = (*list)[i].if_object();
      if (one == nullptr) return fail_field(fmt::format("points[{}]", i), "expected an object");
      auto point = read_point(knowledge, reach, *one);
      if (!point) {
        point.error().field = fmt::format("points[{}].{}", i, point.error().field);
        return std::unexpected(point.error());
      }
      points.push_back(std::move(*point));
    }
  }
  if (auto ok = knowledge.series().add(reach.tenant(), points); !ok)
    return std::unexpected(ok.error());
  return json::object{{"status", "success"}, {"stored", points.size()}};
}

Result<json::object> system_metrics(Knowledge& knowledge, const Reach& reach,
                                    const json::object& given) {
  Arguments arguments(given);
  const std::int64_t range = arguments.whole("time_range_days", 30, 1, 365);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const auto metrics,
            knowledge.series().metrics(reach.tenant(), knowledge.clock().now() - days{range},
                                       reach.systems()));
  json::array names, list;
  for (const MetricName& metric : metrics) {
    names.emplace_back(metric.name);
    list.push_back(json::object{{"metric_name", metric.name},
                                {"points", metric.points},
                                {"first", format_rfc3339(metric.first)},
                                {"last", format_rfc3339(metric.last)},
                                {"derived", metric.derived}});
  }
  return json::object{{"time_range_days", range},
                      {"total_metrics", metrics.size()},
                      {"metric_names", std::move(names)},
                      {"metrics", std::move(list)}};
}

Result<json::object> trends(Knowledge& knowledge, const Reach& reach, const json::object& given) {
  Arguments arguments(given);
  Asked asked = read_window(knowledge, reach, arguments, 7);
  asked.query.system_id = arguments.system_within(reach);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const SeriesFound found, knowledge.series().read(reach.tenant(), asked.query));
  json::object answer = about(asked);
  const auto trend = series::trend(found.points);
  if (!trend) return too_few(std::move(answer), found.points.size(), "a trend needs 2");
  answer["trend_direction"] = to_string(trend->direction);
  answer["slope"] = trend->slope;
  answer["trend_strength"] = trend->strength;
  answer["percent_change"] = trend->percent_change;
  answer["confidence"] = trend->confidence;
  answer["time_range"] =
      json::object{{"start", format_rfc3339(trend->from)}, {"end", format_rfc3339(trend->to)}};
  answer["total_points"] = trend->points;
  return answer;
}

Result<json::object> anomalies(Knowledge& knowledge, const Reach& reach,
                               const json::object& given) {
  Arguments arguments(given);
  Asked asked = read_window(knowledge, reach, arguments, 7);
  asked.query.system_id = arguments.system_within(reach);
  const double threshold = arguments.number("threshold_std", 1, 10).value_or(3);
  const auto limit = static_cast<std::size_t>(arguments.whole("limit", 10, 1, 1'000));
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const SeriesFound found, knowledge.series().read(reach.tenant(), asked.query));
  json::object answer = about(asked);
  answer["threshold_std"] = threshold;
  const auto unusual = series::anomalies(found.points, threshold);
  if (!unusual) return too_few(std::move(answer), found.points.size(), "anomalies need 10");
  json::array list;
  for (const series::Anomaly& each : unusual->list) {
    if (list.size() == limit) break;
    list.push_back(json::object{{"timestamp", format_rfc3339(each.point.at)},
                                {"value", each.point.value},
                                {"system_id", each.point.system_id},
                                {"z_score", each.z_score},
                                {"deviation", each.deviation},
                                {"metadata", metadata_of(each.point)}});
  }
  answer["anomaly_count"] = unusual->list.size();
  answer["total_points"] = unusual->total_points;
  answer["anomaly_rate"] = unusual->rate();
  answer["mean"] = unusual->mean;
  answer["standard_deviation"] = unusual->deviation;
  answer["anomalies"] = std::move(list);
  return answer;
}

Result<json::object> correlations(Knowledge& knowledge, const Reach& reach,
                                  const json::object& given) {
  Arguments arguments(given);
  const Asked asked = read_window(knowledge, reach, arguments, 7);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  // Systems are compared by means per hour; "5 points each" are counted finer where they are few.
  ASAHI_TRY(const SeriesFound found, knowledge.series().read(reach.tenant(), asked.query));
  json::object answer = about(asked);
  answer.erase("system_id");
  const auto pairs = series::correlations(found.points);
  if (!pairs)
    return too_few(std::move(answer), found.points.size(),
                   "correlations need 10, and two systems with 5 each");
  json::array list;
  for (const series::Correlation& each : pairs->list) {
    list.push_back(json::object{{"system_a", each.system_a},
                                {"system_b", each.system_b},
                                {"correlation", each.r},
                                {"strength", each.strong() ? "strong" : "moderate"},
                                {"hours", each.hours}});
  }
  answer["systems"] = pairs->systems;
  answer["total_points"] = pairs->total_points;
  answer["total_correlations"] = pairs->list.size();
  answer["correlations"] = std::move(list);
  return answer;
}

Result<json::object> changepoints(Knowledge& knowledge, const Reach& reach,
                                  const json::object& given) {
  Arguments arguments(given);
  Asked asked = read_window(knowledge, reach, arguments, 30);
  asked.query.system_id = arguments.system_within(reach, "entity_id");
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const SeriesFound found, knowledge.series().read(reach.tenant(), asked.query));
  json::object answer = about(asked);
  json::value entity = std::move(answer["system_id"]);
  answer.erase("system_id");
  answer["entity_id"] = std::move(entity);
  const auto cut = series::changepoints(found.points);
  if (!cut) return too_few(std::move(answer), found.points.size(), "changepoints need 5");
  const auto segment_json = [](const series::Segment& segment) {
    return json::object{{"direction", segment.direction},
                        {"start", format_rfc3339(segment.start)},
                        {"end", format_rfc3339(segment.end)},
                        {"days", segment.days},
                        {"total_change", segment.total_change},
                        {"change_rank", segment.change_rank},
                        {"trend_class", to_string(segment.trend_class)}};
  };
  json::array segments;
  for (const series::Segment& segment : cut->segments) segments.push_back(segment_json(segment));
  answer["total_points"] = found.points.size();
  answer["latest_segment"] = segment_json(cut->latest());
  answer["has_abrupt_trend"] = cut->abrupt > 0;
  answer["abrupt_segment_count"] = cut->abrupt;
  answer["segments"] = std::move(segments);
  return answer;
}

Result<json::object> timeseries(Knowledge& knowledge, const Reach& reach,
                                const json::object& given) {
  Arguments arguments(given);
  SeriesQuery query;
  query.metric = arguments.metric();
  query.system_id = arguments.system_within(reach);
  query.systems = reach.systems();
  const Time now = knowledge.clock().now();
  query.to = arguments.time("end").value_or(now + kClockSkew);
  query.from = arguments.time("start").value_or(query.to - std::chrono::hours{24} + kClockSkew);
  const std::string interval = arguments.one_of("interval", "auto", {"auto", "1m", "5m", "1h"});
  // In whole seconds: of two times that a server knows the difference in nanoseconds may be more
  // than 64 bits hold.
  const auto apart = std::chrono::floor<std::chrono::seconds>(query.to) -
                     std::chrono::floor<std::chrono::seconds>(query.from);
  if (query.from >= query.to || apart > days{366}) {
    arguments.fault("start", fmt::format("start is {} and end {}: expected start before end, at "
                                         "most 366 days apart",
                                         format_rfc3339(query.from), format_rfc3339(query.to)));
  }
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  Resolution wanted = series::resolution_for(query.to - query.from);
  if (interval == "5m") wanted = std::max(wanted, Resolution::kFiveMinutes);
  if (interval == "1h") wanted = Resolution::kHour;
  ASAHI_TRY(SeriesFound found, knowledge.series().read(reach.tenant(), query, wanted));
  if (found.resolution == Resolution::kRaw)
    found.buckets =
        series::rolled(std::span<const Point>(found.points), series::width(Resolution::kRaw));
  json::array points;
  for (const series::Bucket& bucket : found.buckets) {
    points.push_back(json::object{{"timestamp", format_rfc3339(bucket.at)},
                                  {"system_id", bucket.system_id},
                                  {"value", bucket.mean()},
                                  {"min", bucket.min},
                                  {"max", bucket.max},
                                  {"count", bucket.count}});
  }
  constexpr std::string_view kNames[] = {"1m", "5m", "1h"};
  return json::object{{"metric_name", query.metric},
                      {"interval", kNames[static_cast<std::size_t>(found.resolution)]},
                      {"start", format_rfc3339(query.from)},
                      {"end", format_rfc3339(query.to)},
                      {"total_points", points.size()},
                      {"points", std::move(points)}};
}

}  // namespace asahi::memory::knowledge
