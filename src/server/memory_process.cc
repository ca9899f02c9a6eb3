#include "server/memory_process.h"

#include <fmt/format.h>

#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "memory/http/health_routes.h"
#include "memory/measure/operation.h"
#include "memory/module.h"
#include "memory/wiring/ageing_role.h"
#include "memory/wiring/fleet.h"
#include "memory/wiring/store_role.h"
#include "net/http/server.h"
#include "server/app.h"
#include "server/certificate_keeper.h"
#include "server/commands/daemon.h"
#include "server/folder_lock.h"
#include "server/identity_parts.h"
#include "server/live_listener.h"
#include "server/schema_keeper.h"
#include "server/secret_parts.h"
#include "server/shutdown_token.h"
#include "storage/cache/redis_store.h"
#include "telemetry/metrics.h"

namespace asahi::server {
namespace {

/// A snapshot is the longest call of a store.
constexpr std::chrono::seconds kStoreCall{600};
constexpr std::size_t kStoreCalls = 512;

memory::Component component_of(const ServerConfig& settings) {
  return *memory::parse_component(settings.memory.component);
}

}  // namespace

/// Members stand in the order they are built; they go in reverse.
struct MemoryProcess::Impl {
  explicit Impl(const ServerConfig& given)
      : settings(given),
        role(memory::role_of(component_of(given))),
        loops(static_cast<std::size_t>(given.gateway.api.workers)),
        health{.service = role.component == memory::Component::kAll
                              ? std::string("akosha")
                              : fmt::format("akosha-{}", role.name),
               .version = ASAHI_VERSION,
               .component = std::string(role.name),
               .clock = system_clock(),
               .metrics = metrics,
               .checks = {},
               .measure = {},
               .serve_metrics = given.memory.metrics_enabled} {}

  const ServerConfig settings;
  const gateway::GatewayConfig& config = settings.gateway;
  const memory::Role& role;
  Logger logger{"server"};
  std::unique_ptr<FolderLock> lock;
  telemetry::Registry metrics;
  net::LoopPool loops;
  memory::ProcessHealth health;
  // Of roles with users.
  std::unique_ptr<net::PerLoop<http::Client>> clients;
  std::unique_ptr<SecretParts> secrets;
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<SchemaKeeper> schema;
  std::shared_ptr<cache::RedisClients> redis;
  std::unique_ptr<cache::Store> shared_cache;
  std::unique_ptr<IdentityParts> identity;
  std::unique_ptr<memory::MemoryModule> memory;
  // Of the others.
  std::unique_ptr<memory::StoreRole> store;
  std::unique_ptr<memory::AgeingRole> ageing;
  std::unique_ptr<memory::Fleet> fleet;
  std::unique_ptr<http::Server> server;          ///< null: no API
  std::unique_ptr<http::Server> metrics_server;  ///< null: the API's listener has them
  std::unique_ptr<LiveListener> live;            ///< null: live events are at /ws only
  std::vector<std::unique_ptr<CertificateKeeper>> certificates;
  bool stopped = false;

  Result<void> open_database();
  Result<void> make_users();
  Result<void> make_role();
  Result<void> listen();
  Result<void> add_api(http::Router& router, http::ServerOptions& options);
  std::optional<http::TlsFiles> tls() const;
  http::ServerOptions listener(std::uint16_t port) const;
};

Result<void> MemoryProcess::Impl::open_database() {
  ASAHI_TRY(database, open_configured_database(config));
  schema = std::make_unique<SchemaKeeper>(*database, config.database.auto_migrate);
  return {};
}

Result<void> MemoryProcess::Impl::make_users() {
  ASAHI_TRY(secrets, SecretParts::make({settings, loops, metrics}));
  if (auto ok = open_database(); !ok) return ok;
  ASAHI_TRY(redis, open_configured_redis(config, loops));
  if (redis != nullptr) shared_cache = std::make_unique<cache::RedisStore>(redis);
  ASAHI_TRY(identity,
            IdentityParts::make({settings, loops, *database, redis, metrics, *clients, *secrets}));
  ASAHI_TRY(memory, memory::MemoryModule::make(
                        {.config = settings.memory,
                         .loops = loops,
                         .database = *database,
                         .shared_cache = shared_cache.get(),
                         .metrics = metrics,
                         .clock = system_clock(),
                         .audit = identity->audit(),
                         .version = ASAHI_VERSION,
                         .gate = &identity->identity().gate(),
                         .auth_required = settings.identity.auth_required,
                         .settings = settings.effective,
                         .component = role.component,
                         .security = &identity->security(),
                         .shut_down = shut_down_as_asked,
                         .shutdown_token = shutdown_token_or_none(config.app.data_dir)}));
  health.checks = std::make_unique<memory::Health>(memory->dependencies(), system_clock());
  return {};
}

Result<void> MemoryProcess::Impl::make_role() {
  using enum memory::Component;
  switch (role.component) {
    case kAll: {
      ASAHI_TRY(FolderLock held, FolderLock::take(config.app.data_dir));
      lock = std::make_unique<FolderLock>(std::move(held));
      return make_users();
    }
    case kIngestionWorker:
    case kQueryServer:
      return make_users();
    case kHotStore:
    case kWarmStore: {
      if (auto here = FolderLock::check_not_moved(config.app.data_dir); !here)
        return std::unexpected(std::move(here.error()));
      const auto tier = role.component == kHotStore ? memory::Tier::kHot : memory::Tier::kWarm;
      ASAHI_TRY(store, memory::StoreRole::open(tier, {settings.memory, system_clock(), metrics}));
      health.checks = std::make_unique<memory::Health>(store->dependencies(), system_clock());
      health.measure = [raw = store.get()] { return raw->measure(); };
      return {};
    }
    case kMetricsExporter: {
      if (auto ok = open_database(); !ok) return ok;
      ASAHI_TRY(fleet,
                memory::Fleet::make({settings.memory, loops, *database, system_clock(), metrics}));
      health.checks = std::make_unique<memory::Health>(fleet->dependencies(), system_clock());
      health.measure = [raw = fleet.get()] { return raw->measure(); };
      return {};
    }
    case kAgingService: {
      if (auto ok = open_database(); !ok) return ok;
      ASAHI_TRY(redis, open_configured_redis(config, loops));
      if (redis != nullptr) shared_cache = std::make_unique<cache::RedisStore>(redis);
      ASAHI_TRY(ageing,
                memory::AgeingRole::make({settings.memory, loops, *database, shared_cache.get(),
                                          metrics, system_clock(), ASAHI_VERSION}));
      health.checks = std::make_unique<memory::Health>(ageing->dependencies(), system_clock());
      return {};
    }
  }
  std::unreachable();
}

std::optional<http::TlsFiles> MemoryProcess::Impl::tls() const {
  const auto& api = settings.memory.api;
  if (api.tls_certificate_file.empty()) return std::nullopt;
  return http::TlsFiles{api.tls_certificate_file, api.tls_private_key_file};
}

http::ServerOptions MemoryProcess::Impl::listener(std::uint16_t port) const {
  const auto& api = settings.memory.api;
  http::ServerOptions options;
  options.host = api.host;
  options.port = port;
  options.errors = http::native_error;
  options.tls = tls();
  const Logger log("server");
  options.on_exception = [log](const http::Context& context, std::string_view what) {
    log.error("a handler failed", {{"request_id", context.request_id},
                                   {"route", context.route},
                                   {"path", context.request.path},
                                   {"error", what}});
  };
  return options;
}

/// The routes of the role, and what their listener needs beyond any other.
Result<void> MemoryProcess::Impl::add_api(http::Router& router, http::ServerOptions& options) {
  if (store != nullptr) {
    store->add_routes(router);
    options.limits.max_active_requests = kStoreCalls;
    options.limits.request_timeout = kStoreCall;
    options.limits.body_timeout = std::chrono::seconds(60);
    return {};
  }
  memory->add_routes(router, "");
  if (role.queries) {
    if (auto added = identity->add_routes(router); !added) return added;
  }
  const gateway::ApiConfig& api = config.api;
  options.limits.max_body_bytes = api.max_body_bytes;
  options.limits.max_active_requests = api.max_active_requests;
  options.limits.request_timeout = std::chrono::seconds(api.request_timeout_seconds);
  options.cors_origins = api.cors_origins;
  options.default_headers.add("X-Content-Type-Options", "nosniff");
  options.gate = &identity->identity().gate();
  options.on_complete = [counted = memory::HttpMetrics(metrics, system_clock(), "")](
                            const http::Context& context, int status, std::size_t) {
    counted.completed(context, status);
  };
  return {};
}

Result<void> MemoryProcess::Impl::listen() {
  const auto& api = settings.memory.api;
  const bool has_api = role.api_port != 0;
  if (has_api) {
    http::Router router;
    add_health_routes(router, health);
    http::ServerOptions options =
        listener(api.port < 0 ? role.api_port : static_cast<std::uint16_t>(api.port));
    if (auto added = add_api(router, options); !added) return added;
    ASAHI_TRY(server, http::Server::bind(loops, std::move(options), std::move(router)));
  }
  if (memory != nullptr && role.queries) {
    ASAHI_TRY(live, LiveListener::open({.config = settings.memory,
                                        .loops = loops,
                                        .memory = *memory,
                                        .gate = &identity->identity().gate(),
                                        .host = api.host,
                                        .by_default = true}));
  }
  const bool own_metrics =
      !has_api || api.prometheus_port >= 0 || role.metrics_port != role.api_port;
  if (own_metrics) {
    http::Router router;
    add_health_routes(router, health);
    http::ServerOptions options =
        listener(api.prometheus_port < 0 ? role.metrics_port
                                         : static_cast<std::uint16_t>(api.prometheus_port));
    ASAHI_TRY(metrics_server, http::Server::bind(loops, std::move(options), std::move(router)));
  }
  return {};
}

MemoryProcess::MemoryProcess(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

MemoryProcess::~MemoryProcess() { stop(); }

Result<void> MemoryProcess::age_once(const ServerConfig& config) {
  if (component_of(config) != memory::Component::kAgingService)
    return fail_field("memory.component", "--once is for the aging_service");
  ASAHI_TRY(const auto process, build(config));
  Impl& impl = *process->impl_;
  impl.metrics_server->start();
  auto done = impl.ageing->age_once();
  process->stop();
  return done;
}

Result<std::unique_ptr<MemoryProcess>> MemoryProcess::build(const ServerConfig& config) {
  auto impl = std::make_unique<Impl>(config);
  impl->clients = std::make_unique<net::PerLoop<http::Client>>(impl->loops, [](net::Loop& loop) {
    return std::make_unique<http::Client>(loop, http::ClientOptions{});
  });
  impl->loops.start();
  if (auto made = impl->make_role(); !made) return std::unexpected(made.error());
  if (auto bound = impl->listen(); !bound) return std::unexpected(bound.error());
  return std::unique_ptr<MemoryProcess>(new MemoryProcess(std::move(impl)));
}

Result<std::unique_ptr<MemoryProcess>> MemoryProcess::start(const ServerConfig& config) {
  ASAHI_TRY(auto process, build(config));
  Impl* const impl = process->impl_.get();
  if (impl->secrets != nullptr) impl->secrets->start();
  if (impl->identity != nullptr) impl->identity->start();
  if (impl->memory != nullptr) impl->memory->start();
  if (impl->ageing != nullptr) impl->ageing->start();
  if (impl->server != nullptr) impl->server->start();
  if (impl->metrics_server != nullptr) impl->metrics_server->start();
  if (impl->live != nullptr) impl->live->start();
  if (const auto tls = impl->tls()) {
    for (http::Server* const listening : {impl->server.get(), impl->metrics_server.get()}) {
      if (listening == nullptr) continue;
      impl->certificates.push_back(
          std::make_unique<CertificateKeeper>(impl->loops.at(0), *listening, *tls));
    }
  }
  return process;
}

std::uint16_t MemoryProcess::port() const {
  return impl_->server != nullptr ? impl_->server->port() : impl_->metrics_server->port();
}

std::uint16_t MemoryProcess::metrics_port() const {
  return impl_->metrics_server != nullptr ? impl_->metrics_server->port() : impl_->server->port();
}

void MemoryProcess::stop() {
  Impl& impl = *impl_;
  if (std::exchange(impl.stopped, true)) return;
  impl.health.draining = true;
  impl.certificates.clear();
  if (impl.memory != nullptr) impl.memory->begin_drain();
  if (impl.live != nullptr) impl.live->drain(std::chrono::seconds(1));
  if (impl.server != nullptr)
    impl.server->drain(std::chrono::seconds(impl.config.api.shutdown_grace_seconds));
  if (impl.secrets != nullptr) impl.secrets->stop();
  if (impl.memory != nullptr) impl.memory->stop();
  if (impl.ageing != nullptr)
    impl.ageing->stop(std::chrono::seconds(impl.config.api.shutdown_grace_seconds));
  if (impl.identity != nullptr) impl.identity->stop();
  if (impl.metrics_server != nullptr) impl.metrics_server->drain(std::chrono::seconds(1));
  impl.loops.stop();
}

}  // namespace asahi::server
