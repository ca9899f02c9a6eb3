#include "memory/http/replica_routes.h"

#include <utility>

namespace asahi::memory {
namespace {

Result<void> check_operator(const http::Context& context) {
  if (operates(context)) return {};
  return fail(Errc::kForbidden,
              "replica buckets hold every organisation and system: this needs the permission "
              "manage_tenants, and a credential of all systems");
}

json::object status_of(const std::vector<ReplicaKeeper*>& keepers) {
  json::array places;
  for (const ReplicaKeeper* const keeper : keepers) places.push_back(keeper->status());
  return {{"places", std::move(places)}};
}

}  // namespace

void add_replica_routes(const RouteAdder& routes, SharedRouteParts shared,
                        std::vector<ReplicaKeeper*> keepers) {
  using enum http::Method;
  constexpr std::string_view kAccess = "system:migrate";
  routes.add_body(kGet, "/storage/replicas", kAccess,
                  [keepers](http::Context& context) -> Task<http::Response> {
                    if (auto ok = check_operator(context); !ok)
                      co_return std::unexpected(ok.error());
                    co_return json_reply(200, status_of(keepers));
                  });
  routes.add_body(
      kPost, "/storage/replicas", kAccess,
      [keepers, shared](http::Context& context) -> Task<http::Response> {
        if (auto ok = check_operator(context); !ok) co_return std::unexpected(ok.error());
        bool erase = false;
        if (!context.request.body.empty()) {
          ASAHI_CO_TRY(const json::object body, body_of(context.request));
          for (const auto& member : body) {
            if (member.key() != "erase_unexplained")
              co_return fail_field(std::string(member.key()), "the only field: erase_unexplained");
            if (!member.value().is_bool())
              co_return fail_field("erase_unexplained", "must be true or false");
            erase = member.value().get_bool();
          }
        }
        if (keepers.empty()) {
          co_return fail(Errc::kNotFound,
                         "there are no replicas: memory.replicas.cold and .backup name none");
        }
        for (ReplicaKeeper* const keeper : keepers) {
          if (auto ok = keeper->begin_comparison(erase); !ok) co_return std::unexpected(ok.error());
        }
        co_await note(*shared, context, "memory.replicas.compare",
                      erase ? "replicas, erasing the unexplained" : "replicas");
        co_return json_reply(202, status_of(keepers));
      });
}

}  // namespace asahi::memory
