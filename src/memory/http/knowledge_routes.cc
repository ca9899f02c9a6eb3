#include <fmt/format.h>

#include <algorithm>

#include "memory/http/routes.h"
#include "memory/knowledge/graph_questions.h"
#include "memory/knowledge/series_questions.h"

namespace asahi::memory {
namespace {

using knowledge::Question;

/// What the path names goes under the names that questions know.
void add_path(const http::Context& context, json::object& arguments) {
  for (const auto& [name, value] : context.path_params)
    arguments[name == "id" ? std::string_view("entity_id") : name] = value;
}

/// "graph/path", "analytics/trends": for metrics, wherever it is mounted.
std::string_view kind_of(std::string_view route) {
  for (const std::string_view part : {"/graph/", "/analytics/"}) {
    if (const auto at = route.find(part); at != std::string_view::npos) return route.substr(at + 1);
  }
  return route;
}

Task<json::object> ask(const RouteParts& parts, const http::Context& context, Question question,
                       json::object arguments) {
  if (parts.knowledge == nullptr)
    co_return fail(Errc::kUnavailable, "graph and series are not served by this process");
  co_return co_await parts.knowledge->ask(kind_of(context.route), question, reach_of(context),
                                          std::move(arguments));
}

/// A question in the address.
template <Question kQuestion>
Task<http::Response> get(const RouteParts& parts, http::Context& context) {
  json::object arguments = parameters_of(context.request);
  add_path(context, arguments);
  ASAHI_CO_TRY(const json::object answer,
               co_await ask(parts, context, kQuestion, std::move(arguments)));
  co_return json_reply(200, answer);
}

/// A question in the body.
template <Question kQuestion>
Task<http::Response> post(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(json::object arguments, body_of(context.request));
  add_path(context, arguments);
  ASAHI_CO_TRY(const json::object answer,
               co_await ask(parts, context, kQuestion, std::move(arguments)));
  co_return json_reply(200, answer);
}

/// A change of a fact, with who made it in the audit log.
template <Question kChange>
Task<http::Response> change(const RouteParts& parts, http::Context& context,
                            std::string_view action) {
  ASAHI_CO_TRY(json::object arguments, body_of(context.request));
  add_path(context, arguments);
  const std::string resource = fmt::format("graph/fact/{}", context.path_param("fact_id"));
  json::object details = arguments;
  ASAHI_CO_TRY(const json::object answer,
               co_await ask(parts, context, kChange, std::move(arguments)));
  co_await note(parts, context, std::string(action), resource, std::move(details));
  co_return json_reply(200, answer);
}

Task<http::Response> patch_fact(const RouteParts& parts, http::Context& context) {
  return change<knowledge::edit_fact>(parts, context, "memory.fact.edit");
}
Task<http::Response> delete_fact(const RouteParts& parts, http::Context& context) {
  return change<knowledge::retract_fact>(parts, context, "memory.fact.retract");
}
Task<http::Response> supersede_fact(const RouteParts& parts, http::Context& context) {
  return change<knowledge::supersede_fact>(parts, context, "memory.fact.supersede");
}
Task<http::Response> contradict_fact(const RouteParts& parts, http::Context& context) {
  return change<knowledge::contradict_fact>(parts, context, "memory.fact.contradict");
}

}  // namespace

json::object parameters_of(const http::Request& request) {
  json::object out;
  std::string_view rest = request.query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::string_view name = pair.substr(0, pair.find('='));
    if (const auto value = request.query_param(name); value && !value->empty()) out[name] = *value;
  }
  return out;
}

void add_knowledge_routes(const RouteAdder& routes) {
  using enum http::Method;
  constexpr std::string_view kRead = "query:search", kWrite = "ingest:upload";
  routes.add(kPost, "/analytics/metrics", kWrite, post<knowledge::add_metrics>);
  routes.add(kGet, "/analytics/metrics", kRead, get<knowledge::system_metrics>);
  routes.add(kGet, "/analytics/trends", kRead, get<knowledge::trends>);
  routes.add(kGet, "/analytics/anomalies", kRead, get<knowledge::anomalies>);
  routes.add(kGet, "/analytics/correlations", kRead, get<knowledge::correlations>);
  routes.add(kGet, "/analytics/changepoints", kRead, get<knowledge::changepoints>);
  routes.add(kGet, "/analytics/timeseries", kRead, get<knowledge::timeseries>);
  routes.add(kPost, "/graph/query", kRead, post<knowledge::neighbours>);
  routes.add(kGet, "/graph/entities", kRead, get<knowledge::entities>);
  routes.add(kGet, "/graph/entities/{id}", kRead, get<knowledge::entity>);
  routes.add(kGet, "/graph/entities/{id}/neighbors", kRead, get<knowledge::neighbours>);
  routes.add(kGet, "/graph/path", kRead, get<knowledge::path>);
  routes.add(kGet, "/graph/statistics", kRead, get<knowledge::statistics>);
  routes.add(kGet, "/graph/communities", kRead, get<knowledge::communities>);
  routes.add(kGet, "/graph/centrality", kRead, get<knowledge::centrality>);
  routes.add(kGet, "/graph/components", kRead, get<knowledge::components>);
  routes.add(kGet, "/graph/facts/{fact_id}", kRead, get<knowledge::fact>);
  routes.add(kPatch, "/graph/facts/{fact_id}", kWrite, patch_fact);
  routes.add(kDelete, "/graph/facts/{fact_id}", "ingest:delete", delete_fact);
  routes.add(kPost, "/graph/facts/{fact_id}/supersede", kWrite, supersede_fact);
  routes.add(kPost, "/graph/facts/{fact_id}/contradict", kWrite, contradict_fact);
}

}  // namespace asahi::memory
