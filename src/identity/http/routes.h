#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "identity/audit/audit.h"
#include "identity/http/denials.h"
#include "identity/http/gate.h"
#include "identity/keys/api_keys.h"
#include "identity/secrets/own_keys.h"
#include "identity/secrets/provider_keys.h"
#include "identity/tenants/tenants.h"
#include "identity/tokens/token_issuer.h"
#include "identity/users/roles.h"
#include "identity/users/sessions.h"
#include "identity/users/users.h"
#include "net/http/router.h"

namespace asahi::identity {

/// What the routes of organisations' vendor keys work with.
struct ProviderKeyParts {
  ProviderKeys& keys;
  OwnKeys& own;
  std::vector<std::string> providers;  ///< that a key may be set for
};

/// What the module's routes work with; all outlive them.
struct RouteParts {
  ApiKeys& keys;
  Tenants& tenants;
  Users& users;
  Roles& roles;
  Sessions& sessions;
  AuditLog& audit;
  Denials& denials;
  const IdentityGate& gate;
  TokenIssuer* tokens;  ///< null: logins get a session only
  const Clock& clock;
  std::string signup;                                          ///< open, first or off
  std::shared_ptr<const ProviderKeyParts> provider_keys = {};  ///< null: no such routes
};
using SharedRouteParts = std::shared_ptr<const RouteParts>;

/// POST/GET /governance/api-keys, DELETE …/{prefix}, POST …/{prefix}/rotate, POST /auth/keys,
/// DELETE /auth/keys/{prefix}.
void add_key_routes(http::Router& router, const SharedRouteParts& parts);
/// POST /signup, /auth/signup, /auth/login, /auth/refresh, /auth/logout, /auth/delete-account, GET
/// /auth/me.
void add_account_routes(http::Router& router, const SharedRouteParts& parts);
/// GET/POST /org/users, DELETE /org/users/{user_id} (or ?user_id=), GET/POST /org/roles.
void add_org_routes(http::Router& router, const SharedRouteParts& parts);
/// GET/POST /tenants, GET/PATCH /tenants/{org}.
void add_tenant_routes(http::Router& router, const SharedRouteParts& parts);
/// POST/GET/DELETE /providers/keys, DELETE /providers/keys/{provider}.
void add_provider_key_routes(http::Router& router, const SharedRouteParts& parts);

}  // namespace asahi::identity
