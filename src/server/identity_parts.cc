#include "server/identity_parts.h"

#include <algorithm>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "gateway/governance/masking_audit.h"
#include "identity/audit/routes.h"
#include "identity/http/authenticators.h"
#include "identity/limits/counted_limiter.h"
#include "identity/limits/migrations.h"
#include "identity/secrets/migrations.h"
#include "identity/tokens/made_tokens.h"
#include "identity/tokens/migrations.h"
#include "identity/tokens/token_routes.h"
#include "net/blocking.h"
#include "server/browser_logins.h"

namespace asahi::server {
namespace {

/// How late a process learns of an organisation's vendor key when the notice got lost.
constexpr std::chrono::seconds kOwnKeysEvery{30};

}  // namespace

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
  parts->security_ = std::make_unique<identity::SecurityLog>(from.metrics, system_clock());
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
  parts->limiter_ = identity::make_counted_limiter(std::move(parts->limiter_), from.metrics);
  identity::BudgetLedgerOptions budgeting;
  budgeting.journal_file = config.app.data_dir + "/budgets.journal";
  ASAHI_TRY(parts->budgets_,
            identity::open_budget_ledger(budgeting, from.database, from.redis, system_clock()));
  ASAHI_TRY(parts->identity_,
            identity::Identity::make(
                {from.config.identity, config.app.environment, config.app.data_dir, from.loops,
                 from.database, from.redis, from.metrics, system_clock(), parts->audit(),
                 *parts->limiter_, from.secrets.source(), parts->security_.get()}));
  if (auto made = parts->make_tokens(); !made) return std::unexpected(std::move(made.error()));
  parts->make_provider_keys();
  return parts;
}

void IdentityParts::make_provider_keys() {
  identity::Invalidation& invalidation = identity_->invalidation();
  provider_keys_ = std::make_unique<identity::ProviderKeys>(
      lent_.database, lent_.secrets.ring(), system_clock(),
      [&invalidation](std::string org, const std::string&) {
        net::Loop::current()->spawn(
            "vendor key changed",
            invalidation.publish(std::string(identity::OwnKeys::kKind), std::move(org)));
      },
      identity::ProviderKeys::Options{});
  own_keys_ = std::make_unique<identity::OwnKeys>(lent_.database, *provider_keys_);
  invalidation.listen([this](std::string_view kind, std::string_view id) {
    if (!kind.empty() && kind != identity::OwnKeys::kKind) return;
    own_keys_->forget(id);
    // stop() does not return between the look and the work.
    const net::Background::Mark mark(background_);
    if (background_.stopping()) return;
    background_.run("vendor keys of organisations",
                    [this](const net::Background::Sleep&) { return read_own_keys(); });
  });
  std::vector<std::string> providers;
  for (const auto& [name, vendor] : lent_.config.gateway.providers.vendors) {
    if (!vendor.api_key_env.empty()) providers.push_back(name);
  }
  identity_->use_provider_keys(*provider_keys_, *own_keys_, std::move(providers));
  reencryptor_ = std::make_unique<identity::Reencryptor>(
      lent_.database, lent_.secrets.ring(),
      std::vector<identity::EncryptedColumn>{identity::provider_keys_column()});
}

Aw<void> IdentityParts::read_own_keys() {
  // An outage is the database's to report; who had keys before has them still.
  (void)co_await own_keys_->refresh();
}

void IdentityParts::start() {
  // Read before the first call, if the database lets us.
  (void)net::run_sync<bool>(lent_.loops.at(0), [this]() -> Aw<bool> {
    co_await read_own_keys();
    co_return true;
  });
  identity_->start();
  background_.run("vendor keys of organisations", [this](net::Background::Sleep sleep) -> Aw<void> {
    while (co_await sleep(kOwnKeysEvery)) co_await read_own_keys();
  });
}

Task<void> IdentityParts::reencrypt() {
  constexpr std::size_t kBatch = 200;
  ASAHI_CO_TRY(
      const identity::Reencryptor::Count done,
      co_await reencryptor_->run(*net::Loop::current(), kBatch, std::chrono::milliseconds(50),
                                 &background_.cancel_source()));
  for (const auto& [result, number] :
       {std::pair{"renewed", done.renewed}, std::pair{"changed", done.changed},
        std::pair{"unreadable", done.unreadable}}) {
    lent_.metrics
        .counter("asahi_reencrypted_values_total",
                 "Stored values met while they were written under the newest encryption key",
                 {{"result", result}})
        .add(static_cast<double>(number));
  }
  if (done.renewed + done.changed + done.unreadable > 0) {
    static const Logger logger("secrets");
    logger.info("stored values written under the newest encryption key",
                {{"renewed", done.renewed},
                 {"changed_meanwhile", done.changed},
                 {"unreadable", done.unreadable}});
  }
  co_return Result<void>{};
}

/// The secret of now is the settings' or Vault's; what it replaced is accepted for the overlap.
std::vector<Secret> IdentityParts::previous_jwt_secrets() const {
  std::vector<Secret> previous = lent_.secrets.source().accepted(kJwtSecret);
  if (!previous.empty()) previous.erase(previous.begin());
  for (Secret& listed :
       identity::secret_list(lent_.secrets.source().get(kJwtSecretPrevious).reveal()))
    previous.push_back(std::move(listed));
  return previous;
}

Result<void> IdentityParts::use_jwt_secrets() {
  return signing_keys_->use_secrets(lent_.secrets.source().get(kJwtSecret), previous_jwt_secrets());
}

/// Issuers and the service that the settings name.
Result<void> IdentityParts::accept_tokens_of_others(identity::JwtAuthenticator::Parts& parts) {
  const identity::Config& config = lent_.config.identity;
  const auto& external = config.external;
  parts.fetch = [&clients = lent_.clients](http::ClientRequest request, http::CallOptions options) {
    return clients.local().send(std::move(request), options);
  };
  // The memory's operator stores and searches; here that is a developer, the operator runs it all.
  identity::ExternalIssuer settings{
      .name = "jwks",
      .issuer = external.issuer,
      .jwks_uri = external.jwks_url,
      .audience = external.audience,
      .org_id = std::string(identity::Principal::kDefaultOrg),
      .org_claim = "tenant",
      .required = external.required_claims,
      .roles = {.claim = "roles",
                .map = {{"admin", "admin"}, {"operator", "developer"}, {"viewer", "viewer"}},
                .fallback = {}},
      .jwks_life = std::chrono::seconds(config.jwks_cache_seconds)};
  if (!external.jwks_url.empty()) parts.issuers.push_back(settings);
  if (external.service_url.empty()) return {};
  settings.name = "verified";
  ASAHI_TRY(parts.elsewhere.service,
            identity::VerifyService::make(external.service_url, parts.fetch, system_clock()));
  parts.elsewhere.settings = std::move(settings);
  return {};
}

/// Logins get tokens, and tokens log in.
Result<void> IdentityParts::make_tokens() {
  const identity::Config& config = lent_.config.identity;
  const std::chrono::seconds life(config.access_ttl_seconds);
  identity::SigningKeysOptions signing;
  signing.alg = identity::parse_jwt_alg(config.jwt_alg).value_or(identity::JwtAlg::kHs256);
  signing.secret = lent_.secrets.source().get(kJwtSecret);
  signing.previous_secrets = previous_jwt_secrets();
  signing.key_file = config.jwt_key_file;
  signing.folder = lent_.config.gateway.app.data_dir + "/jwt_keys";
  signing.overlap = life + std::chrono::seconds(60);
  ASAHI_TRY(signing_keys_, identity::SigningKeys::open(signing, system_clock()));
  lent_.secrets.on_change([this](const identity::SecretSource::Names& changed) {
    if (std::ranges::none_of(changed, [](const std::string& name) {
          return name == kJwtSecret || name == kJwtSecretPrevious;
        })) {
      return;
    }
    if (auto taken = use_jwt_secrets(); !taken) {
      Logger("secrets").error("the secret that signs tokens is not taken up; the one before stays",
                              {{"error", taken.error().message}});
    }
  });
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
  if (auto ok = accept_tokens_of_others(parts); !ok) return ok;
  ASAHI_TRY(auto authenticator, identity::JwtAuthenticator::make(std::move(parts)));
  // Who was removed or revoked is out at once, not when the memo forgets.
  identity_->invalidation().listen(
      [authenticator](std::string_view, std::string_view) { authenticator->forget(); });
  if (!config.api_token.empty())
    identity_->add_authenticator(identity::make_static_token_authenticator(config.api_token));
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
  identity::add_made_token_routes(router, {.tokens = *access_tokens_,
                                           .users = identity_->users(),
                                           .audit = audit(),
                                           .client_ip = client_ip,
                                           .clock = system_clock()});
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
  // A few small files, once an hour. Secrets of before end when their overlap does.
  co_return use_jwt_secrets();
}

void IdentityParts::stop() {
  background_.stop();
  identity_->stop();
  // What does not get through in time is on disk, and goes on at the next start.
  (void)budgets_->flush(std::chrono::seconds(2));
  (void)audit_->flush(std::chrono::seconds(2));
}

}  // namespace asahi::server
