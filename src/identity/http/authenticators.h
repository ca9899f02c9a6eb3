#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "identity/http/authenticator.h"
#include "identity/keys/api_keys.h"
#include "identity/tenants/tenants.h"
#include "identity/users/lockout.h"
#include "identity/users/roles.h"
#include "identity/users/sessions.h"

namespace asahi::identity {

/// `Authorization: Bearer ask_…` or `x-api-key: ask_…`. `keys` outlives it.
std::shared_ptr<Authenticator> make_key_authenticator(ApiKeys& keys);

/// `X-Admin-Secret` for the operator of the installation, who may do everything in every
/// organisation. Guessing is slowed down per address. `is_secret` says whether a value is right and
/// takes the same time for every wrong one; `client_ip` names the sender. `lockout` outlives it.
std::shared_ptr<Authenticator> make_admin_authenticator(
    std::function<bool(std::string_view)> is_secret, Lockout& lockout,
    std::function<std::string(const http::Request&)> client_ip);

/// `Authorization: Bearer` or `X-API-Key` with the one token of AKOSHA_API_TOKEN: may store, search
/// and see the state, in the default organisation.
std::shared_ptr<Authenticator> make_static_token_authenticator(Secret token);

/// The dashboard's cookie. What changes something must bring the session's token in X-CSRF-Token,
/// else: forbidden. A session that is over takes its cookie away. All outlive it.
std::shared_ptr<Authenticator> make_session_authenticator(Sessions& sessions, Roles& roles,
                                                          Tenants& tenants);

/// True for GET, HEAD and OPTIONS.
bool is_read(http::Method method);
/// Cookies are marked Secure unless the request came over plain HTTP from this very machine.
bool wants_secure_cookie(const http::Request& request);

}  // namespace asahi::identity
