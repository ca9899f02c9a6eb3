#pragma once

#include "identity/audit/audit.h"
#include "identity/tokens/access_tokens.h"
#include "identity/tokens/token_routes.h"
#include "identity/users/users.h"
#include "net/http/router.h"

namespace asahi::identity {

/// What POST /auth/tokens works with; all outlive the route.
struct MadeTokens {
  const AccessTokens& tokens;
  Users& users;
  AuditLog& audit;
  ClientIp client_ip;
  const Clock& clock;
};

/// POST /auth/tokens (memory spec §2.2; permission manage_users): `user_id`, `roles` (1 to 16),
/// `systems` ("*" or a list; absent: those of the caller), `ttl_seconds` (1 to 86,400; 3,600) → a
/// JWT of the built-in issuer, for the caller's organisation.
///
/// `operator` is here the memory's: it stores, searches and sees the state. Nobody makes a token
/// that may more, or sees more systems, than they do. One for a user of ours never gives more than
/// the user's role of then; any other id names a machine. The token ends with the key or user that
/// made it, or that made the token it was made with.
///
/// Errors: invalid_argument with the field; forbidden (`roles`, `systems`: more than the caller
/// has); not_found (a user that was switched off); unavailable.
void add_made_token_routes(http::Router& router, MadeTokens parts);

}  // namespace asahi::identity
