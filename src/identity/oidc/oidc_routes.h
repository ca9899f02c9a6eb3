#pragma once

#include <functional>
#include <string>
#include <vector>

#include "identity/oidc/login_states.h"
#include "identity/oidc/oidc_client.h"
#include "identity/oidc/provider.h"
#include "identity/tokens/token_routes.h"
#include "identity/users/sessions.h"
#include "identity/users/users.h"
#include "net/http/router.h"

namespace asahi::identity {

/// One way to log in, as the login page shows it.
struct LoginOption {
  std::string id, name;
  std::string type;       ///< "oidc" or "saml"
  std::string login_url;  ///< path on this host
};

/// What the OIDC routes look at; references outlive the routes.
struct OidcRoutes {
  std::vector<OidcProvider> providers;
  HttpFetch fetch;
  LoginStates& states;
  Users& users;
  Sessions& sessions;
  /// Sessions::cookie.
  std::function<std::string(const Session&, bool secure)> session_cookie;
  /// Where browsers reach this gateway ("https://gw.example.com"); the providers know it as part of
  /// the redirect URI. Empty: taken from Host, on this machine only (127.0.0.1, localhost).
  std::string public_url;
  RecordAudit audit;
  ClientIp client_ip;
  /// Further ways to log in (SAML); may be empty.
  std::function<std::vector<LoginOption>()> more_options;
  const Clock& clock;
};

/// GET /auth/oidc/{provider}/login and /callback, GET /auth/providers; all public. A login leads
/// back to `return_to`, a path on this host ("/" without one). Errors are a page for browsers and
/// the native body for others. Errors: invalid_argument (a provider's settings, or public_url).
Result<void> add_oidc_routes(http::Router& router, OidcRoutes parts);

}  // namespace asahi::identity
