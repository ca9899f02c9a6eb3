#include "server/settings_routes.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

#include "base/json.h"
#include "identity/principal.h"

namespace asahi::server {
namespace {

/// Sections, and single settings, that an organisation's admin sees.
constexpr std::array<std::string_view, 17> kOfOrganisations = {
    "app.environment",
    "app.mock",
    "app.version",
    "batching",
    "cache",
    "embeddings",
    "features",
    "governance.compliance_default_retention_days",
    "optimization",
    "quality",
    "routing",
    "security.injection_action",
    "streaming",
    "tasks",
    "tracking.baseline_model",
    "tracking.baseline_input_rate",
    "tracking.baseline_output_rate"};

bool concerns_organisations(std::string_view path) {
  return std::ranges::any_of(kOfOrganisations, [path](std::string_view part) {
    return path.starts_with(part) && (path.size() == part.size() || path[part.size()] == '.');
  });
}

/// "cache.tier1.ttl_seconds": ASAHI_CACHE_TIER1_TTL_SECONDS, which every setting is also read from.
std::string variable_of(std::string_view path) {
  std::string name = "ASAHI_";
  for (const char c : path)
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string body_of(const std::vector<config::Binder::Effective>& settings, bool all) {
  json::array list;
  for (const auto& setting : settings) {
    if (!all && !concerns_organisations(setting.path)) continue;
    list.push_back({{"path", setting.path},
                    {"value", setting.value},
                    {"origin", setting.origin},
                    {"variable", variable_of(setting.path)},
                    {"help", setting.help}});
  }
  return write_json({{"settings", std::move(list)}, {"complete", all}});
}

}  // namespace

void add_settings_routes(http::Router& router,
                         const std::vector<config::Binder::Effective>& settings) {
  // They do not change while the process runs.
  const auto handler = [all = body_of(settings, true), some = body_of(settings, false)](
                           http::Context& context) -> Aw<http::Response> {
    const bool operates = identity::principal_of(context).may(identity::Permission::kManageTenants);
    co_return http::Response::json(200, operates ? all : some);
  };
  for (const char* path : {"/settings", "/api/v1/settings"})
    router.get(path, handler, "manage_policy");
}

}  // namespace asahi::server
