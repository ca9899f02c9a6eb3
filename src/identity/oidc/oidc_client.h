#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "identity/http/login_states.h"
#include "identity/oidc/provider.h"
#include "identity/tokens/http_fetch.h"
#include "identity/tokens/jwks.h"
#include "identity/tokens/jwt.h"

namespace asahi::identity {

/// Talks to one provider: its discovery document, kept for an hour, its keys, and its token
/// endpoint. Thread-safe.
class OidcClient {
 public:
  static constexpr std::chrono::minutes kFresh{60};
  static constexpr std::chrono::seconds kPause{
      5};  ///< after a failure, before the provider is asked again

  /// `clock` outlives it.
  OidcClient(OidcProvider provider, HttpFetch fetch, const Clock& clock);

  const OidcProvider& provider() const { return provider_; }

  /// Where to send the browser. Errors: unavailable, timeout, upstream.
  Task<std::string> login_url(LoginStates::Begun begun, std::string redirect_uri);
  /// The verified claims of who logged in. `issuer`: what the answer says about its sender (RFC
  /// 9207). Errors: unauthenticated (the code or the id token is not good), unavailable, timeout,
  /// upstream.
  Task<JwtClaims> redeem(std::string code, std::optional<std::string> issuer, PendingLogin login,
                         std::string redirect_uri);

 private:
  struct Endpoints {
    OidcMetadata metadata;
    std::shared_ptr<RemoteJwks> keys;
  };
  Task<std::shared_ptr<const Endpoints>> discover();
  std::unexpected<Error> refuse(std::string_view reason) const;

  const OidcProvider provider_;
  const HttpFetch fetch_;
  const Clock& clock_;
  const Logger log_{"identity"};
  std::mutex mutex_;  // never held across a suspension
  std::shared_ptr<const Endpoints> endpoints_;
  Clock::Steady fetched_at_{};
  std::optional<Clock::Steady> failed_at_;
};

}  // namespace asahi::identity
