#include "identity/oidc/oidc_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/utf8.h"
#include "identity/tokens/form.h"
#include "net/http/ascii.h"
#include "net/http/server.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kCookie = "asahi_oidc";
constexpr std::size_t kMaxText = 255;  // of subjects, names and addresses: what the tables hold

bool has_controls(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

/// A person's name, without control characters and cut between characters.
std::string shown_name(std::string name) {
  std::erase_if(name, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
  constexpr std::size_t kLongestCharacter = 4;
  return mended_utf8(name, kMaxText - kLongestCharacter);
}

/// Value of a cookie; empty when it is not there.
std::string cookie_of(const http::Request& request, std::string_view name) {
  for (const auto& [field, value] : request.headers) {
    if (!http::iequals(field, "Cookie")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string_view pair = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
      while (pair.starts_with(' ')) pair.remove_prefix(1);
      if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=') {
        return std::string(pair.substr(name.size() + 1));
      }
    }
  }
  return {};
}

std::string state_cookie(std::string_view value, std::chrono::seconds life, bool secure) {
  return fmt::format("{}={}; Path=/auth/oidc; Max-Age={}; HttpOnly; SameSite=Lax{}", kCookie, value,
                     life.count(), secure ? "; Secure" : "");
}

/// Nothing of the request is repeated on the page.
http::Response error_page(int status, std::string_view message) {
  http::Response page = http::Response::text(
      status,
      fmt::format(
          "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Login failed</title>"
          "<h1>Login failed</h1><p>{}</p><p><a href=\"/\">Back to the login page</a></p></html>\n",
          message),
      "text/html; charset=utf-8");
  page.headers.set("Content-Security-Policy", "default-src 'none'");
  return page;
}

class LoginRoutes {
 public:
  explicit LoginRoutes(OidcRoutes parts) : parts_(std::move(parts)) {
    for (const OidcProvider& provider : parts_.providers) {
      clients_.emplace(provider.id,
                       std::make_unique<OidcClient>(provider, parts_.fetch, parts_.clock));
    }
  }

  Aw<http::Response> login(http::Context& context) {
    const auto url = co_await begin(context);
    if (!url) co_return answer(url.error(), context);
    co_return redirect(url->first, url->second);
  }

  Aw<http::Response> callback(http::Context& context) {
    const std::string provider(context.path_param("provider"));
    auto done = co_await finish(context, provider);
    const bool secure = is_secure(context.request);
    http::Response response;
    if (done) {
      record(context, provider, done->user.org_id, done->user.id, "login", "success");
      response = redirect(done->return_to, state_cookie("", std::chrono::seconds(0), secure));
      response.headers.add("Set-Cookie", parts_.session_cookie(done->session, secure));
    } else {
      const OidcClient* const client = client_of(provider);
      record(context, provider,
             client == nullptr ? std::string(Principal::kDefaultOrg) : client->provider().org_id,
             "anonymous", "auth_failure", "denied");
      response = answer(done.error(), context);
      response.headers.add("Set-Cookie", state_cookie("", std::chrono::seconds(0), secure));
    }
    co_return response;
  }

  http::Response options() const {
    json::array list;
    const auto add = [&](const LoginOption& option) {
      list.push_back(json::object{{"id", option.id},
                                  {"name", option.name},
                                  {"type", option.type},
                                  {"login_url", option.login_url}});
    };
    for (const OidcProvider& provider : parts_.providers) {
      add({provider.id, provider.shown_name(), "oidc",
           fmt::format("/auth/oidc/{}/login", provider.id)});
    }
    if (parts_.more_options) std::ranges::for_each(parts_.more_options(), add);
    http::Response response =
        http::Response::json(200, write_json(json::object{{"providers", std::move(list)}}));
    response.headers.set("Cache-Control", "no-store");
    return response;
  }

 private:
  struct SignedIn {
    User user;
    Session session;
    std::string return_to;
  };

  OidcClient* client_of(std::string_view provider) const {
    const auto at = clients_.find(provider);
    return at == clients_.end() ? nullptr : at->second.get();
  }

  std::unexpected<Error> unknown_provider() const {
    return fail(Errc::kNotFound, "there is no such identity provider; see GET /auth/providers");
  }

  /// The provider's address and our cookie.
  Task<std::pair<std::string, std::string>> begin(http::Context& context) {
    OidcClient* const client = client_of(context.path_param("provider"));
    if (client == nullptr) co_return unknown_provider();
    const std::string return_to = context.request.query_param("return_to").value_or("/");
    if (!is_safe_return_path(return_to)) {
      co_return fail_field("return_to", "return_to must be a path on this host, as in /#/usage");
    }
    ASAHI_CO_TRY(auto redirect_uri, redirect_uri_of(context.request, client->provider().id));
    ASAHI_CO_TRY(auto begun, co_await parts_.states.begin(client->provider().id, return_to));
    std::string cookie = state_cookie(begun.cookie, LoginStates::kLife, is_secure(context.request));
    ASAHI_CO_TRY(auto url, co_await client->login_url(std::move(begun), std::move(redirect_uri)));
    co_return std::pair(std::move(url), std::move(cookie));
  }

  Task<SignedIn> finish(http::Context& context, std::string provider) {
    OidcClient* const client = client_of(provider);
    if (client == nullptr) co_return unknown_provider();
    auto query = parse_form(context.request.query);
    if (!query) co_return std::unexpected(query.error());
    const auto value = [&](std::string_view name) -> std::optional<std::string> {
      const auto at = query->find(name);
      return at == query->end() ? std::nullopt : std::optional(at->second);
    };
    // The state first, and always: an answer spends it whatever else it says.
    ASAHI_CO_TRY(auto login,
                 co_await parts_.states.take(value("state").value_or(""),
                                             cookie_of(context.request, kCookie), provider));
    const auto code = value("code");
    if (!login || value("error") || !code || code->empty())
      co_return std::unexpected(failed_login());
    ASAHI_CO_TRY(auto redirect_uri, redirect_uri_of(context.request, provider));
    ASAHI_CO_TRY(const auto claims,
                 co_await client->redeem(*code, value("iss"), *login, std::move(redirect_uri)));

    const OidcProvider& settings = client->provider();
    SsoIdentity identity;
    identity.subject = fmt::format("oidc:{}:{}", settings.id, claims.subject);
    identity.org_id = settings.org_id;
    identity.email = claims.text("email");
    std::ranges::transform(identity.email, identity.email.begin(), http::ascii_lower);
    identity.full_name = shown_name(claims.text("name"));
    identity.role = map_role(claims.all, settings.roles);
    identity.create_users = settings.create_users;
    // What no table holds and no mail server takes.
    if (identity.subject.size() > kMaxText || identity.email.size() > kMaxText ||
        has_controls(identity.email)) {
      co_return std::unexpected(failed_login());
    }
    // An address that the provider did not check may be anybody's.
    const auto* verified = claims.all.if_contains("email_verified");
    if (verified != nullptr && *verified != true && *verified != "true") {
      co_return fail(Errc::kForbidden,
                     "the identity provider has not verified the e-mail address; verify it there");
    }
    ASAHI_CO_TRY(auto user, co_await parts_.users.sign_in(std::move(identity)));
    ASAHI_CO_TRY(auto session, co_await parts_.sessions.open(user));
    co_return SignedIn{std::move(user), std::move(session), std::move(login->return_to)};
  }

  Result<std::string> redirect_uri_of(const http::Request& request,
                                      std::string_view provider) const {
    std::string base = parts_.public_url;
    if (base.empty())
      base = fmt::format("{}://{}", request.tls ? "https" : "http", request.headers.get("Host"));
    if (base.ends_with('/')) base.pop_back();
    if (parts_.public_url.empty() && !is_local_http(base)) {
      return fail(
          Errc::kUnavailable,
          "logins need the address of this gateway; set its public URL in the configuration");
    }
    return fmt::format("{}/auth/oidc/{}/callback", base, provider);
  }

  /// Cookies are Secure but over plain HTTP on this machine.
  bool is_secure(const http::Request& request) const {
    if (request.tls || parts_.public_url.starts_with("https://")) return true;
    return !is_local_http(fmt::format("http://{}", request.headers.get("Host")));
  }

  http::Response answer(const Error& error, const http::Context& context) const {
    http::Response response;
    if (context.request.headers.get("Accept").find("text/html") != std::string_view::npos) {
      response = error_page(http::http_status(error.code), error.message);
    } else {
      response = http::native_error(error, context);
    }
    response.headers.set("Cache-Control", "no-store");
    return response;
  }

  static http::Response redirect(const std::string& location, const std::string& cookie) {
    http::Response response;
    response.status = 302;
    response.headers.add("Location", location);
    response.headers.add("Set-Cookie", cookie);
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("Referrer-Policy", "no-referrer");
    return response;
  }

  void record(const http::Context& context, const std::string& provider, std::string org_id,
              std::string user_id, std::string action, std::string result) const {
    AuditEntry entry;
    entry.org_id = std::move(org_id);
    entry.user_id = std::move(user_id);
    entry.action = std::move(action);
    entry.resource = client_of(provider) == nullptr ? "oidc" : "oidc/" + provider;
    entry.ip_address = parts_.client_ip(context.request);
    entry.user_agent = std::string(context.request.headers.get("User-Agent")).substr(0, 256);
    entry.result = std::move(result);
    parts_.audit(std::move(entry));
  }

  const OidcRoutes parts_;
  std::map<std::string, std::unique_ptr<OidcClient>, std::less<>> clients_;
};

}  // namespace

Result<void> add_oidc_routes(http::Router& router, OidcRoutes parts) {
  for (const OidcProvider& provider : parts.providers) {
    if (auto good = check(provider); !good) return good;
    const auto same = [&](const OidcProvider& other) { return other.id == provider.id; };
    if (std::ranges::count_if(parts.providers, same) > 1) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("there are two OIDC providers named '{}'", provider.id));
    }
  }
  if (!parts.public_url.empty() && !http::Origin::parse(parts.public_url)) {
    return fail(Errc::kInvalidArgument,
                "the public URL must be an http:// or https:// URL without query");
  }
  const auto routes = std::make_shared<LoginRoutes>(std::move(parts));
  router.get(
      "/auth/oidc/{provider}/login",
      [routes](http::Context& context) { return routes->login(context); }, "public");
  router.get(
      "/auth/oidc/{provider}/callback",
      [routes](http::Context& context) { return routes->callback(context); }, "public");
  router.get(
      "/auth/providers",
      [routes](http::Context&) -> Aw<http::Response> { co_return routes->options(); }, "public");
  return {};
}

}  // namespace asahi::identity
