#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/secret.h"
#include "base/task.h"
#include "identity/permissions.h"
#include "identity/users/users.h"

namespace asahi::identity {

/// What a login hands out (spec §2.8, §9.2).
struct TokenPair {
  Secret access_token;                     ///< a JWT
  Secret refresh_token;                    ///< opaque; traded once for a new pair
  std::chrono::seconds expires_in{3'600};  ///< of the access token
};

/// Makes and ends the tokens of users. Callable from any loop.
class TokenIssuer {
 public:
  virtual ~TokenIssuer() = default;
  /// `plan`: name of the organisation's plan, empty without one. Errors: unavailable (no signing
  /// key, store away).
  virtual Task<TokenPair> issue(User user, PermissionSet permissions, std::string plan) = 0;
  /// A new pair for a refresh token, which is spent by it. The user is looked up again: one who was
  /// removed, or whose role changed, gets nothing of before. Errors: unauthenticated (one message
  /// for every reason), unavailable.
  virtual Task<TokenPair> refresh(std::string refresh_token) = 0;
  /// Ends a refresh token; unknown ones are fine. Errors: unavailable.
  virtual Task<void> revoke(std::string refresh_token) = 0;
};

}  // namespace asahi::identity
