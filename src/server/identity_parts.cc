#include "server/identity_parts.h"

#include "base/clock.h"
#include "base/hash.h"
#include "gateway/governance/masking_audit.h"
#include "identity/audit/routes.h"
#include "identity/limits/migrations.h"
#include "identity/secrets/migrations.h"
#include "identity/tokens/migrations.h"
#include "identity/tokens/token_routes.h"
#include "server/browser_logins.h"

namespace asahi::server {

std::vector<sql::Migration> identity_migrations() {
  std::vector<sql::Migration> all;
  for (auto part :
       {identity::core_migrations(), identity::token_migrations(), identity::limits_migrations(),
        identity::audit_migrations(), identity::secrets_migrations()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

Result<identity::AuditOptions> audit_options(const ServerConfig& config) {
  identity::AuditOptions options;
  options.spool_dir = config.gateway.governance.audit_storage_dir;
  options.max_queued = config.gateway.governance.audit_max_entries;
  // The pepper is the one secret that is always there and never rotated; what signs the heads opens
  // no key.
  ASAHI_TRY(const Secret pepper,
            identity::read_pepper(config.identity.key_pepper, config.gateway.app.data_dir));
  options.head_key = to_hex(hmac_sha256(pepper.reveal(), "asahi audit heads"));
  return options;
}

Result<std::unique_ptr<IdentityParts>> IdentityParts::make(Lent lent) {
  std::unique_ptr<IdentityParts> parts(new IdentityParts(std::move(lent)));
  const Lent& from = parts->lent_;
  const gateway::GatewayConfig& config = from.config.gateway;
  ASAHI_TRY(const identity::AuditOptions auditing, audit_options(from.config));
  ASAHI_TRY(parts->audit_, identity::open_audit_log(auditing, from.database, system_clock()));
  parts->masked_audit_ = gateway::make_masking_audit(*parts->audit_);
  auto local = identity::make_memory_limiter(system_clock());
  if (from.redis == nullptr) {
    parts->limiter_ = std::move(local);
  } else {
    parts->limiter_ = identity::make_redis_limiter(from.redis, config.redis.rate_limit_prefix,
                                                   std::move(local), system_clock());
  }
  identity::BudgetLedgerOptions budgeting;
  budgeting.journal_file = config.app.data_dir + "/budgets.journal";
  ASAHI_TRY(parts->budgets_,
            identity::open_budget_ledger(budgeting, from.database, from.redis, system_clock()));
  ASAHI_TRY(
      parts->identity_,
      identity::Identity::make({from.config.identity, config.app.environment, config.app.data_dir,
                                from.loops, from.database, from.redis, from.metrics, system_clock(),
                                parts->audit(), *parts->limiter_}));
  if (auto made = parts->make_tokens(); !made) return std::unexpected(std::move(made.error()));
  return parts;
}

/// Logins get tokens, and tokens log in.
Result<void> IdentityParts::make_tokens() {
  const identity::Config& config = lent_.config.identity;
  const std::chrono::seconds life(config.access_ttl_seconds);
  identity::SigningKeysOptions signing;
  signing.alg = identity::parse_jwt_alg(config.jwt_alg).value_or(identity::JwtAlg::kHs256);
  signing.secret = config.jwt_secret;
  signing.key_file = config.jwt_key_file;
  signing.folder = lent_.config.gateway.app.data_dir + "/jwt_keys";
  signing.overlap = life + std::chrono::seconds(60);
  ASAHI_TRY(signing_keys_, identity::SigningKeys::open(signing, system_clock()));
  access_tokens_ = std::make_unique<identity::AccessTokens>(
      identity::AccessTokens::Options{config.jwt_issuer, config.jwt_audience, life}, *signing_keys_,
      system_clock());
  refresh_tokens_ = std::make_unique<identity::RefreshTokens>(
      identity::RefreshTokens::Options{.life = std::chrono::seconds(config.refresh_ttl_seconds)},
      lent_.database, system_clock());
  const identity::FindOrg find_org =
      [&tenants = identity_->tenants()](std::string org) -> Task<identity::OrgStanding> {
    ASAHI_CO_TRY(const identity::OrgState state, co_await tenants.state(std::move(org)));
    co_return identity::OrgStanding{state.active, state.plan ? state.plan->name : ""};
  };
  token_issuer_ =
      identity::make_token_issuer(*access_tokens_, *refresh_tokens_, identity_->users(), find_org);
  identity_->use_tokens(*token_issuer_);
  identity::JwtAuthenticator::Parts parts{
      .own = *access_tokens_,
      .users = identity_->users(),
      .find_org = find_org,
      .key_opens = [&keys = identity_->keys()](std::string org, std::string prefix) -> Task<bool> {
        ASAHI_CO_TRY(const identity::ApiKey key,
                     co_await keys.get(std::move(org), std::move(prefix)));
        const std::string_view status = key.status(system_clock().now());
        co_return status == "active" || status == "rotated";
      },
      .clock = system_clock()};
  ASAHI_TRY(auto authenticator, identity::JwtAuthenticator::make(std::move(parts)));
  // Who was removed or revoked is out at once, not when the memo forgets.
  identity_->invalidation().listen(
      [authenticator](std::string_view, std::string_view) { authenticator->forget(); });
  identity_->add_authenticator(authenticator);
  return {};
}

Result<void> IdentityParts::add_routes(http::Router& router) {
  identity_->add_routes(router);
  const identity::RecordAudit record = [&log = audit()](identity::AuditEntry entry) {
    (void)log.record(std::move(entry));
  };
  const identity::ClientIp client_ip = [&gate = identity_->gate()](const http::Request& request) {
    return gate.client_ip(request);
  };
  identity::add_token_routes(
      router, {.tokens = *access_tokens_,
               .keys = *signing_keys_,
               .find_key = [&keys = identity_->keys()](
                               std::string key) { return keys.verify(std::move(key)); },
               .audit = record,
               .client_ip = client_ip});
  identity::add_audit_routes(router, audit(), system_clock());

  login_states_ = std::make_unique<identity::LoginStates>(identity_->store());
  return add_browser_logins(router, {.config = lent_.config.identity,
                                     .data_dir = lent_.config.gateway.app.data_dir,
                                     .identity = *identity_,
                                     .states = *login_states_,
                                     .clients = lent_.clients,
                                     .audit = record,
                                     .client_ip = client_ip});
}

Task<void> IdentityParts::prune_tokens() {
  ASAHI_CO_TRY([[maybe_unused]] const std::int64_t removed,
               co_await refresh_tokens_->remove_ended());
  // A few small files, once an hour.
  co_return signing_keys_->reload();
}

void IdentityParts::stop() {
  identity_->stop();
  // What does not get through in time is on disk, and goes on at the next start.
  (void)budgets_->flush(std::chrono::seconds(2));
  (void)audit_->flush(std::chrono::seconds(2));
}

}  // namespace asahi::server
