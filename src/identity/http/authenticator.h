#pragma once

#include <memory>
#include <optional>

#include "base/task.h"
#include "identity/principal.h"

namespace asahi::identity {

/// One way to prove who one is: API key, JWT, session cookie, admin secret. The gate asks them in
/// turn. Errors: unauthenticated, with one message for unknown, wrong, expired and revoked
/// credentials alike, so that nothing is learned from it; unavailable when the store that would
/// know is away.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  /// True when the request carries this kind of credential: then nobody else is asked.
  virtual bool applies(const http::Context& context) const = 0;
  /// Decides without suspending when it can (known key, valid signature); empty: ask
  /// `authenticate`.
  virtual std::optional<Result<std::shared_ptr<const Principal>>> try_authenticate(
      http::Context& context) = 0;
  virtual Task<std::shared_ptr<const Principal>> authenticate(http::Context& context) = 0;
};

}  // namespace asahi::identity
