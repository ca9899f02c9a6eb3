#pragma once
// An installation of the identity module on a real database, asked through its gate and routes.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "identity/http/testing/fakes.h"
#include "identity/identity.h"
#include "identity/testing/fakes.h"
#include "net/blocking.h"
#include "net/http/server.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::identity::testing {

/// A database of its own with the module's tables; null and the test marked as skipped where its
/// program is missing.
class TestPlace {
 public:
  static std::unique_ptr<TestPlace> make(sql::testing::Engine engine) {
    auto made = sql::testing::TestDatabase::make(engine);
    if (!made) {
      [&] {
        if (made.error().code == Errc::kNotFound) GTEST_SKIP() << made.error().message;
        FAIL() << made.error().message;
      }();
      return nullptr;
    }
    auto place = std::make_unique<TestPlace>();
    place->place_ = std::move(*made);
    place->database = place->open();
    std::vector<sql::Migration> migrations = core_migrations();
    migrations.push_back(api_keys_table());
    auto done = sql::Migrator(*place->database, migrations).upgrade();
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
    return place;
  }
  std::unique_ptr<sql::Database> open() const {
    auto opened = sql::open_database(place_->options());
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
    return std::move(*opened);
  }

 private:
  std::unique_ptr<sql::testing::TestDatabase> place_;

 public:
  std::unique_ptr<sql::Database> database;
};

/// What came back for a request.
struct Reply {
  int status = 0;
  std::string body;
  http::Headers headers;

  json::object object() const {
    const auto parsed = parse_json(body);
    return parsed && parsed->is_object() ? parsed->get_object() : json::object{};
  }
  std::string text(std::string_view name) const {
    const json::object all = object();
    const json::value* value = all.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
  }
};

/// One process of the installation.
class Process {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  Process(Config config, sql::Database& database, std::string data_dir, const Clock& clock,
          const cache::RedisOptions* redis = nullptr, bool limiter_suspends = false)
      : config_(std::move(config)), limiter(limiter_suspends) {
    loops_.start();
    if (redis != nullptr) redis_ = cache::make_redis_clients(loops_, *redis);
    auto made = Identity::make({config_, "development", std::move(data_dir), loops_, database,
                                redis_, metrics_, clock, audit, limiter});
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    identity = std::move(*made);
    identity->use_tokens(tokens);
    identity->add_routes(router);
    router.get(
        "/open",
        [](http::Context&) -> Aw<http::Response> { co_return http::Response::text(200, "open"); },
        "public");
    router.post(
        "/infer",
        [](http::Context&) -> Aw<http::Response> { co_return http::Response::text(200, "answer"); },
        "infer");
    identity->start();
  }
  ~Process() {
    identity->stop();
    redis_.reset();
    loops_.stop();
  }

  net::LoopPool& loops() { return loops_; }

  /// Runs a coroutine to its end.
  template <class Body>
  auto wait_for(Body body) {
    using Value = typename std::invoke_result_t<Body>::value_type;
    return net::run_sync<Value>(loops_.at(0), std::function<Aw<Value>()>(std::move(body)));
  }

  /// A request through gate and route, as net/http/server.h takes it.
  Reply call(http::Method method, const std::string& path, const std::string& body = {},
             const Fields& fields = {}, const std::string& peer = "127.0.0.1") {
    return wait_for([&]() -> Aw<Reply> {
      http::Request request;
      request.method = method;
      request.path = path.substr(0, path.find('?'));
      if (path.find('?') != std::string::npos) request.query = path.substr(path.find('?') + 1);
      request.body = body;
      request.remote_address = peer;
      for (const auto& [name, value] : fields) request.headers.add(name, value);
      const http::Router::Match match = router.match(method, request.path);
      Reply reply;
      if (match.route == nullptr) {
        reply.status = 404;
        co_return reply;
      }
      CancelSource cancel;
      http::Context context{.request = request,
                            .loop = loops_.at(0),
                            .cancel = cancel,
                            .deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60),
                            .received = std::chrono::steady_clock::now(),
                            .request_id = "req_1",
                            .client_request_id = {},
                            .path_params = match.params,
                            .route = match.route->pattern};
      auto entered = identity->gate().try_enter(context, *match.route);
      suspended = !entered.has_value();
      if (!entered) entered = co_await identity->gate().enter(context, *match.route);
      http::Response response;
      if (*entered) {
        response = co_await match.route->handler(context);
      } else {
        response = http::native_error(entered->error(), context);
      }
      reply.status = response.status;
      reply.body = response.body;
      reply.headers = response.headers;
      for (const auto& [name, value] : context.reply_headers) reply.headers.add(name, value);
      co_return reply;
    });
  }
  Reply get(const std::string& path, const Fields& fields = {}) {
    return call(http::Method::kGet, path, {}, fields);
  }
  Reply post(const std::string& path, const json::object& body, const Fields& fields = {},
             const std::string& peer = "127.0.0.1") {
    return call(http::Method::kPost, path, write_json(body), fields, peer);
  }
  Reply del(const std::string& path, const Fields& fields = {}) {
    return call(http::Method::kDelete, path, {}, fields);
  }

 private:
  const Config config_;
  net::LoopPool loops_{2};
  std::shared_ptr<cache::RedisClients> redis_;
  telemetry::Registry metrics_;

 public:
  AuditFake audit;
  LimiterFake limiter;
  PlainTokens tokens;
  std::unique_ptr<Identity> identity;
  http::Router router;
  bool suspended = false;  ///< the last call needed more than `try_enter`
};

inline Process::Fields bearer(const std::string& key) {
  return {{"Authorization", "Bearer " + key}};
}
inline constexpr const char* kAdminSecret = "an admin secret of tests";
inline Process::Fields as_operator() { return {{"X-Admin-Secret", kAdminSecret}}; }

inline Config test_config() {
  Config config;
  config.auth_required = true;
  config.admin_secret = Secret(kAdminSecret);
  config.key_pepper = Secret(std::string(32, 'p'));
  config.rate_limit_per_minute = 1'000'000;
  config.signup = "open";
  return config;
}

}  // namespace asahi::identity::testing
