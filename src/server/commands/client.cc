#include "server/commands/client.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/log.h"
#include "net/blocking.h"

namespace asahi::server {

struct GatewayClient::Impl {
  std::unique_ptr<App> app;  ///< null when talking to a running gateway
  std::unique_ptr<net::LoopPool> loops;
  std::unique_ptr<http::Client> own_client;
  http::Origin origin;
  std::string log_dir;
  Secret api_key;
  http::Headers headers;

  net::Loop& loop() { return app != nullptr ? app->loop() : loops->at(0); }
  http::Client& client() { return app != nullptr ? app->client() : *own_client; }
};

GatewayClient::GatewayClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GatewayClient::~GatewayClient() {
  if (impl_->app != nullptr) impl_->app->stop();
  if (impl_->loops != nullptr) impl_->loops->stop();
}

Result<std::unique_ptr<GatewayClient>> GatewayClient::connect(const CommonOptions& common,
                                                              const std::string& url) {
  return connect(common, Target{.url = url, .api_key = {}, .headers = {}, .adjust = {}});
}

Result<std::unique_ptr<GatewayClient>> GatewayClient::connect(const CommonOptions& common,
                                                              const Target& target) {
  auto impl = std::make_unique<Impl>();
  impl->api_key = target.api_key;
  impl->headers = target.headers;
  if (!target.url.empty()) {
    ASAHI_TRY(impl->origin, http::Origin::parse(target.url));
    impl->loops = std::make_unique<net::LoopPool>(1);
    impl->own_client = std::make_unique<http::Client>(impl->loops->at(0), http::ClientOptions{});
    impl->loops->start();
    return std::unique_ptr<GatewayClient>(new GatewayClient(std::move(impl)));
  }
  LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) {
    print_faults(loaded.faults);
    return fail(Errc::kInvalidArgument, "the configuration has faults");
  }
  configure_logging({.level = LogLevel::kError, .format = LogFormat::kText, .descriptor = 2});
  gateway::GatewayConfig& config = loaded.gateway;
  config.observability.prometheus_port = 0;
  config.api.workers = 1;
  write_aside(loaded);
  loaded.memory.enabled = false;
  // A measuring run must not meet the limits that protect a server.
  loaded.identity.auth_required = false;
  loaded.identity.rate_limit_per_minute = 0;
  if (target.adjust) target.adjust(loaded);
  impl->log_dir = config.tracking.log_dir;
  ASAHI_TRY(impl->app, App::start(loaded, App::Listeners::kLoopbackOnly));
  ASAHI_TRY(impl->origin,
            http::Origin::parse(fmt::format("http://127.0.0.1:{}", impl->app->port())));
  return std::unique_ptr<GatewayClient>(new GatewayClient(std::move(impl)));
}

std::string GatewayClient::event_log_dir() const { return impl_->log_dir; }

Result<http::ClientResponse> GatewayClient::call(http::Method method, const std::string& target,
                                                 std::string body) {
  using Answer = Result<http::ClientResponse>;
  http::ClientRequest request{.method = method,
                              .origin = impl_->origin,
                              .target = target,
                              .headers = impl_->headers,
                              .body = std::move(body)};
  request.headers.add("Content-Type", "application/json");
  request.headers.add("Accept", "application/json");
  if (!impl_->api_key.empty())
    request.headers.add("Authorization", "Bearer " + std::string(impl_->api_key.reveal()));
  http::CallOptions options;
  options.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  options.idle_timeout = std::chrono::seconds(120);
  http::Client& client = impl_->client();
  return net::run_sync<Answer>(impl_->loop(), [&client, request, options]() -> Aw<Answer> {
    co_return co_await client.send(request, options);
  });
}

Result<json::value> GatewayClient::call_json(http::Method method, const std::string& target,
                                             std::string body) {
  ASAHI_TRY(const http::ClientResponse response, call(method, target, std::move(body)));
  auto parsed = parse_json(response.body);
  if (!parsed)
    return fail(Errc::kUpstream,
                fmt::format("{} answered {} without JSON", target, response.status));
  if (response.status >= 400) {
    return fail(Errc::kUpstream,
                fmt::format("{} answered {}: {}", target, response.status, message_of(response)));
  }
  return std::move(*parsed);
}

std::string message_of(const http::ClientResponse& response) {
  const auto parsed = parse_json(response.body);
  const json::object* object = parsed ? parsed->if_object() : nullptr;
  const json::value* message = object != nullptr ? object->if_contains("message") : nullptr;
  return message != nullptr && message->is_string() ? std::string(message->get_string())
                                                    : response.body;
}

}  // namespace asahi::server
