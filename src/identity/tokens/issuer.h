#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "identity/tokens/access_tokens.h"
#include "identity/tokens/refresh_tokens.h"
#include "identity/tokens/token_issuer.h"
#include "identity/users/users.h"

namespace asahi::identity {

/// How an organisation stands now.
struct OrgStanding {
  bool active = true;
  std::string plan;  ///< name; empty: none binds
};
using FindOrg = std::function<Task<OrgStanding>(std::string org_id)>;

/// Tokens of users: an access token that is signed and a refresh token that is stored. All outlive
/// it. `find_org` says what a renewed token is worth (Tenants::state).
std::unique_ptr<TokenIssuer> make_token_issuer(AccessTokens& access, RefreshTokens& refresh,
                                               Users& users, FindOrg find_org);

}  // namespace asahi::identity
