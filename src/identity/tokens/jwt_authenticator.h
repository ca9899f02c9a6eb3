#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "identity/http/authenticator.h"
#include "identity/tokens/access_tokens.h"
#include "identity/tokens/claim_mapping.h"
#include "identity/tokens/issuer.h"
#include "identity/tokens/jwks.h"
#include "identity/tokens/token_memo.h"
#include "identity/tokens/verify_service.h"
#include "identity/users/users.h"

namespace asahi::identity {

/// Somebody else whose tokens are accepted.
struct ExternalIssuer {
  std::string name;  ///< short; in user ids: "jwt:<name>:<sub>"
  /// `iss`, exactly; empty: a URL of the same host that `jwks_uri` is below (issuer_fits).
  std::string issuer;
  std::string jwks_uri;  ///< where its keys are
  std::string audience;  ///< must be in `aud`
  std::string org_id;    ///< organisation of users whose token has no `org_claim`; empty: none
  std::string org_claim;
  std::vector<std::string> required;  ///< claims that must be there; without one: forbidden
  RoleMapping roles;
  std::chrono::seconds jwks_life{3'600};
};

/// A service that is asked about tokens of nobody we know, JWTs or not; how its claims are read.
struct VerifiedElsewhere {
  std::unique_ptr<VerifyService> service;  ///< null: there is none
  ExternalIssuer settings;                 ///< name, organisation, roles, required claims
};

/// Whether an issuer's name is that of the keys' own place: the same scheme, host and port, and a
/// path that theirs begins with. "https://id.example/realms/a" fits
/// "https://id.example/realms/a/protocol/openid-connect/certs".
bool issuer_fits(std::string_view issuer, std::string_view jwks_uri);

/// Bearer tokens that are JWTs: our own, then those of external issuers, then what a service says.
/// A valid token is remembered until it expires, for a minute at most; then it is verified anew,
/// and its user, organisation or API key is looked up: what was removed, deactivated or revoked is
/// out within that minute. Thread-safe, for loop threads.
class JwtAuthenticator final : public Authenticator {
 public:
  /// True while the API key behind a machine client's token still opens.
  using KeyOpens = std::function<Task<bool>(std::string org_id, std::string prefix)>;

  struct Parts {
    const AccessTokens& own;
    Users& users;
    FindOrg find_org;
    KeyOpens key_opens;
    std::vector<ExternalIssuer> issuers;
    HttpFetch fetch;  ///< of external issuers' keys; may be empty without any
    VerifiedElsewhere elsewhere = {};
    const Clock& clock;
    std::size_t max_remembered = 10'000;
  };
  static constexpr std::chrono::seconds kRemember{60};

  /// Errors: invalid_argument naming what is wrong with an external issuer.
  static Result<std::shared_ptr<JwtAuthenticator>> make(Parts parts);

  bool applies(const http::Context& context) const override;
  std::optional<Result<std::shared_ptr<const Principal>>> try_authenticate(
      http::Context& context) override;
  Task<std::shared_ptr<const Principal>> authenticate(http::Context& context) override;

  /// Verifies every token anew: keys or settings changed.
  void forget() { memo_.clear(); }

 private:
  struct External {
    ExternalIssuer settings;
    std::unique_ptr<RemoteJwks> keys;
  };
  struct Verified {
    std::shared_ptr<Principal> principal;
    Clock::Time expires_at;
  };
  explicit JwtAuthenticator(Parts parts);
  Task<Verified> verify(std::string token);
  Task<Verified> verify_own(std::string token);
  /// Whether who made a token for somebody else may still be here; nothing more is asked of callers
  /// that we keep no row of.
  Task<bool> maker_stands(const AccessClaims& claims);
  Task<Verified> verify_external(External& issuer, std::string issuer_name, std::string token);
  Task<Verified> verify_elsewhere(std::string token);
  /// Who a foreign token's bearer is here.
  Task<Verified> admit(const ExternalIssuer& settings, std::string subject, json::object claims,
                       Clock::Time expires_at);
  std::string_view token_of(const http::Request& request) const;
  /// Fills in what the organisation is worth now.
  Task<void> set_org(std::shared_ptr<Principal> principal);
  std::unexpected<Error> refuse(JwtFault fault);
  std::unexpected<Error> refuse(std::string_view reason);

  Parts parts_;
  std::vector<External> externals_;
  TokenMemo memo_;
  Logger log_{"identity"};
  RateLimited refusals_{std::chrono::seconds(1)};
};

/// What stands behind "Authorization: Bearer"; empty: nothing does.
std::string_view bearer_token(const http::Request& request);
/// The token of "Authorization: Bearer …" when it has the shape of a JWT; empty otherwise.
std::string_view bearer_jwt(const http::Request& request);

}  // namespace asahi::identity
