#include <algorithm>

#include "gateway/analytics/compute/leaderboard.h"
#include "gateway/analytics/compute/overview.h"
#include "gateway/analytics/compute/rounding.h"
#include "gateway/analytics/compute/savings.h"
#include "gateway/analytics/http/handlers.h"
#include "gateway/analytics/http/params.h"
#include "gateway/analytics/http/replies.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::int64_t kMostKeys = 500;
/// Beyond so many models the rest is one row: the store keeps the most expensive.
constexpr std::size_t kMostModels = 500;

json::object costs_json(const std::vector<KeySums>& keys) {
  json::object costs;
  for (const KeySums& key : keys) costs[key.key] = shown_dollars(key.sums.cost);
  return costs;
}

double dollars_each(NanoUsd cost, std::int64_t count) {
  return rounded(share(cost.dollars(), static_cast<double>(count)), 6);
}

Task<http::Response> ranking(const AnalyticsParts& parts, http::Context& context,
                             std::string_view usual_order) {
  const Params params(context.request);
  ASAHI_CO_TRY(const std::string order,
               params.word("sort_by", usual_order,
                           {"cost", "requests", "latency", "hit_rate", "savings", "quality",
                            "error_rate", "hallucination_rate"}));
  ASAHI_CO_TRY(const std::int64_t limit, params.integer("limit", 100, 1, kMostKeys));
  ASAHI_CO_TRY(const WindowWish wish, params.window("30d"));
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now()));
  ASAHI_CO_TRY(std::vector<KeySums> keys, co_await keys_of(parts.store, org_of(context), window,
                                                           Dimension::kModel, kMostModels));
  json::array models;
  for (const ModelUse& use :
       rank_models(std::move(keys), parse_rank_by(order).value_or(RankBy::kCost))) {
    if (std::ssize(models) == limit) break;
    const Sums& sums = use.sums;
    const auto invented = sums.hallucination_rate();
    models.push_back(json::object{
        {"rank", use.rank},
        {"model", use.model},
        {"requests", sums.requests},
        {"share_pct", use.share_pct},
        {"errors", sums.errors},
        {"error_rate", use.error_rate},
        {"total_cost", shown_dollars(sums.cost)},
        {"avg_cost", use.avg_cost},
        {"baseline_cost", shown_dollars(sums.baseline_cost)},
        {"savings", shown_dollars(sums.total_savings())},
        {"avg_saving_pct", use.avg_saving_pct},
        {"hit_rate", use.hit_rate},
        {"avg_latency_ms", rounded(sums.mean_latency_ms(), 2)},
        {"p50_latency_ms", rounded(sums.latency.percentile(50), 2)},
        {"p95_latency_ms", rounded(sums.latency.percentile(95), 2)},
        {"avg_quality", rounded(sums.mean_quality(), 2)},
        {"input_tokens", sums.input_tokens},
        {"output_tokens", sums.output_tokens},
        {"fallbacks", sums.fallbacks},
        {"hallucination_rate", invented ? json::value(rounded(*invented, 4)) : json::value()}});
  }
  json::object beside = window_json(window);
  beside["sort_by"] = order;
  co_return data_reply(std::move(models), std::move(beside));
}

}  // namespace

Task<http::Response> get_cost_breakdown(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const std::string group,
               params.word("group_by", "model",
                           {"model", "task_type", "user", "tier", "api_key", "provider", "mode"}));
  ASAHI_CO_TRY(const std::int64_t limit, params.integer("limit", 100, 1, kMostKeys));
  ASAHI_CO_TRY(const WindowWish wish, params.window("day"));
  const Dimension by = parse_dimension(group).value_or(Dimension::kModel);
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now(), 1, reach_of(by)));
  ASAHI_CO_TRY(
      const std::vector<KeySums> keys,
      co_await keys_of(parts.store, org_of(context), window, by, static_cast<std::size_t>(limit)));
  const Sums total = total_of(keys);
  json::array items;
  for (const auto& [key, sums] : keys) {
    items.push_back(json::object{{"key", key},
                                 {"cost", shown_dollars(sums.cost)},
                                 {"requests", sums.requests},
                                 {"share_pct", percent(sums.cost.dollars(), total.cost.dollars())},
                                 {"avg_cost", dollars_each(sums.cost, sums.requests)},
                                 {"baseline_cost", shown_dollars(sums.baseline_cost)},
                                 {"savings", shown_dollars(sums.total_savings())},
                                 {"input_tokens", sums.input_tokens},
                                 {"output_tokens", sums.output_tokens}});
  }
  json::object data = window_json(window);
  data["group_by"] = group;
  data["total_cost"] = shown_dollars(total.cost);
  data["total_requests"] = total.requests;
  data["breakdown"] = costs_json(keys);
  data["items"] = std::move(items);
  co_return data_reply(std::move(data));
}

Task<http::Response> get_cost_summary(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const WindowWish wish, params.window("24h"));
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now(), 2));
  const std::string org = org_of(context);
  ASAHI_CO_TRY(const std::vector<KeySums> models,
               co_await keys_of(parts.store, org, window, Dimension::kModel, 100));
  ASAHI_CO_TRY(const Sums previous, co_await sums_of(parts.store, org, before(window)));
  const Sums total = total_of(models);
  const BaselineComparison compared = compare_with_baseline(total);
  const double days = static_cast<double>(window.length().count()) / 86'400;
  const auto change = delta_pct(total.cost.dollars(), previous.cost.dollars());
  json::object data = window_json(window);
  data["total_cost"] = shown_dollars(total.cost);
  data["request_count"] = total.requests;
  data["avg_cost_per_request"] = dollars_each(total.cost, total.requests);
  data["baseline_cost"] = shown_dollars(compared.baseline);
  data["savings"] = shown_dollars(compared.savings);
  data["savings_pct"] = compared.savings_pct;
  data["input_tokens"] = total.input_tokens;
  data["output_tokens"] = total.output_tokens;
  data["previous_cost"] = shown_dollars(previous.cost);
  data["change_pct"] = change ? json::value(*change) : json::value(nullptr);
  data["projected_monthly_cost"] = rounded(total.cost.dollars() / days * 30, 6);
  data["cost_by_model"] = costs_json(models);
  co_return data_reply(std::move(data));
}

Task<http::Response> get_cache_performance(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const WindowWish wish, params.window("day"));
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now()));
  ASAHI_CO_TRY(const Sums sums, co_await sums_of(parts.store, org_of(context), window));
  json::object data = window_json(window);
  for (auto& member : cache_json(sums, parts.tiers)) data[member.key()] = member.value();
  co_return data_reply(std::move(data));
}

Task<http::Response> get_latency_percentiles(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  // Users and keys have no histograms: there may be hundreds of thousands of them.
  ASAHI_CO_TRY(const std::string group,
               params.word("group_by", "", {"model", "task_type", "tier", "provider", "mode"}));
  ASAHI_CO_TRY(std::string model, params.text("model", 255));
  ASAHI_CO_TRY(const WindowWish wish, params.window("day"));
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now()));
  if (!model.empty() && !group.empty()) {
    co_return fail_field("model", "model and group_by cannot both be given");
  }
  SumsQuery query;
  query.org_id = org_of(context);
  query.from = window.from;
  query.to = window.to;
  if (const auto by = parse_dimension(group)) query.by = *by;
  if (!model.empty()) {
    query.by = Dimension::kModel;
    query.key = std::move(model);
  }
  ASAHI_CO_TRY(std::vector<Bucket> buckets, co_await parts.store.sums(std::move(query)));
  std::vector<KeySums> keys = by_key(std::move(buckets));
  json::object data = window_json(window);
  for (auto& member : percentiles_json(percentiles(total_of(keys)))) {
    data[member.key()] = member.value();
  }
  if (!group.empty()) {
    std::ranges::sort(keys, [](const KeySums& one, const KeySums& other) {
      const auto first = one.sums.latency.count(), second = other.sums.latency.count();
      return first != second ? first > second : one.key < other.key;
    });
    json::array groups;
    for (const auto& [key, sums] : keys) {
      json::object one = percentiles_json(percentiles(sums));
      one["key"] = key;
      groups.push_back(std::move(one));
    }
    data["group_by"] = group;
    data["groups"] = std::move(groups);
  }
  co_return data_reply(std::move(data));
}

Task<http::Response> get_baseline(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const std::int64_t limit, params.integer("limit", 10, 1, kMostKeys));
  ASAHI_CO_TRY(const WindowWish wish, params.window("month"));
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now()));
  ASAHI_CO_TRY(std::vector<KeySums> keys, co_await keys_of(parts.store, org_of(context), window,
                                                           Dimension::kModel, kMostModels));
  const Sums total = total_of(keys);
  const BaselineComparison all = compare_with_baseline(total);
  std::ranges::sort(keys, [](const KeySums& one, const KeySums& other) {
    const NanoUsd first = one.sums.total_savings(), second = other.sums.total_savings();
    return first != second ? first > second : one.key < other.key;
  });
  json::array models;
  for (const auto& [model, sums] : keys) {
    if (std::ssize(models) == limit) break;
    const BaselineComparison one = compare_with_baseline(sums);
    models.push_back(json::object{{"model", model},
                                  {"requests", sums.requests},
                                  {"baseline_cost", shown_dollars(one.baseline)},
                                  {"actual_cost", shown_dollars(one.actual)},
                                  {"savings", shown_dollars(one.savings)},
                                  {"savings_pct", one.savings_pct}});
  }
  json::object data = window_json(window);
  data["baseline_cost"] = shown_dollars(all.baseline);
  data["actual_cost"] = shown_dollars(all.actual);
  data["savings"] = shown_dollars(all.savings);
  data["savings_pct"] = all.savings_pct;
  data["baseline_model"] = parts.baseline_model;
  data["cache_contribution_pct"] = all.cache_contribution_pct;
  data["request_count"] = total.requests;
  data["models"] = std::move(models);
  co_return data_reply(std::move(data));
}

Task<http::Response> get_cost_drivers(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(const std::int64_t limit, params.integer("limit", 10, 1, kMostKeys));
  ASAHI_CO_TRY(const WindowWish wish, params.window("month"));
  ASAHI_CO_TRY(const Window window, make_window(wish, parts.clock.now()));
  SumsQuery query;
  query.org_id = org_of(context);
  query.from = window.from;
  query.to = window.to;
  query.by = Dimension::kModelTask;
  ASAHI_CO_TRY(std::vector<Bucket> buckets, co_await parts.store.sums(std::move(query)));
  json::array drivers;
  for (const CostDriver& driver :
       cost_drivers(std::move(buckets), static_cast<std::size_t>(limit))) {
    drivers.push_back(
        json::object{{"model", driver.model},
                     {"task_type", driver.task_type},
                     {"total_cost", shown_dollars(driver.sums.cost)},
                     {"request_count", driver.sums.requests},
                     {"avg_cost", dollars_each(driver.sums.cost, driver.sums.requests)},
                     {"share_pct", driver.share_pct}});
  }
  co_return data_reply(std::move(drivers), window_json(window));
}

Task<http::Response> get_models(const AnalyticsParts& parts, http::Context& context) {
  co_return co_await ranking(parts, context, "cost");
}
Task<http::Response> get_leaderboard(const AnalyticsParts& parts, http::Context& context) {
  co_return co_await ranking(parts, context, "requests");
}

}  // namespace asahi::gateway::analytics
