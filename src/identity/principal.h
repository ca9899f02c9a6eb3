#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "identity/permissions.h"
#include "identity/systems.h"
#include "net/http/context.h"

namespace asahi::identity {

/// Limits that come with an organisation's plan (spec §9.5).
struct Plan {
  std::string name = "starter";
  std::int64_t requests_per_day = 1'000;
  std::int64_t models = 3;
  std::int64_t users = 5;
};
/// starter, professional, enterprise and the aliases of R31 (free, startup, pro, business); nothing
/// for other names.
std::optional<Plan> find_plan(std::string_view name);

/// Who sends a request, as found out by the gate (identity/http/gate.h) before any handler runs.
/// Immutable and shared: all requests of one key point to one object until the key is checked
/// again.
struct Principal final : http::Caller {
  enum class Kind : std::uint8_t {
    kAnonymous,  ///< authentication is off, or the route is public
    kApiKey,
    kToken,     ///< a JWT: of a user, or of a machine client (OAuth2)
    kSession,   ///< the dashboard's cookie
    kOperator,  ///< X-Admin-Secret
  };
  /// The organisation of callers without a credential while authentication is off.
  static constexpr std::string_view kDefaultOrg = "default";

  Kind kind = Kind::kAnonymous;
  std::string org_id{kDefaultOrg};
  std::string user_id;
  std::string role;        ///< of users; empty for keys
  std::string key_prefix;  ///< first 12 characters of the API key; empty otherwise
  PermissionSet permissions;
  bool org_active = true;
  /// What of the memory: whatever the permissions are, no other system is read or written.
  Systems systems;
  /// Who made this caller's token, when somebody else did (POST /auth/tokens); the first of them.
  std::string made_by;
  /// The organisation's plan; empty where authentication is off and no plan binds.
  std::optional<Plan> plan;

  // Limits of this very key; empty: none of its own.
  std::vector<std::string> allowed_models;  ///< empty: all that the organisation's policy allows
  bool semantic_cache = true;               ///< answers of like questions may serve
  std::optional<std::int64_t> requests_per_minute;
  std::optional<std::int64_t> tokens_per_minute;

  bool may(Permission permission) const { return permissions.has(permission); }
};

/// Who sent this request. The gate has set it for every route. Without a gate everything is open:
/// then it is an anonymous principal with every permission.
const Principal& principal_of(const http::Context& context);
std::shared_ptr<const Principal> shared_principal_of(const http::Context& context);

/// Who acted, as logs and audit entries name him: "key:<prefix>" for an API key, else the user's
/// id, else "operator" (X-Admin-Secret) or "anonymous".
std::string actor_of(const Principal& caller);

}  // namespace asahi::identity
