#include "memory/fitness/questions.h"
#include "memory/http/routes.h"

namespace asahi::memory {
namespace {

Task<http::Response> answer(const RouteParts& parts, http::Context& context,
                            fitness::Question question, json::object arguments) {
  if (parts.fitness == nullptr)
    co_return fail(Errc::kUnavailable, "traces are not served by this process");
  ASAHI_CO_TRY(const json::object body,
               co_await question(*parts.fitness, reach_of(context), std::move(arguments)));
  co_return json_reply(200, body);
}

template <fitness::Question kQuestion>
Task<http::Response> get(const RouteParts& parts, http::Context& context) {
  return answer(parts, context, kQuestion, parameters_of(context.request));
}

Task<http::Response> post_traces(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(json::object arguments, body_of(context.request));
  co_return co_await answer(parts, context, fitness::record, std::move(arguments));
}

}  // namespace

void add_fitness_routes(const RouteAdder& routes) {
  using enum http::Method;
  routes.add(kPost, "/traces", "ingest:upload", post_traces);
  routes.add(kGet, "/traces", "query:search", get<fitness::local_traces>);
  routes.add(kGet, "/analytics/fitness", "query:search", get<fitness::figures>);
}

}  // namespace asahi::memory
