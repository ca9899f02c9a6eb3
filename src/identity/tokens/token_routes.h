#pragma once

#include <functional>
#include <memory>
#include <string>

#include "identity/audit/audit.h"
#include "identity/principal.h"
#include "identity/tokens/access_tokens.h"
#include "identity/tokens/signing_keys.h"
#include "net/http/router.h"

namespace asahi::identity {

/// Where refusals and logins of public routes are recorded; must not block.
using RecordAudit = std::function<void(AuditEntry)>;
/// The sender's address, past trusted proxies.
using ClientIp = std::function<std::string(const http::Request&)>;

/// What the token endpoints look at; all outlive the routes.
struct TokenRoutes {
  const AccessTokens& tokens;
  const SigningKeys& keys;
  /// Who an API key belongs to (ApiKeys::verify). Errors: unauthenticated, unavailable.
  std::function<Task<std::shared_ptr<const Principal>>(std::string key)> find_key;
  RecordAudit audit;
  ClientIp client_ip;
};

/// POST /oauth/token: client credentials (RFC 6749 §4.4). The client id is an API key's prefix, the
/// secret the whole key; in the form or by Basic authentication, never both. GET
/// /.well-known/jwks.json: the public signing keys. Both public.
void add_token_routes(http::Router& router, TokenRoutes parts);

}  // namespace asahi::identity
