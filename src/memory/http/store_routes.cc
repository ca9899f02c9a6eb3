#include <fmt/format.h>

#include "memory/access/hits.h"
#include "memory/ageing/erase.h"
#include "memory/ageing/find.h"
#include "memory/ageing/originals.h"
#include "memory/fitness/questions.h"
#include "memory/http/routes.h"
#include "memory/http/stats_json.h"
#include "memory/ingest/ledger.h"
#include "memory/knowledge/knowledge.h"

namespace asahi::memory {
namespace {

Result<Key> key_of(const http::Context& context) {
  return reach_of(context).key(std::string(context.path_param("system_id")),
                               std::string(context.path_param("conversation_id")));
}

json::object memory_json(const Memory& memory, Tier tier, const Reach& reach) {
  json::object body{{"system_id", memory.key.system_id},
                    {"conversation_id", memory.key.conversation_id},
                    {tier == Tier::kHot ? "content" : "summary", memory.content},
                    {"timestamp", format_rfc3339(memory.timestamp)},
                    {"uploaded_at", format_rfc3339(memory.uploaded_at)},
                    {"tier", tier_name(tier)},
                    {"embedding_model", memory.embedding_model},
                    {"content_hash", to_hex(memory.content_hash)}};
  auto metadata = parse_json(reach.visible_metadata(memory.metadata));
  body["metadata"] = metadata ? std::move(*metadata) : json::value(json::object{});
  if (memory.near_duplicate_of && reach.has(memory.near_duplicate_of->system_id)) {
    body["near_duplicate_of"] =
        json::object{{"system_id", memory.near_duplicate_of->system_id},
                     {"conversation_id", memory.near_duplicate_of->conversation_id}};
  }
  return body;
}

Task<http::Response> get_memory(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Key key, key_of(context));
  const Reach reach = reach_of(context);
  ASAHI_CO_TRY(const auto found, co_await ageing::find(stores_of(parts), key));
  if (found) co_return json_reply(200, memory_json(found->memory, found->tier, reach));
  if (parts.originals != nullptr) {
    ASAHI_CO_TRY(const auto original, co_await parts.originals->find(stores_of(parts), key));
    if (original) {
      Memory memory = original->memory;
      // The same text; whose it was first, and what else is known of that, is not this caller's.
      if (!reach.has(memory.key.system_id)) {
        memory.key = key;
        memory.metadata = "{}";
        memory.near_duplicate_of.reset();
      }
      co_return json_reply(200, memory_json(memory, original->tier, reach));
    }
  }
  co_return fail(Errc::kNotFound, fmt::format("no memory '{}' of the system '{}'",
                                              key.conversation_id, key.system_id));
}

Task<http::Response> delete_memory(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Key key, key_of(context));
  std::vector<Key> keys{key};
  ASAHI_CO_TRY(std::uint64_t erased, co_await ageing::erase(stores_of(parts), std::move(keys)));
  if (parts.originals != nullptr) {
    ASAHI_CO_TRY(const std::uint64_t repeats, co_await parts.originals->forget(key));
    erased += repeats > 0 && erased == 0 ? 1 : 0;
  }
  if (parts.hits != nullptr) {
    if (auto ok = co_await parts.hits->forget(key); !ok) co_return std::unexpected(ok.error());
  }
  if (parts.knowledge != nullptr) {
    ASAHI_CO_TRY(const std::size_t facts, co_await parts.knowledge->forget(key));
    erased += facts > 0 && erased == 0 ? 1 : 0;
  }
  co_await parts.search.erased(key.tenant);
  if (erased == 0) {
    co_return fail(Errc::kNotFound, fmt::format("no memory '{}' of the system '{}'",
                                                key.conversation_id, key.system_id));
  }
  co_await note(parts, context, "memory.delete",
                fmt::format("memory/{}/{}", key.system_id, key.conversation_id));
  co_return json_reply(200, {{"deleted", erased}});
}

Task<http::Response> delete_system(const RouteParts& parts, http::Context& context) {
  const Reach reach = reach_of(context);
  const std::string& tenant = reach.tenant();
  const std::string system(context.path_param("system_id"));
  if (auto ok = check_system_id(system); !ok) co_return std::unexpected(ok.error());
  if (auto ok = reach.check(system); !ok) co_return std::unexpected(ok.error());
  ASAHI_CO_TRY(std::uint64_t erased,
               co_await ageing::erase_system(stores_of(parts), tenant, system));
  if (parts.originals != nullptr) {
    ASAHI_CO_TRY(const std::uint64_t repeats,
                 co_await parts.originals->forget_system(tenant, system));
    erased += repeats > 0 && erased == 0 ? 1 : 0;
  }
  if (parts.hits != nullptr) {
    auto ok = co_await parts.hits->forget_system(tenant, system);
    if (!ok) co_return std::unexpected(ok.error());
  }
  if (parts.knowledge != nullptr) {
    ASAHI_CO_TRY(const std::size_t facts, co_await parts.knowledge->forget_system(tenant, system));
    erased += facts > 0 && erased == 0 ? 1 : 0;
  }
  if (parts.fitness != nullptr) {
    ASAHI_CO_TRY(const std::uint64_t traces,
                 co_await parts.fitness->traces.forget_system(tenant, system));
    erased += traces > 0 && erased == 0 ? 1 : 0;
  }
  std::uint64_t uploads = 0;
  if (parts.ledger != nullptr) {
    ASAHI_CO_TRY(uploads, co_await parts.ledger->erased_system(tenant, system));
  }
  co_await parts.search.erased(tenant);
  if (erased == 0 && uploads == 0)
    co_return fail(Errc::kNotFound, fmt::format("nothing is known of the system '{}'", system));
  co_await note(parts, context, "memory.system.delete", "system/" + system, {{"memories", erased}});
  co_return json_reply(200, {{"deleted", erased}});
}

Task<http::Response> storage_status(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::object body, co_await storage_json(parts, reach_of(context)));
  co_return json_reply(200, body);
}

}  // namespace

void add_store_routes(const RouteAdder& routes) {
  using enum http::Method;
  routes.add(kGet, "/memories/{system_id}/{conversation_id}", "query:search", get_memory);
  routes.add(kDelete, "/memories/{system_id}/{conversation_id}", "ingest:delete", delete_memory);
  routes.add(kDelete, "/systems/{system_id}", "ingest:delete", delete_system);
  routes.add(kGet, "/storage/status", "system:status", storage_status);
}

}  // namespace asahi::memory
