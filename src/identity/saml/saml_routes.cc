#include "identity/saml/saml_routes.h"

#include <fmt/format.h>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <map>

#include "base/hash.h"
#include "base/log.h"
#include "identity/http/cookies.h"
#include "identity/saml/response.h"
#include "identity/tokens/form.h"
#include "net/blocking.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kCookie = "asahi_saml";
constexpr std::size_t kMaxBody = 512 * 1024;
constexpr int kMostAtOnce = 64;
/// An assertion is of no use without the request that it answers, which is forgotten after
/// LoginStates::kLife; its ID is remembered for longer than that.
constexpr std::chrono::hours kRemembered{1};
static_assert(kRemembered > LoginStates::kLife + kSamlLeeway);

std::string login_cookie(std::string_view value, std::chrono::seconds life) {
  return fmt::format("{}={}; Path=/auth/saml; Max-Age={}; HttpOnly; Secure; SameSite=None", kCookie,
                     value, life.count());
}

/// Logins are kept with those of OIDC; no provider there has a name like this.
std::string login_of(std::string_view org) { return fmt::format("saml:{}", org); }

/// XML IDs must not begin with a digit.
std::string request_id(std::string_view state) { return fmt::format("_{}", state); }

std::string used_key(std::string_view org, std::string_view assertion) {
  return "asahi:saml:used:" + to_hex(sha256(fmt::format("{}\n{}", org, assertion)));
}

class LoginRoutes {
 public:
  LoginRoutes(SamlRoutes parts, BrowserLogin browser)
      : parts_(std::move(parts)), browser_(std::move(browser)) {
    for (const SamlProvider& provider : parts_.providers)
      providers_.emplace(provider.org_id, &provider);
  }

  http::Response metadata(http::Context& context) {
    const SamlProvider* const provider = provider_of(context);
    if (provider == nullptr) return browser_.answer(unknown_provider(), context);
    const auto base = browser_.base_url(context.request);
    if (!base) return browser_.answer(base.error(), context);
    http::Response response =
        http::Response::text(200, sp_metadata(sp_address(*provider, *base), *parts_.key),
                             "application/samlmetadata+xml");
    response.headers.set("Cache-Control", "no-store");
    return response;
  }

  Aw<http::Response> login(http::Context& context) {
    const auto url = co_await begin(context);
    if (!url) co_return browser_.answer(url.error(), context);
    co_return BrowserLogin::redirect(302, url->first, url->second);
  }

  Aw<http::Response> consume(http::Context& context) {
    std::string_view reason = "not_waiting";
    auto done = co_await finish(context, reason);
    const SamlProvider* const provider = provider_of(context);
    const std::string resource = provider == nullptr ? "saml" : "saml/" + provider->org_id;
    const std::string spent = login_cookie("", std::chrono::seconds(0));
    http::Response response;
    if (done) {
      browser_.record(context, resource, done->who.user.org_id, done->who.user.id, true,
                      {{"request_id", context.request_id}});
      response = BrowserLogin::redirect(303, done->return_to, spent);
      response.headers.add(
          "Set-Cookie",
          browser_.session_cookie(done->who.session, browser_.is_secure(context.request)));
    } else {
      log_.warning(
          "a login was refused",
          {{"resource", resource}, {"reason", reason}, {"request_id", context.request_id}});
      browser_.record(context, resource,
                      provider == nullptr ? std::string(Principal::kDefaultOrg) : provider->org_id,
                      "anonymous", false, {{"reason", reason}, {"request_id", context.request_id}});
      response = browser_.answer(done.error(), context);
      response.headers.add("Set-Cookie", spent);
    }
    co_return response;
  }

 private:
  struct Done {
    SignedIn who;
    std::string return_to;
  };

  const SamlProvider* provider_of(const http::Context& context) const {
    const auto at = providers_.find(context.path_param("org"));
    return at == providers_.end() ? nullptr : at->second;
  }

  static Error unknown_provider() {
    return fail(Errc::kNotFound,
                "there is no SAML login for this organisation; see GET /auth/providers")
        .error();
  }

  /// Runs work on the thread that is kept for it.
  template <class Work>
  Task<std::invoke_result_t<Work>> aside(Work work) {
    if (waiting_.fetch_add(1) >= kMostAtOnce) {
      --waiting_;
      co_return fail(Errc::kUnavailable, "too many logins at once; try again in a moment");
    }
    auto value = co_await net::run_blocking(pool_, std::move(work));
    --waiting_;
    co_return std::move(value);
  }

  /// The provider's address and our cookie.
  Task<std::pair<std::string, std::string>> begin(http::Context& context) {
    const SamlProvider* const provider = provider_of(context);
    if (provider == nullptr) co_return std::unexpected(unknown_provider());
    std::string return_to = context.request.query_param("return_to").value_or("/");
    if (!is_safe_return_path(return_to)) {
      co_return fail_field("return_to", "return_to must be a path on this host, as in /#/usage");
    }
    ASAHI_CO_TRY(const std::string base, browser_.base_url(context.request));
    ASAHI_CO_TRY(auto begun,
                 co_await parts_.states.begin(login_of(provider->org_id), std::move(return_to)));
    std::string cookie =
        login_cookie(fmt::format("{}.{}", begun.state, begun.cookie), LoginStates::kLife);
    ASAHI_CO_TRY(auto url, co_await aside([this, provider, base, id = request_id(begun.state)] {
                   return saml_login_url(*provider, sp_address(*provider, base), *parts_.key, id,
                                         parts_.clock.now());
                 }));
    if (!url) co_return std::unexpected(std::move(url.error()));
    co_return std::pair(*std::move(url), std::move(cookie));
  }

  /// `reason`: for the log when it fails.
  Task<Done> finish(http::Context& context, std::string_view& reason) {
    const SamlProvider* const provider = provider_of(context);
    if (provider == nullptr) {
      reason = "unknown_provider";
      co_return std::unexpected(unknown_provider());
    }
    // The cookie first, and always: an answer spends the login whatever it says.
    const std::string cookie(cookie_value(context.request, kCookie));
    const std::size_t dot = cookie.find('.');
    if (dot == std::string::npos) co_return std::unexpected(failed_login());
    std::string state = cookie.substr(0, dot);
    SamlRules rules{
        .idp = provider->idp, .entity_id = {}, .acs_url = {}, .request_id = request_id(state)};
    ASAHI_CO_TRY(auto login, co_await parts_.states.take(std::move(state), cookie.substr(dot + 1),
                                                         login_of(provider->org_id)));
    if (!login) co_return std::unexpected(failed_login());

    // RelayState is not looked at: where the login leads to was kept with it.
    const auto form = parse_form(context.request.body);
    const auto sent = form ? form->find("SAMLResponse") : decltype(form->end()){};
    if (!form || sent == form->end()) {
      reason = "malformed";
      co_return std::unexpected(failed_login());
    }
    ASAHI_CO_TRY(const std::string base, browser_.base_url(context.request));
    auto [entity_id, acs_url] = sp_address(*provider, base);
    rules.entity_id = std::move(entity_id);
    rules.acs_url = std::move(acs_url);
    ASAHI_CO_TRY(const auto assertion,
                 co_await aside([encoded = sent->second, rules, now = parts_.clock.now()] {
                   return verify_saml_response(encoded, rules, now);
                 }));
    if (!assertion) {
      reason = assertion.error();
      co_return std::unexpected(failed_login());
    }
    reason = "store";
    ASAHI_CO_TRY(const bool first_use, co_await parts_.used.set_if_absent(
                                           used_key(provider->org_id, assertion->id),
                                           std::make_shared<const std::string>("1"), kRemembered));
    if (!first_use) {
      reason = "replayed";
      co_return std::unexpected(failed_login());
    }
    reason = "account";
    ASAHI_CO_TRY(auto who, co_await browser_.sign_in(saml_identity(*provider, *assertion)));
    co_return Done{std::move(who), std::move(login->return_to)};
  }

  const SamlRoutes parts_;
  const BrowserLogin browser_;
  const Logger log_{"identity"};
  std::map<std::string, const SamlProvider*, std::less<>> providers_;
  std::atomic<int> waiting_{0};
  boost::asio::thread_pool pool_{1};
};

}  // namespace

Result<void> add_saml_routes(http::Router& router, SamlRoutes parts) {
  for (const SamlProvider& provider : parts.providers) {
    if (!is_org_id(provider.org_id)) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("auth.saml.orgs: '{}' is no organisation; ids are 1 to 255 of A-Z, "
                              "a-z, 0-9, dot, _ and -",
                              provider.org_id));
    }
  }
  if (!parts.key && !parts.providers.empty())
    return fail(Errc::kInternal, "SAML logins have no key to sign their requests with");
  ASAHI_TRY(BrowserLogin browser, BrowserLogin::make(parts.browser));
  const auto routes = std::make_shared<LoginRoutes>(std::move(parts), std::move(browser));
  router.get(
      "/auth/saml/{org}/metadata",
      [routes](http::Context& context) -> Aw<http::Response> {
        co_return routes->metadata(context);
      },
      "public");
  router.get(
      "/auth/saml/{org}/login", [routes](http::Context& context) { return routes->login(context); },
      "public");
  router.add({.method = http::Method::kPost,
              .pattern = "/auth/saml/{org}/acs",
              .handler = [routes](http::Context& context) { return routes->consume(context); },
              .access = "public",
              .max_body_bytes = kMaxBody});
  return {};
}

std::vector<LoginOption> saml_options(const std::vector<SamlProvider>& providers) {
  std::vector<LoginOption> options;
  for (const SamlProvider& provider : providers) {
    options.push_back({provider.org_id, provider.shown_name(), "saml",
                       fmt::format("/auth/saml/{}/login", provider.org_id)});
  }
  return options;
}

}  // namespace asahi::identity
