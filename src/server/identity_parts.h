#pragma once

#include <memory>
#include <string>
#include <vector>

#include "identity/audit/audit.h"
#include "identity/http/login_states.h"
#include "identity/identity.h"
#include "identity/limits/budget_ledger.h"
#include "identity/limits/rate_limiter.h"
#include "identity/secrets/own_keys.h"
#include "identity/secrets/provider_keys.h"
#include "identity/secrets/reencryptor.h"
#include "identity/tokens/access_tokens.h"
#include "identity/tokens/issuer.h"
#include "identity/tokens/jwt_authenticator.h"
#include "identity/tokens/refresh_tokens.h"
#include "identity/tokens/signing_keys.h"
#include "net/background.h"
#include "net/http/client.h"
#include "net/http/router.h"
#include "net/loop.h"
#include "server/options.h"
#include "server/secret_parts.h"
#include "storage/cache/redis_client.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::server {

/// Everything of the identity module, put together: who calls, what they may, what they have used,
/// and the log of it. Members stand in the order they are built; they go in reverse.
class IdentityParts {
 public:
  /// What the process lends; all outlive the parts.
  struct Lent {
    const ServerConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    std::shared_ptr<cache::RedisClients> redis;  ///< null: this process is alone
    telemetry::Registry& metrics;
    net::PerLoop<http::Client>& clients;
    SecretParts& secrets;
  };
  static Result<std::unique_ptr<IdentityParts>> make(Lent lent);

  /// Masks personal data in what is written through it.
  identity::AuditLog& audit() { return *masked_audit_; }
  identity::RateLimiter& limiter() { return *limiter_; }
  identity::SecurityLog& security() { return *security_; }
  identity::BudgetLedger& budgets() { return *budgets_; }
  identity::Identity& identity() { return *identity_; }
  /// The organisations' own keys at vendors.
  identity::OwnKeys& own_keys() { return *own_keys_; }

  /// Errors: invalid_argument (the settings of an identity provider).
  Result<void> add_routes(http::Router& router);
  void start();
  /// Writes what was encrypted with previous keys under the newest one.
  Task<void> reencrypt();
  /// Removes what is left of logins that have ended, and takes up signing keys that another process
  /// made.
  Task<void> prune_tokens();
  /// Ordinary thread, loops still running, no more requests.
  void stop();

 private:
  explicit IdentityParts(Lent lent) : lent_(std::move(lent)), background_(lent_.loops.at(0)) {}
  Result<void> make_tokens();
  Result<void> accept_tokens_of_others(identity::JwtAuthenticator::Parts& parts);
  void make_provider_keys();
  std::vector<Secret> previous_jwt_secrets() const;
  Result<void> use_jwt_secrets();
  Aw<void> read_own_keys();

  const Lent lent_;
  std::unique_ptr<identity::SecurityLog> security_;
  std::unique_ptr<identity::AuditLog> audit_;
  std::unique_ptr<identity::AuditLog> masked_audit_;
  std::unique_ptr<identity::RateLimiter> limiter_;
  std::unique_ptr<identity::BudgetLedger> budgets_;
  std::unique_ptr<identity::Identity> identity_;
  std::unique_ptr<identity::SigningKeys> signing_keys_;
  std::unique_ptr<identity::AccessTokens> access_tokens_;
  std::unique_ptr<identity::RefreshTokens> refresh_tokens_;
  std::unique_ptr<identity::TokenIssuer> token_issuer_;
  std::unique_ptr<identity::LoginStates> login_states_;
  std::unique_ptr<identity::ProviderKeys> provider_keys_;
  std::unique_ptr<identity::OwnKeys> own_keys_;
  std::unique_ptr<identity::Reencryptor> reencryptor_;
  net::Background background_;  ///< on loop 0
};

/// The identity module's schema.
std::vector<sql::Migration> identity_migrations();
/// How this installation's audit log is kept. Errors: as identity::read_pepper.
Result<identity::AuditOptions> audit_options(const ServerConfig& config);

}  // namespace asahi::server
