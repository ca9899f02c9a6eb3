#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "identity/audit/audit.h"
#include "identity/config.h"
#include "identity/http/gate.h"
#include "identity/keys/api_keys.h"
#include "identity/keys/invalidation.h"
#include "identity/limits/rate_limiter.h"
#include "identity/secrets/own_keys.h"
#include "identity/secrets/provider_keys.h"
#include "identity/secrets/secret_source.h"
#include "identity/tenants/tenants.h"
#include "identity/tokens/token_issuer.h"
#include "identity/users/roles.h"
#include "identity/users/sessions.h"
#include "identity/users/users.h"
#include "net/http/router.h"
#include "net/loop.h"
#include "storage/cache/redis_client.h"
#include "storage/cache/store.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"
#include "telemetry/metrics.h"

namespace asahi::identity {

/// Tables of keys, tenants, users and roles: versions 200–209. The table `api_keys` itself is the
/// gateway's (101).
std::vector<sql::Migration> core_migrations();

/// Who may do what, as server/ sees it: settings in, gate and routes out. Made in two steps,
/// because the ways to log in that other folders bring (JWT, OIDC, SAML) need the users, and the
/// gate needs them.
class Identity {
 public:
  /// What the process lends; all outlive the module.
  struct Parts {
    const Config& config;
    std::string environment;  ///< app.environment
    std::string data_dir;
    net::LoopPool& loops;
    sql::Database& database;
    std::shared_ptr<cache::RedisClients> redis;  ///< null: this process is alone
    telemetry::Registry& metrics;
    const Clock& clock;
    AuditLog& audit;
    RateLimiter& limiter;
    const SecretSource& secrets;      ///< asked for ASAHI_ADMIN_SECRET
    SecurityLog* security = nullptr;  ///< null: nobody is told
  };
  /// Errors: invalid_argument (settings), unavailable (the pepper's file).
  static Result<std::unique_ptr<Identity>> make(Parts parts);
  ~Identity();

  ApiKeys& keys();
  Tenants& tenants();
  Users& users();
  Roles& roles();
  Sessions& sessions();
  Invalidation& invalidation();
  /// Where sessions are: Redis, or in process.
  cache::Store& store();

  /// A further way to log in (JWT), asked after API keys and before the session cookie. Before
  /// `gate` is first used.
  void add_authenticator(std::shared_ptr<Authenticator> authenticator);
  /// Where logins get their tokens; without one they get a session only. Before `add_routes`;
  /// outlives the module.
  void use_tokens(TokenIssuer& tokens);
  /// Adds the routes of organisations' vendor keys; `providers`: that one may be set for. Before
  /// `add_routes`; the first two outlive the module.
  void use_provider_keys(ProviderKeys& keys, OwnKeys& own, std::vector<std::string> providers);
  /// Limits of plan, policy and key; without it the defaults of `api.rate_limit_per_minute`. Before
  /// `gate` is first used.
  void use_limits(IdentityGate::LimitsOf limits_of);

  /// Made at the first call.
  IdentityGate& gate();
  void add_routes(http::Router& router);
  /// Starts listening for invalidations and writing last use. The loops run.
  void start();
  /// Ends the background work and writes out what is pending. Ordinary thread, loops still running.
  void stop();
  /// "healthy", or "degraded" until Redis was reached for the first time: before that, what other
  /// processes revoke is noticed within a minute only.
  std::string health() const;

 private:
  struct Impl;
  explicit Identity(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::identity
