#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/task.h"
#include "storage/cache/store.h"

namespace asahi::identity {

/// What a login is waiting for while the user is at the provider.
struct PendingLogin {
  std::string provider;
  std::string nonce;
  std::string verifier;  ///< PKCE
  std::string return_to;
};

/// Logins on their way, each under a random `state` and bound to the browser that began it by a
/// cookie: an answer that comes from another browser, for another provider, twice, or after ten
/// minutes finds nothing. Kept in the cache's store, so that any replica can finish a login.
/// Callable from any loop.
class LoginStates {
 public:
  static constexpr std::chrono::minutes kLife{10};

  /// `store` outlives it.
  explicit LoginStates(cache::Store& store) : store_(store) {}

  struct Begun {
    PendingLogin login;
    std::string state;
    std::string cookie;  ///< value of the browser's cookie
  };
  /// Errors: unavailable, timeout.
  Task<Begun> begin(std::string provider, std::string return_to);
  /// Ends the waiting, whether it fits or not. Nothing: unknown, used, expired, another browser's
  /// or another provider's.
  Task<std::optional<PendingLogin>> take(std::string state, std::string cookie,
                                         std::string provider);

 private:
  cache::Store& store_;
};

/// Where a login may lead back to: a path on this host and nothing that a browser could read as
/// another one.
bool is_safe_return_path(std::string_view path);

}  // namespace asahi::identity
