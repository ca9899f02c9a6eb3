#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "base/task.h"
#include "identity/users/users.h"
#include "net/http/message.h"
#include "storage/cache/store.h"

namespace asahi::identity {

/// A dashboard login. The cookie holds a random id (its hash is stored); mutations must repeat
/// `csrf_token` in the header X-CSRF-Token.
struct Session {
  std::string id;  ///< random, 256 bits; only in the cookie
  std::string csrf_token;
  std::string org_id, user_id, role;
  Clock::Time expires_at{};
};

/// Sessions in Redis (`session:{user_id}` index, spec §6) or in process, one hour from the last
/// use.
class Sessions {
 public:
  static constexpr std::string_view kCookie = "asahi_session";
  virtual ~Sessions() = default;
  virtual Task<Session> open(const User& user) = 0;
  virtual Task<std::optional<Session>> find(std::string id) = 0;
  virtual Task<void> close(std::string id) = 0;
  /// Ends all sessions of a user (removed, role changed, password changed).
  virtual Task<void> close_all(std::string user_id) = 0;
  /// The Set-Cookie value: HttpOnly, SameSite=Lax, Path=/, Secure unless the request came over
  /// plain HTTP on loopback.
  static std::string cookie(const Session& session, bool secure);
  static std::string expired_cookie(bool secure);
  /// The session's id in a request's cookies; empty: none.
  static std::string_view id_in(const http::Request& request);
};

/// At most a day from `open`, and an hour from the last use. `store` (shared by replicas) and
/// `clock` outlive it.
std::unique_ptr<Sessions> make_sessions(cache::Store& store, const Clock& clock);

}  // namespace asahi::identity
