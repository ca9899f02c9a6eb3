#pragma once

#include <string>

#include "identity/http/login_states.h"
#include "identity/identity.h"
#include "identity/tokens/token_routes.h"
#include "net/http/client.h"
#include "net/http/router.h"
#include "net/loop.h"

namespace asahi::server {

/// What logins at identity providers work with; references outlive the routes.
struct BrowserLoginParts {
  const identity::Config& config;
  std::string data_dir;
  identity::Identity& identity;
  identity::LoginStates& states;
  net::PerLoop<http::Client>& clients;
  identity::RecordAudit audit;
  identity::ClientIp client_ip;
};

/// The routes of OIDC and SAML with the providers of the settings. Reads metadata files and the key
/// that signs SAML requests, or makes it; ordinary threads only. Errors: invalid_argument (the
/// settings of a provider, its metadata), unavailable (a file).
Result<void> add_browser_logins(http::Router& router, BrowserLoginParts parts);

}  // namespace asahi::server
