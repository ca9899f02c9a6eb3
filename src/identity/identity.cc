#include "identity/identity.h"

#include <stdexcept>

#include "base/log.h"
#include "identity/http/authenticators.h"
#include "identity/http/routes.h"
#include "identity/keys/migrations.h"
#include "identity/tenants/migrations.h"
#include "identity/users/lockout.h"
#include "identity/users/migrations.h"
#include "identity/users/passwords.h"
#include "net/background.h"
#include "net/blocking.h"
#include "storage/cache/memory_store.h"
#include "storage/cache/redis_store.h"

namespace asahi::identity {
namespace {

constexpr std::chrono::seconds kLastUsedEvery{30};
constexpr std::chrono::minutes kSweepEvery{5};

}  // namespace

std::vector<sql::Migration> core_migrations() {
  return {keys_migration(), tenants_migration(), users_migration(), keys_semantic_cache_migration(),
          keys_systems_migration()};
}

struct Identity::Impl {
  explicit Impl(Parts given)
      : parts(std::move(given)),
        invalidation(parts.loops, parts.redis),
        denials(
            {}, [this](AuditEntry entry) { (void)parts.audit.record(std::move(entry)); },
            parts.clock, parts.security) {}

  const Parts parts;
  const Logger log{"identity"};
  Invalidation invalidation;
  /// Sessions and lock-outs have a store of their own: what answers fill does not push them out.
  std::unique_ptr<cache::Store> store;
  std::unique_ptr<Passwords> passwords;
  std::unique_ptr<Lockout> lockout;
  std::unique_ptr<ApiKeys> keys;
  std::unique_ptr<Tenants> tenants;
  std::unique_ptr<Roles> roles;
  std::unique_ptr<Users> users;
  std::unique_ptr<Sessions> sessions;
  Denials denials;
  std::vector<std::shared_ptr<Authenticator>> added;
  TokenIssuer* tokens = nullptr;
  std::shared_ptr<const ProviderKeyParts> provider_keys;
  IdentityGate::LimitsOf limits_of;
  Networks trusted_proxies;
  std::unique_ptr<IdentityGate> gate;

  /// Repeats `work` on loop 0 until the module stops.
  void every(std::string what, std::chrono::milliseconds pause, std::function<Aw<void>()> work) {
    background.run(std::move(what),
                   [pause, work = std::move(work)](net::Background::Sleep sleep) -> Aw<void> {
                     while (co_await sleep(pause)) co_await work();
                   });
  }
  Aw<void> write_last_used() {
    auto written = co_await keys->write_last_used();
    if (!written)
      log.warning("the last use of API keys was not written", {{"error", written.error().message}});
  }

  net::Background background{parts.loops.at(0)};
};

Identity::Identity(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Identity::~Identity() = default;

Result<std::unique_ptr<Identity>> Identity::make(Parts parts) {
  const Config& config = parts.config;
  auto impl = std::make_unique<Impl>(std::move(parts));
  const Clock& clock = impl->parts.clock;
  sql::Database& database = impl->parts.database;
  // Organisations that nobody registered are bound by the smallest plan once callers have to say
  // who they are (R32).
  const std::optional<Plan> default_plan =
      config.auth_required ? std::optional(Plan{}) : std::nullopt;

  ASAHI_TRY(impl->trusted_proxies, Networks::parse(config.trusted_proxies));
  if (impl->parts.redis == nullptr) {
    impl->store =
        std::make_unique<cache::MemoryStore>(cache::MemoryOptions{.max_entries = 200'000}, clock);
  } else {
    impl->store = std::make_unique<cache::RedisStore>(impl->parts.redis);
  }
  impl->passwords = std::make_unique<Passwords>();
  impl->lockout = std::make_unique<Lockout>(
      Lockout::Options{.max_failures = config.max_failures,
                       .longest = std::chrono::seconds(config.max_lockout_seconds)},
      *impl->store, clock);
  ASAHI_TRY(Secret pepper, read_pepper(config.key_pepper, impl->parts.data_dir));
  ASAHI_TRY(impl->keys, make_api_keys({.prefix = config.key_prefix,
                                       .expiry_days = config.key_expiry_days,
                                       .rotation_overlap_hours = config.rotation_overlap_hours,
                                       .pepper = std::move(pepper),
                                       .default_plan = default_plan},
                                      database, impl->invalidation, clock));
  impl->tenants = make_tenants({.default_plan = default_plan}, database, impl->invalidation, clock);
  impl->roles = make_roles(database, impl->invalidation, clock);
  impl->users =
      make_users({database, *impl->roles, *impl->tenants, *impl->passwords, *impl->lockout, clock});
  impl->sessions = make_sessions(*impl->store, clock);
  return std::unique_ptr<Identity>(new Identity(std::move(impl)));
}

ApiKeys& Identity::keys() { return *impl_->keys; }
Tenants& Identity::tenants() { return *impl_->tenants; }
Users& Identity::users() { return *impl_->users; }
Roles& Identity::roles() { return *impl_->roles; }
Sessions& Identity::sessions() { return *impl_->sessions; }
Invalidation& Identity::invalidation() { return impl_->invalidation; }
cache::Store& Identity::store() { return *impl_->store; }

void Identity::add_authenticator(std::shared_ptr<Authenticator> authenticator) {
  impl_->added.push_back(std::move(authenticator));
}
void Identity::use_tokens(TokenIssuer& tokens) { impl_->tokens = &tokens; }
void Identity::use_provider_keys(ProviderKeys& keys, OwnKeys& own,
                                 std::vector<std::string> providers) {
  impl_->provider_keys = std::make_shared<const ProviderKeyParts>(keys, own, std::move(providers));
}
void Identity::use_limits(IdentityGate::LimitsOf limits_of) {
  if (impl_->gate != nullptr) throw std::logic_error("the gate stands already, without limits");
  impl_->limits_of = std::move(limits_of);
}

IdentityGate& Identity::gate() {
  Impl& impl = *impl_;
  if (impl.gate != nullptr) return *impl.gate;
  const Config& config = impl.parts.config;
  std::vector<std::shared_ptr<Authenticator>> authenticators;
  authenticators.push_back(make_admin_authenticator(
      [&secrets = impl.parts.secrets](std::string_view given) {
        return secrets.matches("ASAHI_ADMIN_SECRET", given);
      },
      *impl.lockout,
      [&impl](const http::Request& request) { return impl.gate->client_ip(request); }));
  authenticators.push_back(make_key_authenticator(*impl.keys));
  authenticators.insert(authenticators.end(), impl.added.begin(), impl.added.end());
  authenticators.push_back(make_session_authenticator(*impl.sessions, *impl.roles, *impl.tenants));
  impl.gate = std::make_unique<IdentityGate>(
      IdentityGate::Parts{.options = {.auth_required = config.auth_required,
                                      .requests_per_minute = config.rate_limit_per_minute,
                                      .anonymous_per_minute = config.rate_limit_per_minute,
                                      .trusted_proxies = impl.trusted_proxies},
                          .authenticators = std::move(authenticators),
                          .limiter = impl.parts.limiter,
                          .denials = impl.denials,
                          .clock = impl.parts.clock,
                          .limits_of = impl.limits_of});
  return *impl.gate;
}

void Identity::add_routes(http::Router& router) {
  Impl& impl = *impl_;
  const auto parts = std::make_shared<const RouteParts>(
      RouteParts{*impl.keys, *impl.tenants, *impl.users, *impl.roles, *impl.sessions,
                 impl.parts.audit, impl.denials, gate(), impl.tokens, impl.parts.clock,
                 signup_rule(impl.parts.config, impl.parts.environment), impl.provider_keys});
  add_key_routes(router, parts);
  add_account_routes(router, parts);
  add_org_routes(router, parts);
  add_tenant_routes(router, parts);
  if (impl.provider_keys != nullptr) add_provider_key_routes(router, parts);
}

void Identity::start() {
  Impl& impl = *impl_;
  impl.invalidation.start();
  impl.every("last use of API keys", kLastUsedEvery, [&impl] { return impl.write_last_used(); });
  impl.every("sweep of sessions", kSweepEvery,
             [&impl]() -> Aw<void> { (void)co_await impl.store->sweep(); });
}

void Identity::stop() {
  Impl& impl = *impl_;
  impl.background.stop();
  (void)net::run_sync<bool>(impl.parts.loops.at(0), [&impl]() -> Aw<bool> {
    co_await impl.write_last_used();
    co_return true;
  });
  impl.invalidation.stop();
}

std::string Identity::health() const {
  return impl_->invalidation.listening() ? "healthy" : "degraded";
}

}  // namespace asahi::identity
