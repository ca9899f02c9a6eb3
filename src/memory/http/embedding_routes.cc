#include "memory/ageing/reembedding.h"
#include "memory/http/routes.h"

namespace asahi::memory {
namespace {

Result<std::string> tenant_of_vectors(const http::Context& context) {
  const Reach reach = reach_of(context);
  if (auto ok = reach.check_whole("the vectors of memories"); !ok)
    return std::unexpected(ok.error());
  return reach.tenant();
}

Task<http::Response> get_reembedding(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string tenant, tenant_of_vectors(context));
  ASAHI_CO_TRY(const auto status, co_await parts.reembedding->status(tenant));
  co_return json_reply(200, ageing::reembedding_json(status));
}

Task<http::Response> start_reembedding(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string tenant, tenant_of_vectors(context));
  json::object body;
  if (!context.request.body.empty()) {
    ASAHI_CO_TRY(body, body_of(context.request));
  }
  ASAHI_CO_TRY(const ageing::Reembedding::Request request, ageing::Reembedding::parse(body));
  ASAHI_CO_TRY(const ageing::Run run, co_await parts.reembedding->request(tenant, request));
  co_await note(parts, context, "memory.reembedding.start", "memory/reembedding/" + run.id,
                {{"model", parts.embedder.traits().tag}});
  co_return json_reply(202, ageing::reembedding_run_json(run));
}

}  // namespace

void add_embedding_routes(const RouteAdder& routes) {
  using enum http::Method;
  if (routes.parts().reembedding == nullptr) return;
  routes.add(kGet, "/embeddings/reembed", "system:migrate", get_reembedding);
  routes.add(kPost, "/embeddings/reembed", "system:migrate", start_reembedding);
}

}  // namespace asahi::memory
