#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "base/task.h"
#include "identity/users/users.h"

namespace asahi::identity {

/// A dashboard login. The cookie holds a random id (its hash is stored); mutations must repeat `csrf_token` in the
/// header X-CSRF-Token.
struct Session {
  std::string id;  ///< random, 256 bits; only in the cookie
  std::string csrf_token;
  std::string org_id, user_id, role;
  Clock::Time expires_at{};
};

/// Sessions in Redis (`session:{user_id}` index, spec §6) or in process, one hour from the last use.
class Sessions {
 public:
  static constexpr std::string_view kCookie = "asahi_session";
  virtual ~Sessions() = default;
  virtual Task<Session> open(const User& user) = 0;
  virtual Task<std::optional<Session>> find(std::string id) = 0;
  virtual Task<void> close(std::string id) = 0;
  /// Ends all sessions of a user (removed, role changed, password changed).
  virtual Task<void> close_all(std::string user_id) = 0;
  /// The Set-Cookie value: HttpOnly, SameSite=Lax, Path=/, Secure unless the request came over plain HTTP on loopback.
  static std::string cookie(const Session& session, bool secure);
  static std::string expired_cookie(bool secure);
};

}  // namespace asahi::identity
