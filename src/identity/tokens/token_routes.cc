#include "identity/tokens/token_routes.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/ids.h"
#include "identity/tokens/form.h"
#include "identity/tokens/jwks.h"
#include "net/http/ascii.h"
#include "net/http/server.h"

namespace asahi::identity {
namespace {

/// An error body of RFC 6749 §5.2.
http::Response oauth_error(int status, std::string_view code, std::string_view description) {
  http::Response response = http::Response::json(
      status, write_json(json::object{{"error", code}, {"error_description", description}}));
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("Pragma", "no-cache");
  if (status == 401) response.headers.set("WWW-Authenticate", "Basic realm=\"asahi\"");
  return response;
}

http::Response invalid_request(std::string_view description) {
  return oauth_error(400, "invalid_request", description);
}

/// One answer for every reason.
http::Response invalid_client() {
  return oauth_error(401, "invalid_client",
                     "the client's credential is missing, wrong, expired or revoked");
}

struct Client {
  std::string id, secret;
};
using Form = std::map<std::string, std::string, std::less<>>;

std::string value_of(const Form& form, std::string_view name) {
  const auto at = form.find(name);
  return at == form.end() ? std::string() : at->second;
}

/// RFC 6749 §2.3.1: id and secret are form-encoded before they are put into Basic.
std::optional<Client> basic_client(std::string_view header) {
  constexpr std::string_view kScheme = "basic ";
  if (!http::iequals(header.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  const auto pair = base64_decode(header.substr(kScheme.size()));
  const std::size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return std::nullopt;
  auto id = http::percent_decode(std::string_view(*pair).substr(0, colon), true);
  auto secret = http::percent_decode(std::string_view(*pair).substr(colon + 1), true);
  if (!id || !secret) return std::nullopt;
  return Client{std::move(*id), std::move(*secret)};
}

/// What the client asks for within what its key allows; nothing: invalid_scope.
std::optional<PermissionSet> granted(const std::string& scope, PermissionSet allowed) {
  if (scope.empty()) return allowed;
  std::vector<std::string> names;
  for (std::size_t from = 0; from <= scope.size();) {
    const std::size_t end = std::min(scope.find(' ', from), scope.size());
    if (end > from) names.push_back(scope.substr(from, end - from));
    from = end + 1;
  }
  if (names.empty()) return allowed;
  const auto asked = scopes_to_permissions(names);
  if (!asked || !((*asked & allowed) == *asked)) return std::nullopt;
  return asked;
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, " "));
}

Aw<http::Response> issue_token(std::shared_ptr<const TokenRoutes> parts, http::Context& context) {
  const http::Request& request = context.request;
  const auto denied = [&](const Client& client, std::string_view why) {
    AuditEntry entry;
    entry.org_id = Principal::kDefaultOrg;
    entry.user_id = "anonymous";
    entry.action = "auth_failure";
    entry.resource = "POST /oauth/token";
    // Only the public part of a key is named, and only in its form.
    if (client.id.size() == 12 && is_valid_request_id(client.id))
      entry.details["client_id"] = client.id;
    entry.details["reason"] = why;
    entry.ip_address = parts->client_ip(request);
    entry.user_agent = std::string(request.headers.get("User-Agent")).substr(0, 256);
    entry.result = "denied";
    parts->audit(std::move(entry));
  };
  const std::string_view type = request.headers.get("Content-Type");
  if (!http::iequals(type.substr(0, type.find(';')), "application/x-www-form-urlencoded")) {
    co_return invalid_request("the body must be application/x-www-form-urlencoded");
  }
  const auto form = parse_form(request.body);
  if (!form) co_return invalid_request(form.error().message);

  Client client{value_of(*form, "client_id"), value_of(*form, "client_secret")};
  if (request.headers.has("Authorization")) {
    auto basic = basic_client(request.headers.get("Authorization"));
    if (!basic) {
      denied({}, "malformed");
      co_return invalid_client();
    }
    if (!client.secret.empty() || (!client.id.empty() && client.id != basic->id)) {
      co_return invalid_request(
          "the client authenticates in two ways; use the form or Basic authentication");
    }
    client = std::move(*basic);
  }
  const std::string grant = value_of(*form, "grant_type");
  if (grant.empty()) co_return invalid_request("grant_type is missing");
  if (grant != "client_credentials") {
    co_return oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials");
  }
  if (client.id.empty() || client.secret.empty()) {
    denied(client, "missing");
    co_return invalid_client();
  }

  const auto found = co_await parts->find_key(client.secret);
  if (!found && found.error().code != Errc::kUnauthenticated) {
    co_return oauth_error(http::http_status(found.error().code), "temporarily_unavailable",
                          "the credential cannot be checked now; try again later");
  }
  if (!found || (*found)->key_prefix != client.id || !(*found)->org_active) {
    denied(client, "refused");
    co_return invalid_client();
  }
  const Principal& key = **found;
  const auto permissions = granted(value_of(*form, "scope"), key.permissions);
  if (!permissions || permissions->empty()) {
    co_return oauth_error(400, "invalid_scope",
                          "the key does not have a scope that is asked for, or it is unknown");
  }

  AccessClaims claims;
  claims.subject = "key:" + key.key_prefix;
  claims.org_id = key.org_id;
  claims.plan = key.plan ? key.plan->name : "";
  claims.scopes = permissions->names();
  claims.key_prefix = key.key_prefix;
  claims.key_user = key.user_id;
  claims.allowed_models = key.allowed_models;
  claims.requests_per_minute = key.requests_per_minute;
  claims.tokens_per_minute = key.tokens_per_minute;
  claims.semantic_cache = key.semantic_cache;
  claims.systems = key.systems;
  const std::string scope = joined(claims.scopes);
  const auto token = parts->tokens.issue(std::move(claims));
  if (!token) co_return invalid_request(token.error().message);
  http::Response response = http::Response::json(
      200, write_json(json::object{{"access_token", token->reveal()},
                                   {"token_type", "Bearer"},
                                   {"expires_in", parts->tokens.life().count()},
                                   {"scope", scope}}));
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("Pragma", "no-cache");
  co_return response;
}

}  // namespace

void add_token_routes(http::Router& router, TokenRoutes routes) {
  const auto parts = std::make_shared<const TokenRoutes>(std::move(routes));
  router.post(
      "/oauth/token",
      [parts](http::Context& context) -> Aw<http::Response> { return issue_token(parts, context); },
      "public");
  http::Route keys{
      .method = http::Method::kGet, .pattern = "/.well-known/jwks.json", .access = "public"};
  keys.handler = [parts](http::Context&) -> Aw<http::Response> {
    http::Response response = http::Response::json(200, write_jwks(*parts->keys.verifiers()));
    response.headers.set("Content-Type", "application/jwk-set+json");
    response.headers.set("Cache-Control", "public, max-age=300");
    co_return response;
  };
  router.add(std::move(keys));
}

}  // namespace asahi::identity
