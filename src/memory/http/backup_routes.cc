#include "memory/http/backup_routes.h"

namespace asahi::memory {
namespace {

Result<void> check_operator(const http::Context& context) {
  if (operates(context)) return {};
  return fail(Errc::kForbidden,
              "a backup holds every organisation and system: this needs the permission "
              "manage_tenants, and a credential of all systems");
}

/// Of a body {"incremental": true}, or of none.
Result<BackupKind> kind_of(const http::Request& request) {
  if (request.body.empty()) return BackupKind::kWhole;
  ASAHI_TRY(const json::object body, body_of(request));
  const json::value* given = body.if_contains("incremental");
  if (given == nullptr || *given == false) return BackupKind::kWhole;
  if (*given == true) return BackupKind::kIncremental;
  return fail_field("incremental", "true or false");
}

}  // namespace

void add_backup_routes(const RouteAdder& routes, SharedRouteParts shared, BackupKeeper& keeper) {
  using enum http::Method;
  constexpr std::string_view kAccess = "system:migrate";
  routes.add_body(kGet, "/backups", kAccess,
                  [&keeper](http::Context& context) -> Task<http::Response> {
                    if (auto ok = check_operator(context); !ok)
                      co_return std::unexpected(ok.error());
                    ASAHI_CO_TRY(const json::object status, co_await keeper.status());
                    co_return json_reply(200, status);
                  });
  routes.add_body(kPost, "/backups", kAccess,
                  [&keeper, shared](http::Context& context) -> Task<http::Response> {
                    if (auto ok = check_operator(context); !ok)
                      co_return std::unexpected(ok.error());
                    ASAHI_CO_TRY(const BackupKind kind, kind_of(context.request));
                    ASAHI_CO_TRY(const std::string id, keeper.start(kind));
                    co_await note(*shared, context, "memory.backup.create", "backup/" + id);
                    co_return json_reply(202, {{"backup_id", id}, {"status", "running"}});
                  });
  routes.add_body(kPost, "/backups/verify", kAccess,
                  [&keeper, shared](http::Context& context) -> Task<http::Response> {
                    if (auto ok = check_operator(context); !ok)
                      co_return std::unexpected(ok.error());
                    ASAHI_CO_TRY(const json::object body, body_of(context.request));
                    std::string id;
                    if (const json::value* given = body.if_contains("backup_id");
                        given != nullptr) {
                      if (!given->is_string())
                        co_return fail_field("backup_id", "a text, or nothing: the newest backup");
                      id = std::string(given->get_string());
                    }
                    if (auto ok = keeper.start_verify(id); !ok)
                      co_return std::unexpected(ok.error());
                    co_await note(*shared, context, "memory.backup.verify",
                                  "backup/" + (id.empty() ? "newest" : id));
                    co_return json_reply(
                        202, {{"backup_id", id.empty() ? "newest" : id}, {"status", "running"}});
                  });
}

}  // namespace asahi::memory
