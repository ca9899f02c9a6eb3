#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "identity/http/browser_login.h"
#include "identity/http/login_states.h"
#include "identity/saml/service_provider.h"
#include "identity/saml/sp_key.h"
#include "net/http/router.h"
#include "storage/cache/store.h"

namespace asahi::identity {

/// What the SAML routes look at; references outlive the routes.
struct SamlRoutes {
  std::vector<SamlProvider> providers;
  std::optional<SpKey> key;  ///< there when there are providers
  LoginStates& states;
  /// Where the IDs of assertions that were used are kept, for all replicas.
  cache::Store& used;
  BrowserLogin::Parts browser;
  const Clock& clock;
};

/// GET /auth/saml/{org}/metadata and /login, POST /auth/saml/{org}/acs; all public. Logins begin
/// here only: what a provider sends without having been asked is refused.
///
/// The response comes as a POST from the provider's site, and browsers send no SameSite=Lax cookie
/// with that: the login's cookie is SameSite=None, hence Secure even over plain HTTP on this
/// machine, where Chromium and Firefox take it. It holds the request's ID and a secret of this
/// browser, is good for one answer within ten minutes, and is sent to /auth/saml only. Without it
/// no XML is read.
///
/// XML and RSA are worked on one thread of the routes' own: an honest response takes well under a
/// millisecond, but what a stranger sends must not hold up a loop. Where many wait, more are turned
/// away with 503. Errors: invalid_argument (a provider's settings, public_url), internal.
Result<void> add_saml_routes(http::Router& router, SamlRoutes parts);

/// The organisations' logins, for the login page.
std::vector<LoginOption> saml_options(const std::vector<SamlProvider>& providers);

}  // namespace asahi::identity
