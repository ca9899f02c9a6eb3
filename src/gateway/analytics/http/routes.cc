#include "gateway/analytics/http/routes.h"

#include <array>
#include <memory>

#include "gateway/analytics/http/handlers.h"
#include "gateway/http/admin_routes.h"
#include "gateway/http/errors.h"
#include "identity/principal.h"

namespace asahi::gateway::analytics {
namespace {

// Spec §9.4: cost views need view_cost, the others view_metrics.
constexpr std::string_view kCosts = "view_cost", kFigures = "view_metrics";

struct Row {
  std::string_view name;
  std::string_view access;
  Handler handler;
  /// Replies show events: those of requests answered just now shall be among them.
  bool settled = true;
};
constexpr std::array<Row, 20> kRows = {{
    {"cost-breakdown", kCosts, get_cost_breakdown},
    {"trends", kFigures, get_trends},
    {"forecast", kCosts, get_forecast},
    {"anomalies", kFigures, get_anomalies},
    {"recommendations", kFigures, get_recommendations},
    {"cache-performance", kFigures, get_cache_performance},
    {"latency-percentiles", kFigures, get_latency_percentiles},
    {"cost-summary", kCosts, get_cost_summary},
    {"recent-inferences", kFigures, get_recent},
    {"baseline", kCosts, get_baseline},
    {"top-cost-drivers", kCosts, get_cost_drivers},
    {"overview", kFigures, get_overview},
    {"savings", kCosts, get_savings},
    {"models", kFigures, get_models},
    {"cache", kFigures, get_cache},
    {"latency", kFigures, get_latency},
    {"requests", kFigures, get_requests},
    {"leaderboard", kFigures, get_leaderboard},
    {"events/{request_id}", kFigures, get_event},
    {"stream", kFigures, get_stream, false},
}};

}  // namespace

const std::string& org_of(const http::Context& context) {
  return identity::principal_of(context).org_id;
}

std::optional<Dimension> parse_dimension(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, Dimension>, 7> kWords = {{
      {"model", Dimension::kModel},
      {"task_type", Dimension::kTaskType},
      {"user", Dimension::kUser},
      {"tier", Dimension::kTier},
      {"api_key", Dimension::kApiKey},
      {"provider", Dimension::kProvider},
      {"mode", Dimension::kMode},
  }};
  for (const auto& [name, dimension] : kWords) {
    if (name == word) return dimension;
  }
  return std::nullopt;
}

Reach reach_of(Dimension dimension) {
  return dimension == Dimension::kUser || dimension == Dimension::kApiKey ? kPersonReach : kReach;
}

Task<Sums> sums_of(const Store& store, std::string org, Window window) {
  SumsQuery query;
  query.org_id = std::move(org);
  query.from = window.from;
  query.to = window.to;
  ASAHI_CO_TRY(const std::vector<Bucket> buckets, co_await store.sums(std::move(query)));
  Sums sums;
  for (const Bucket& bucket : buckets) sums += bucket.sums;
  co_return sums;
}

Task<std::vector<KeySums>> keys_of(const Store& store, std::string org, Window window, Dimension by,
                                   std::size_t max_keys) {
  SumsQuery query;
  query.org_id = std::move(org);
  query.from = window.from;
  query.to = window.to;
  query.by = by;
  query.max_keys = max_keys;
  ASAHI_CO_TRY(std::vector<Bucket> buckets, co_await store.sums(std::move(query)));
  co_return by_key(std::move(buckets));
}

void add_analytics_routes(http::Router& router, AnalyticsParts given) {
  const auto parts = std::make_shared<const AnalyticsParts>(std::move(given));
  for (const Row& row : kRows) {
    add_both(router, http::Method::kGet, "/analytics/" + std::string(row.name), row.access,
             [parts, row](http::Context& context) -> Aw<http::Response> {
               if (row.settled && parts->settle) co_await parts->settle(context.loop);
               auto reply = co_await row.handler(*parts, context);
               if (!reply) co_return native_error(reply.error(), context);
               co_return std::move(*reply);
             });
  }
}

}  // namespace asahi::gateway::analytics
