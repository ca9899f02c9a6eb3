// The hot tier's move to another backend.
#include "memory/http/routes.h"
#include "memory/swap/mover.h"

namespace asahi::memory {
namespace {

/// A backend has the memories of all: who operates the installation moves it.
Result<void> check_operator(const http::Context& context) {
  if (operates(context)) return {};
  return fail(Errc::kForbidden,
              "the hot tier's backend is all organisations': its operator moves it");
}

Result<swap::Mover*> mover_for(const RouteParts& parts, const http::Context& context) {
  if (auto ok = check_operator(context); !ok) return std::unexpected(ok.error());
  if (parts.mover == nullptr) {
    return fail(Errc::kConflict,
                "this process keeps no hot tier: its backend changes over while it runs where one "
                "process is the whole memory (AKOSHA_COMPONENT=all)");
  }
  return parts.mover;
}

Task<http::Response> begin_move(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(swap::Mover* const mover, mover_for(parts, context));
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(swap::MoveRequest request, mover->parse(body));
  const json::object to = request.to.to_json();
  const std::string org = reach_of(context).tenant();
  ASAHI_CO_TRY(const json::object status, co_await mover->begin(org, std::move(request)));
  co_await note(parts, context, "memory.backend.move", "memory/hot", {{"to", to}});
  co_return json_reply(202, status);
}

Task<http::Response> get_move(const RouteParts& parts, http::Context& context) {
  if (auto ok = check_operator(context); !ok) co_return std::unexpected(ok.error());
  if (parts.mover != nullptr) co_return json_reply(200, parts.mover->status());
  // To ask is no mistake: whoever looks at the tiers does, whichever process answers.
  co_return json_reply(200, {{"backend", nullptr},
                             {"move", nullptr},
                             {"reads", nullptr},
                             {"writings_left", nullptr},
                             {"error", nullptr},
                             {"circuit", nullptr}});
}

Result<void> check_empty(const http::Request& request) {
  ASAHI_TRY(const json::object body, body_of(request));
  if (!body.empty()) return fail_field(std::string(body.begin()->key()), "no such field");
  return {};
}

Task<http::Response> revert_move(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(swap::Mover* const mover, mover_for(parts, context));
  if (auto ok = check_empty(context.request); !ok) co_return std::unexpected(ok.error());
  ASAHI_CO_TRY(const json::object status, co_await mover->revert("asked for"));
  co_await note(parts, context, "memory.backend.revert", "memory/hot");
  co_return json_reply(200, status);
}

Task<http::Response> finish_move(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(swap::Mover* const mover, mover_for(parts, context));
  if (auto ok = check_empty(context.request); !ok) co_return std::unexpected(ok.error());
  ASAHI_CO_TRY(const json::object status, co_await mover->finish("asked for"));
  co_await note(parts, context, "memory.backend.finish", "memory/hot");
  co_return json_reply(200, status);
}

}  // namespace

void add_backend_routes(const RouteAdder& routes) {
  using enum http::Method;
  routes.add(kPost, "/storage/hot/backend", "system:migrate", begin_move);
  routes.add(kGet, "/storage/hot/backend", "system:migrate", get_move);
  routes.add(kPost, "/storage/hot/backend/revert", "system:migrate", revert_move);
  routes.add(kPost, "/storage/hot/backend/finish", "system:migrate", finish_move);
}

}  // namespace asahi::memory
