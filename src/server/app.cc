#include "server/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/migrations/migrations.h"
#include "jobs/queue.h"
#include "memory/measure/operation.h"
#include "memory/module.h"
#include "net/blocking.h"
#include "net/http/server.h"
#include "server/accounts.h"
#include "server/certificate_keeper.h"
#include "server/commands/daemon.h"
#include "server/exporters.h"
#include "server/folder_lock.h"
#include "server/identity_parts.h"
#include "server/live_listener.h"
#include "server/schema_keeper.h"
#include "server/secret_parts.h"
#include "server/settings_routes.h"
#include "server/shutdown_token.h"
#include "storage/cache/memory_store.h"
#include "storage/cache/redis_store.h"
#include "telemetry/metrics.h"

namespace asahi::server {
namespace {

http::Headers security_headers(const gateway::GatewayConfig& config) {
  http::Headers headers;
  headers.add("X-Content-Type-Options", "nosniff");
  headers.add("X-Frame-Options", "DENY");
  headers.add("Referrer-Policy", "strict-origin-when-cross-origin");
  headers.add("Permissions-Policy", "camera=(), microphone=(), geolocation=()");
  const bool https =
      config.app.environment != "development" || !config.api.tls_certificate_file.empty();
  if (https && config.api.hsts_seconds > 0) {
    headers.add("Strict-Transport-Security",
                fmt::format("max-age={}; includeSubDomains", config.api.hsts_seconds));
  }
  return headers;
}

bool redirects_to_https(const gateway::GatewayConfig& config) {
  return config.api.https_redirect == "on" ||
         (config.api.https_redirect == "auto" && config.app.environment != "development");
}

/// Sends a client that a TLS proxy let in over plain HTTP to the same address over HTTPS. Health
/// checks come from inside and are answered as they are.
std::optional<http::Response> https_redirect(const http::Context& context) {
  const http::Request& request = context.request;
  if (request.headers.get("x-forwarded-proto") != "http" || request.path.starts_with("/health"))
    return std::nullopt;
  http::Response response;
  response.status = 308;
  response.headers.add("Location",
                       fmt::format("https://{}{}", request.headers.get("host"), request.target));
  return response;
}

/// A browser's EventSource sends no headers: live streams take an access token from the query as
/// well. Only a JWT: an API key lives too long for addresses, which others keep.
void take_query_token(const http::Context& context) {
  http::Request& request = context.request;
  if (!context.route.ends_with("/live") || request.headers.has("authorization")) return;
  const auto token = request.query_param("token");
  if (token && std::ranges::count(*token, '.') == 2)
    request.headers.set("authorization", "Bearer " + *token);
}

http::ServerLimits limits_of(const gateway::ApiConfig& api) {
  http::ServerLimits limits;
  limits.max_body_bytes = api.max_body_bytes;
  limits.max_active_requests = api.max_active_requests;
  limits.request_timeout = std::chrono::seconds(api.request_timeout_seconds);
  return limits;
}

}  // namespace

std::vector<sql::Migration> all_migrations() {
  std::vector<sql::Migration> all;
  for (auto part :
       {jobs::migrations(), gateway::migrations(), identity_migrations(), memory::migrations()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

Result<std::unique_ptr<sql::Database>> open_configured_database(
    const gateway::GatewayConfig& config) {
  // Nobody begins an empty database where one has been moved away.
  if (auto here = FolderLock::check_not_moved(config.app.data_dir); !here)
    return std::unexpected(std::move(here.error()));
  std::error_code ignored;
  std::filesystem::create_directories(config.app.data_dir, ignored);
  return sql::open_database(
      {.url = config.database.url,
       .data_dir = config.app.data_dir,
       .pool_size = static_cast<std::size_t>(config.database.pool_size),
       .statement_timeout = std::chrono::milliseconds(config.database.statement_timeout_ms)});
}

Result<std::shared_ptr<cache::RedisClients>> open_configured_redis(
    const gateway::GatewayConfig& config, net::LoopPool& loops) {
  if (config.redis.url.empty()) return nullptr;
  cache::RedisOptions redis;
  redis.timeout = std::chrono::milliseconds(config.redis.timeout_ms);
  redis.cluster =
      config.redis.cluster == "off" ? cache::ClusterMode::kOff : cache::ClusterMode::kAuto;
  ASAHI_TRY(redis.endpoint, cache::parse_redis_url(config.redis.url));
  return cache::make_redis_clients(loops, redis);
}

/// Members stand in the order they are built; they go in reverse.
struct App::Impl {
  explicit Impl(const ServerConfig& given, FolderLock held)
      : settings(given),
        lock(std::move(held)),
        loops(static_cast<std::size_t>(given.gateway.api.workers)) {}

  const ServerConfig settings;
  const gateway::GatewayConfig& config = settings.gateway;
  Logger logger{"server"};
  FolderLock lock;
  telemetry::Registry metrics;
  net::LoopPool loops;
  std::unique_ptr<net::PerLoop<http::Client>> clients;
  std::unique_ptr<SecretParts> secrets;
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<SchemaKeeper> schema;
  std::shared_ptr<cache::RedisClients> redis;
  std::unique_ptr<cache::Store> local_cache;
  std::unique_ptr<cache::Store> shared_cache;
  std::unique_ptr<IdentityParts> identity;
  std::unique_ptr<IdentityAccounts> accounts;
  std::unique_ptr<gateway::Gateway> gateway;
  std::unique_ptr<memory::MemoryModule> memory;  ///< null: not served here
  std::unique_ptr<MetricExporters> exporters;    ///< null: metrics are scraped only
  std::unique_ptr<jobs::Queue> queue;
  std::unique_ptr<jobs::Worker> worker;
  std::vector<std::string> routes;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<CertificateKeeper> certificate;
  std::unique_ptr<http::Server> metrics_server;
  std::unique_ptr<LiveListener> live;  ///< null: live events are at /memory/ws only
  bool stopped = false;

  /// Work that is due at certain times, once over all replicas unless it is about this node's
  /// files.
  void add_jobs() {
    queue = std::make_unique<jobs::Queue>(*database, system_clock());
    // Nothing here is in a hurry, and an idle database shall sleep.
    worker = std::make_unique<jobs::Worker>(
        *queue, loops.at(0), system_clock(),
        jobs::Worker::Options{.concurrency = 1, .poll = std::chrono::seconds(10)});
    const std::string retention = "gateway.retention." + gateway->node_id();
    worker->handle(retention, [this](const jobs::Job&) -> Task<void> {
      ASAHI_CO_TRY(const json::object report, co_await gateway->run_retention());
      logger.info("retention", {{"deleted", json::serialize(report)}});
      co_return Result<void>{};
    });
    worker->cron("17 3 * * *", retention, {});
    if (config.alerts.enabled && !config.alerts.email_to.empty()) {
      worker->handle("gateway.digest",
                     [this](const jobs::Job&) -> Task<void> { return gateway->send_digest(); });
      worker->cron(fmt::format("0 {} * * *", config.alerts.digest_hour_utc), "gateway.digest", {});
    }
    worker->handle("identity.tokens",
                   [this](const jobs::Job&) -> Task<void> { return identity->prune_tokens(); });
    worker->cron("7 * * * *", "identity.tokens", {});
    worker->handle(std::string(kReencrypt),
                   [this](const jobs::Job&) -> Task<void> { return identity->reencrypt(); });
    worker->cron("37 * * * *", std::string(kReencrypt), {});
  }

  static constexpr std::string_view kReencrypt = "identity.reencrypt";

  /// On the thread of secrets.
  void exchange(const identity::SecretSource::Names& changed) {
    for (const std::string& name : changed) {
      gateway->use_vendor_key(name, secrets->source().get(name));
      if (name != kEncryptionKey) continue;
      // Other processes shall have the new key before they meet values written with it.
      const auto wait =
          2 * (settings.vault ? settings.vault->read_every : std::chrono::seconds(30));
      auto queued = net::run_sync<Result<std::string>>(loops.at(0), [this, wait] {
        return queue->enqueue(std::string(kReencrypt), {},
                              {.delay = wait, .unique_key = "new key"});
      });
      if (!queued)
        logger.warning("re-encryption waits for its hour", {{"error", queued.error().message}});
    }
  }
};

App::App(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

App::~App() { stop(); }

Result<std::unique_ptr<App>> App::start(const ServerConfig& settings, Listeners listeners) {
  const gateway::GatewayConfig& config = settings.gateway;
  ASAHI_TRY(FolderLock lock, FolderLock::take(config.app.data_dir));
  auto impl = std::make_unique<Impl>(settings, std::move(lock));
  impl->clients = std::make_unique<net::PerLoop<http::Client>>(impl->loops, [](net::Loop& loop) {
    return std::make_unique<http::Client>(loop, http::ClientOptions{});
  });
  impl->loops.start();
  ASAHI_TRY(impl->secrets, SecretParts::make({impl->settings, impl->loops, impl->metrics}));
  ASAHI_TRY(impl->database, open_configured_database(impl->config));
  impl->schema = std::make_unique<SchemaKeeper>(*impl->database, config.database.auto_migrate);

  impl->local_cache = std::make_unique<cache::MemoryStore>(
      cache::MemoryOptions{.max_entries = config.cache.max_entries}, system_clock());
  ASAHI_TRY(impl->redis, open_configured_redis(config, impl->loops));
  if (impl->redis != nullptr && config.cache.tier1.backend != "memory") {
    impl->shared_cache = std::make_unique<cache::RedisStore>(impl->redis);
  }
  ASAHI_TRY(impl->identity,
            IdentityParts::make({impl->settings, impl->loops, *impl->database, impl->redis,
                                 impl->metrics, *impl->clients, *impl->secrets}));
  identity::Identity& identity = impl->identity->identity();
  identity::Invalidation& invalidation = identity.invalidation();
  impl->accounts = std::make_unique<IdentityAccounts>(identity);
  cache::Store& store = impl->shared_cache != nullptr ? *impl->shared_cache : *impl->local_cache;
  ASAHI_TRY(
      impl->gateway,
      gateway::Gateway::make(
          {impl->config, impl->loops, *impl->clients, *impl->database, store, *impl->local_cache,
           impl->metrics, system_clock(), impl->identity->budgets(), impl->identity->limiter(),
           impl->identity->audit(), *impl->accounts,
           [&invalidation](const std::string& org) {
             net::Loop::current()->spawn("rules changed", invalidation.publish("policy", org));
           },
           [&identity] { return identity.health() == "healthy"; }, &impl->identity->own_keys(),
           &impl->secrets->ring(), impl->redis}));
  gateway::Gateway& gateway = *impl->gateway;
  impl->secrets->on_change(
      [raw = impl.get()](const identity::SecretSource::Names& changed) { raw->exchange(changed); });
  invalidation.listen([&gateway](std::string_view kind, std::string_view id) {
    if (kind.empty() || kind == "policy") gateway.forget_rules(id);
  });
  const auto limits = [usual = settings.identity.rate_limit_per_minute](
                          const identity::Principal& caller, std::optional<std::int64_t> granted) {
    return identity::CallerLimits{caller.requests_per_minute.value_or(usual),
                                  granted.value_or(usual)};
  };
  using Caller = identity::Principal;
  identity.use_limits(
      {.known = [&gateway, limits](const Caller& caller) -> std::optional<identity::CallerLimits> {
         const auto granted = gateway.try_requests_per_minute(caller);
         if (!granted) return std::nullopt;
         return limits(caller, *granted);
       },
       .found = [&gateway,
                 limits](std::shared_ptr<const Caller> caller) -> Aw<identity::CallerLimits> {
         const auto granted = co_await gateway.requests_per_minute(caller->org_id);
         co_return limits(*caller, granted);
       }});
  if (settings.memory.enabled) {
    ASAHI_TRY(impl->memory,
              memory::MemoryModule::make(
                  {impl->settings.memory, impl->loops, *impl->database, impl->shared_cache.get(),
                   impl->metrics, system_clock(), impl->identity->audit(), ASAHI_VERSION,
                   &identity.gate(), settings.identity.auth_required, settings.effective,
                   memory::Component::kAll, &impl->identity->security(), shut_down_as_asked,
                   shutdown_token_or_none(config.app.data_dir)}));
  }

  http::Router router;
  impl->gateway->add_routes(router);
  if (impl->memory != nullptr) impl->memory->add_routes(router, "/memory");
  if (auto added = impl->identity->add_routes(router); !added)
    return std::unexpected(std::move(added.error()));
  add_settings_routes(router, settings.effective);
  for (const http::Route* route : router.routes()) {
    impl->routes.push_back(
        fmt::format("{} {} {}", http::to_string(route->method), route->pattern, route->access));
  }
  http::ServerOptions options;
  options.host = listeners == Listeners::kLoopbackOnly ? "127.0.0.1" : config.api.host;
  options.port = listeners == Listeners::kLoopbackOnly ? 0 : config.api.port;
  options.limits = limits_of(config.api);
  options.default_headers = security_headers(config);
  options.cors_origins = config.api.cors_origins;
  options.errors = impl->gateway->errors_by_path();
  if (!config.api.tls_certificate_file.empty())
    options.tls = http::TlsFiles{config.api.tls_certificate_file, config.api.tls_private_key_file};
  options.before = [redirects = redirects_to_https(config)](const http::Context& context) {
    take_query_token(context);
    return redirects ? https_redirect(context) : std::nullopt;
  };
  options.gate = &identity.gate();
  options.on_complete = [&gateway,
                         of_memory = memory::HttpMetrics(impl->metrics, system_clock(), "/memory")](
                            const http::Context& context, int status, std::size_t bytes) {
    gateway.on_complete(context, status, bytes);
    of_memory.completed(context, status);
  };
  const Logger logger("server");
  options.on_exception = [logger](const http::Context& context, std::string_view what) {
    logger.error("a handler failed", {{"request_id", context.request_id},
                                      {"route", context.route},
                                      {"path", context.request.path},
                                      {"error", what}});
  };
  const std::optional<http::TlsFiles> tls = options.tls;
  ASAHI_TRY(impl->server, http::Server::bind(impl->loops, std::move(options), std::move(router)));
  if (impl->memory != nullptr && listeners == Listeners::kAsConfigured) {
    ASAHI_TRY(impl->live, LiveListener::open({.config = impl->settings.memory,
                                              .loops = impl->loops,
                                              .memory = *impl->memory,
                                              .gate = &identity.gate(),
                                              .host = config.api.host}));
  }

  if (listeners == Listeners::kAsConfigured && config.observability.prometheus_port != 0) {
    http::Router metrics_router;
    metrics_router.get("/metrics", [&gateway](http::Context&) -> Aw<http::Response> {
      co_return http::Response::text(200, gateway.expose_metrics(),
                                     "text/plain; version=0.0.4; charset=utf-8");
    });
    http::ServerOptions metrics_options;
    metrics_options.host = config.api.host;
    metrics_options.port = config.observability.prometheus_port;
    metrics_options.errors = http::native_error;
    auto bound =
        http::Server::bind(impl->loops, std::move(metrics_options), std::move(metrics_router));
    if (bound) {
      impl->metrics_server = std::move(*bound);
      impl->metrics_server->start();
    } else {
      // Scraping is not what the product is for: /metrics on the main port answers too.
      impl->logger.warning(
          "the metrics listener is off",
          {{"port", config.observability.prometheus_port}, {"error", bound.error().message}});
    }
  }
  ASAHI_TRY(impl->exporters,
            MetricExporters::make({impl->config.exporters, config.app.name, gateway.node_id(),
                                   impl->loops, *impl->clients, impl->metrics,
                                   [&gateway] { gateway.refresh_metrics(); }, system_clock()}));
  impl->add_jobs();
  impl->secrets->start();
  impl->identity->start();
  impl->worker->start();
  impl->gateway->start();
  if (impl->memory != nullptr) impl->memory->start();
  if (impl->exporters != nullptr) impl->exporters->start();
  impl->server->start();
  if (impl->live != nullptr) impl->live->start();
  if (tls)
    impl->certificate = std::make_unique<CertificateKeeper>(impl->loops.at(0), *impl->server, *tls);
  return std::unique_ptr<App>(new App(std::move(impl)));
}

std::uint16_t App::port() const { return impl_->server->port(); }
net::Loop& App::loop() { return impl_->loops.at(0); }
http::Client& App::client() { return impl_->clients->at(0); }
std::vector<std::string> App::routes() const { return impl_->routes; }
void App::reload(const ServerConfig* fresh) {
  impl_->gateway->reload();
  if (fresh != nullptr) impl_->secrets->reload(fresh->own_secrets);
}

void App::stop() {
  Impl& impl = *impl_;
  if (std::exchange(impl.stopped, true)) return;
  impl.gateway->begin_drain();
  if (impl.memory != nullptr) impl.memory->begin_drain();
  impl.certificate.reset();
  // Listeners are told that it is over, and need not finish anything.
  if (impl.live != nullptr) impl.live->drain(std::chrono::seconds(1));
  impl.server->drain(std::chrono::seconds(impl.config.api.shutdown_grace_seconds));
  if (impl.metrics_server != nullptr) impl.metrics_server->drain(std::chrono::seconds(1));
  impl.secrets->stop();
  impl.worker->stop(std::chrono::seconds(2));
  if (impl.memory != nullptr) impl.memory->stop();
  impl.gateway->stop();
  // After the last event was counted.
  if (impl.exporters != nullptr) impl.exporters->stop();
  impl.identity->stop();
  impl.loops.stop();
}

}  // namespace asahi::server
