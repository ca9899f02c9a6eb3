#pragma once

#include <functional>
#include <string>
#include <vector>

#include "identity/http/browser_login.h"
#include "identity/http/login_states.h"
#include "identity/oidc/oidc_client.h"
#include "identity/oidc/provider.h"
#include "net/http/router.h"

namespace asahi::identity {

/// What the OIDC routes look at; references outlive the routes.
struct OidcRoutes {
  std::vector<OidcProvider> providers;
  HttpFetch fetch;
  LoginStates& states;
  BrowserLogin::Parts browser;
  /// Further ways to log in (SAML); may be empty.
  std::function<std::vector<LoginOption>()> more_options;
  const Clock& clock;
};

/// GET /auth/oidc/{provider}/login and /callback, GET /auth/providers; all public. A login leads
/// back to `return_to`, a path on this host ("/" without one). Errors are a page for browsers and
/// the native body for others. Errors: invalid_argument (a provider's settings, or public_url).
Result<void> add_oidc_routes(http::Router& router, OidcRoutes parts);

}  // namespace asahi::identity
