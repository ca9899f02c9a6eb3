#include "identity/secrets/testing/fake_vault.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/json.h"

namespace asahi::identity::testing {
namespace {

constexpr std::string_view kPrefix = "/v1/";

http::Response errors(int status, std::initializer_list<std::string_view> texts) {
  json::array all;
  for (const auto text : texts) all.emplace_back(text);
  return http::Response::json(status, write_json(json::object{{"errors", std::move(all)}}));
}

/// The envelope of every good answer.
std::string envelope(std::string_view data, std::string_view auth) {
  return fmt::format(
      R"({{"request_id":"0b9fb9a4-6f2b-4b2e-8c7f-1f1f1f1f1f1f","lease_id":"","renewable":false,)"
      R"("lease_duration":0,"data":{},"wrap_info":null,"warnings":null,"auth":{}}})",
      data, auth);
}

std::string auth_json(const std::string& token, int ttl, bool renewable) {
  return fmt::format(
      R"({{"client_token":"{}","accessor":"accessor","policies":["asahi","default"],)"
      R"("token_policies":["asahi","default"],"metadata":null,"lease_duration":{},"renewable":{},)"
      R"("entity_id":"","token_type":"service","orphan":true,"mfa_requirement":null,"num_uses":0}})",
      token, ttl, renewable);
}

}  // namespace

FakeVault::FakeVault(std::optional<http::TlsFiles> tls) : tls_(tls.has_value()) {
  http::Router router;
  const http::Handler handler = [this](http::Context& context) { return answer(context); };
  router.get("/v1/{path...}", handler);
  router.post("/v1/{path...}", handler);
  http::ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  options.tls = std::move(tls);
  auto bound = http::Server::bind(loops_, std::move(options), std::move(router));
  if (!bound) throw std::runtime_error(bound.error().message);
  server_ = std::move(*bound);
  loops_.start();
  server_->start();
}

FakeVault::~FakeVault() {
  server_.reset();
  loops_.stop();
}

std::string FakeVault::address() const {
  return fmt::format("{}://127.0.0.1:{}", tls_ ? "https" : "http", server_->port());
}

void FakeVault::add_token(const std::string& token, Life life) {
  const std::lock_guard lock(mutex_);
  tokens_[token] = life;
}
void FakeVault::allow_role(const std::string& role, const std::string& jwt, Life life) {
  const std::lock_guard lock(mutex_);
  roles_[role] = {jwt, life};
}
void FakeVault::renew_gives(int ttl) {
  const std::lock_guard lock(mutex_);
  renewed_ttl_ = ttl;
}
void FakeVault::expire() {
  const std::lock_guard lock(mutex_);
  tokens_.clear();
}
void FakeVault::put(const std::string& path, const std::string& json) {
  const std::lock_guard lock(mutex_);
  Secret& secret = secrets_[path];
  secret = {json, secret.version + 1, false};
}
void FakeVault::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  secrets_[path].deleted = true;
}
void FakeVault::fault(const std::string& path, Fault fault, int times) {
  const std::lock_guard lock(mutex_);
  faults_.push_back({path, std::move(fault), times});
}
std::vector<std::string> FakeVault::calls() {
  const std::lock_guard lock(mutex_);
  return std::exchange(calls_, {});
}
std::string FakeVault::last_header(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return std::string(last_headers_.get(name));
}

Aw<http::Response> FakeVault::answer(http::Context& context) {
  Fault fault;
  std::string path;
  {
    const std::lock_guard lock(mutex_);
    path = context.request.path.substr(kPrefix.size());
    calls_.push_back(std::string(http::to_string(context.request.method)) + " " + path);
    last_headers_ = context.request.headers;
    const auto next = std::ranges::find_if(
        faults_, [&](const Pending& pending) { return path.ends_with(pending.path); });
    if (next != faults_.end()) {
      fault = next->fault;
      if (--next->left <= 0) faults_.erase(next);
    }
  }
  if (fault.delay.count() > 0) co_await context.loop.sleep_for(fault.delay, &context.cancel);
  if (fault.status != 0) {
    http::Response made = fault.body.empty() ? errors(fault.status, {"fault"})
                                             : http::Response::json(fault.status, fault.body);
    if (!fault.retry_after.empty()) made.headers.set("Retry-After", fault.retry_after);
    co_return made;
  }
  const std::lock_guard lock(mutex_);
  co_return reply(context.request, path);
}

http::Response FakeVault::reply(const http::Request& request, const std::string& path) {
  const bool post = request.method == http::Method::kPost;
  if (post && path == "auth/kubernetes/login") return log_in(request);
  const std::string token(request.headers.get("X-Vault-Token"));
  const auto known = tokens_.find(token);
  if (known == tokens_.end()) return errors(403, {"permission denied", "invalid token"});
  Life& life = known->second;
  if (!post && path == "auth/token/lookup-self") {
    return http::Response::json(
        200,
        envelope(
            fmt::format(R"({{"accessor":"accessor","creation_time":1700000000,"creation_ttl":{0},)"
                        R"("display_name":"token","id":"{1}","num_uses":0,"orphan":true,)"
                        R"("policies":["default"],"renewable":{2},"ttl":{0},"type":"service"}})",
                        life.ttl, token, life.renewable),
            "null"));
  }
  if (post && path == "auth/token/renew-self") {
    if (!life.renewable) return errors(400, {"lease is not renewable"});
    life.ttl = renewed_ttl_;
    return http::Response::json(200, envelope("null", auth_json(token, life.ttl, true)));
  }
  if (!post && path.starts_with("secret/data/")) return read(path.substr(12));
  return errors(404, {});
}

http::Response FakeVault::log_in(const http::Request& request) {
  const auto body = parse_json(request.body);
  const auto text = [&](std::string_view name) {
    const json::value* const value =
        body && body->is_object() ? body->get_object().if_contains(name) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  };
  const auto role = roles_.find(text("role"));
  if (role == roles_.end()) {
    return errors(400, {fmt::format("invalid role name \"{}\"", text("role"))});
  }
  if (text("jwt") != role->second.jwt) return errors(403, {"permission denied"});
  const std::string token = fmt::format("hvs.login-{}", ++logins_);
  const Life life = role->second.life;
  tokens_[token] = life;
  return http::Response::json(200, envelope("null", auth_json(token, life.ttl, life.renewable)));
}

http::Response FakeVault::read(const std::string& path) {
  const auto at = secrets_.find(path);
  if (at == secrets_.end()) return errors(404, {});
  const Secret& secret = at->second;
  const std::string data = fmt::format(
      R"({{"data":{},"metadata":{{"created_time":"2026-11-21T10:00:00.000000Z",)"
      R"("custom_metadata":null,"deletion_time":"{}","destroyed":false,"version":{}}}}})",
      secret.deleted ? "null" : secret.json, secret.deleted ? "2026-11-21T11:00:00.000000Z" : "",
      secret.version);
  return http::Response::json(secret.deleted ? 404 : 200, envelope(data, "null"));
}

}  // namespace asahi::identity::testing
