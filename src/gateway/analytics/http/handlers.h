#pragma once
// The handlers behind add_analytics_routes, by what they read.

#include <optional>
#include <string_view>
#include <vector>

#include "gateway/analytics/compute/breakdown.h"
#include "gateway/analytics/compute/window.h"
#include "gateway/analytics/http/routes.h"

namespace asahi::gateway::analytics {

using Handler = Task<http::Response> (*)(const AnalyticsParts& parts, http::Context& context);

// Sums of a window (figure_routes.cc).
Task<http::Response> get_cost_breakdown(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_cost_summary(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_cache_performance(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_latency_percentiles(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_baseline(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_cost_drivers(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_models(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_leaderboard(const AnalyticsParts& parts, http::Context& context);

// Figures over time (series_routes.cc).
Task<http::Response> get_trends(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_overview(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_savings(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_cache(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_latency(const AnalyticsParts& parts, http::Context& context);

// What follows from them (insight_routes.cc).
Task<http::Response> get_forecast(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_anomalies(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_recommendations(const AnalyticsParts& parts, http::Context& context);

// Single events (event_routes.cc, stream_route.cc).
Task<http::Response> get_recent(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_requests(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_event(const AnalyticsParts& parts, http::Context& context);
Task<http::Response> get_stream(const AnalyticsParts& parts, http::Context& context);

/// The caller's organisation.
const std::string& org_of(const http::Context& context);
/// The dimension of a `group_by`; nothing for other words.
std::optional<Dimension> parse_dimension(std::string_view word);
/// How far back rollups by it reach.
Reach reach_of(Dimension dimension);
/// One bucket over the window without keys.
Task<Sums> sums_of(const Store& store, std::string org, Window window);
/// Sums by key over the window.
Task<std::vector<KeySums>> keys_of(const Store& store, std::string org, Window window, Dimension by,
                                   std::size_t max_keys);

}  // namespace asahi::gateway::analytics
