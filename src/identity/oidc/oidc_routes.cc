#include "identity/oidc/oidc_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "identity/http/cookies.h"
#include "identity/tokens/form.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kCookie = "asahi_oidc";

std::string state_cookie(std::string_view value, std::chrono::seconds life, bool secure) {
  return fmt::format("{}={}; Path=/auth/oidc; Max-Age={}; HttpOnly; SameSite=Lax{}", kCookie, value,
                     life.count(), secure ? "; Secure" : "");
}

class LoginRoutes {
 public:
  LoginRoutes(OidcRoutes parts, BrowserLogin browser)
      : parts_(std::move(parts)), browser_(std::move(browser)) {
    for (const OidcProvider& provider : parts_.providers) {
      clients_.emplace(provider.id,
                       std::make_unique<OidcClient>(provider, parts_.fetch, parts_.clock));
    }
  }

  Aw<http::Response> login(http::Context& context) {
    const auto url = co_await begin(context);
    if (!url) co_return browser_.answer(url.error(), context);
    co_return BrowserLogin::redirect(302, url->first, url->second);
  }

  Aw<http::Response> callback(http::Context& context) {
    const std::string provider(context.path_param("provider"));
    const OidcClient* const client = client_of(provider);
    const std::string resource = client == nullptr ? "oidc" : "oidc/" + provider;
    auto done = co_await finish(context, provider);
    const bool secure = browser_.is_secure(context.request);
    const std::string spent = state_cookie("", std::chrono::seconds(0), secure);
    http::Response response;
    if (done) {
      browser_.record(context, resource, done->who.user.org_id, done->who.user.id, true);
      response = BrowserLogin::redirect(302, done->return_to, spent);
      response.headers.add("Set-Cookie", browser_.session_cookie(done->who.session, secure));
    } else {
      browser_.record(
          context, resource,
          client == nullptr ? std::string(Principal::kDefaultOrg) : client->provider().org_id,
          "anonymous", false);
      response = browser_.answer(done.error(), context);
      response.headers.add("Set-Cookie", spent);
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
  struct Done {
    SignedIn who;
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
    std::string cookie =
        state_cookie(begun.cookie, LoginStates::kLife, browser_.is_secure(context.request));
    ASAHI_CO_TRY(auto url, co_await client->login_url(std::move(begun), std::move(redirect_uri)));
    co_return std::pair(std::move(url), std::move(cookie));
  }

  Task<Done> finish(http::Context& context, std::string provider) {
    OidcClient* const client = client_of(provider);
    if (client == nullptr) co_return unknown_provider();
    auto query = parse_form(context.request.query);
    if (!query) co_return std::unexpected(query.error());
    const auto value = [&](std::string_view name) -> std::optional<std::string> {
      const auto at = query->find(name);
      return at == query->end() ? std::nullopt : std::optional(at->second);
    };
    // The state first, and always: an answer spends it whatever else it says.
    ASAHI_CO_TRY(auto login, co_await parts_.states.take(
                                 value("state").value_or(""),
                                 std::string(cookie_value(context.request, kCookie)), provider));
    const auto code = value("code");
    if (!login || value("error") || !code || code->empty())
      co_return std::unexpected(failed_login());
    ASAHI_CO_TRY(auto redirect_uri, redirect_uri_of(context.request, provider));
    ASAHI_CO_TRY(const auto claims,
                 co_await client->redeem(*code, value("iss"), *login, std::move(redirect_uri)));

    const OidcProvider& settings = client->provider();
    // An address that the provider did not check may be anybody's.
    const auto* verified = claims.all.if_contains("email_verified");
    if (verified != nullptr && *verified != true && *verified != "true") {
      co_return fail(Errc::kForbidden,
                     "the identity provider has not verified the e-mail address; verify it there");
    }
    SsoIdentity identity;
    identity.subject = fmt::format("oidc:{}:{}", settings.id, claims.subject);
    identity.org_id = settings.org_id;
    identity.email = claims.text("email");
    identity.full_name = claims.text("name");
    identity.role = map_role(claims.all, settings.roles);
    identity.create_users = settings.create_users;
    ASAHI_CO_TRY(auto who, co_await browser_.sign_in(std::move(identity)));
    co_return Done{std::move(who), std::move(login->return_to)};
  }

  Result<std::string> redirect_uri_of(const http::Request& request,
                                      std::string_view provider) const {
    ASAHI_TRY(const std::string base, browser_.base_url(request));
    return fmt::format("{}/auth/oidc/{}/callback", base, provider);
  }

  const OidcRoutes parts_;
  const BrowserLogin browser_;
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
  ASAHI_TRY(BrowserLogin browser, BrowserLogin::make(parts.browser));
  const auto routes = std::make_shared<LoginRoutes>(std::move(parts), std::move(browser));
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
