#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/http/client.h"
#include "net/loop.h"
#include "server/options.h"
#include "storage/cache/redis_client.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::server {

/// The running product: loops, stores, modules and listeners, built in the order they need each
/// other and ended in reverse. Holds no logic of its own.
class App {
 public:
  enum class Listeners { kAsConfigured, kLoopbackOnly };

  /// Everything up and listening. Errors: unavailable (port, folder, another process on the data
  /// folder), invalid_argument (settings that only show at start).
  static Result<std::unique_ptr<App>> start(const ServerConfig& config, Listeners listeners);
  ~App();

  std::uint16_t port() const;
  net::Loop& loop();
  http::Client& client();
  /// Readiness off, requests in flight finished within the grace time, queues written out,
  /// everything stopped.
  void stop();
  /// SIGHUP: the models file is read again, and the secrets of `fresh` are taken up; null: the
  /// settings cannot be read now.
  void reload(const ServerConfig* fresh);
  /// "METHOD /pattern access" of every route.
  std::vector<std::string> routes() const;

 private:
  struct Impl;
  explicit App(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Every module's schema.
std::vector<sql::Migration> all_migrations();
Result<std::unique_ptr<sql::Database>> open_configured_database(
    const gateway::GatewayConfig& config);
/// Null where no Redis is configured. Connected on first use. Errors: invalid_argument (the URL).
Result<std::shared_ptr<cache::RedisClients>> open_configured_redis(
    const gateway::GatewayConfig& config, net::LoopPool& loops);

}  // namespace asahi::server
