#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "identity/oidc/id_token.h"
#include "identity/oidc/oidc_routes.h"
#include "identity/tokens/form.h"
#include "identity/tokens/testing/fake_sessions.h"
#include "identity/tokens/testing/fake_users.h"
#include "net/blocking.h"
#include "storage/cache/memory_store.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Form = std::map<std::string, std::string, std::less<>>;

/// A gateway with two providers, which a function plays, and a browser that keeps one cookie.
struct OidcTest : ::testing::Test {
  OidcTest() {
    loops.start();
    for (const char* id : {"idp", "other"}) {
      OidcProvider provider{.id = id,
                            .name = "",
                            .issuer = "https://" + std::string(id) + ".example",
                            .client_id = "gateway",
                            .client_secret = Secret("s3cret&more"),
                            .org_id = "acme"};
      provider.roles = {.claim = "groups", .map = {{"admins", "admin"}}, .fallback = ""};
      provider.create_users = true;
      parts.providers.push_back(provider);
    }
    auto added = add_oidc_routes(router, parts);
    EXPECT_TRUE(added) << added.error().message;
  }

  /// The provider's side: discovery, keys and token endpoint of both.
  Task<http::ClientResponse> serve(http::ClientRequest request) {
    const std::string issuer = request.origin.to_string();
    if (away) co_return fail(Errc::kUnavailable, "connection refused");
    if (request.target == "/.well-known/openid-configuration") {
      json::object document{{"issuer", issuer},
                            {"authorization_endpoint", issuer + "/authorize?p=1"},
                            {"token_endpoint", issuer + "/token"},
                            {"jwks_uri", issuer + "/jwks"},
                            {"authorization_response_iss_parameter_supported", sends_issuer}};
      for (const auto& change : discovery) document[change.key()] = change.value();
      co_return http::ClientResponse{200, {}, json::serialize(document)};
    }
    if (request.target == "/jwks")
      co_return http::ClientResponse{200, {}, write_jwks(JwtKeySet({published}))};
    EXPECT_EQ(request.target, "/token");
    exchange = parse_form(request.body).value();
    authorization = request.headers.get("Authorization");
    co_return http::ClientResponse{
        token_status, {}, token_reply.empty() ? good_reply() : token_reply};
  }

  json::object id_claims() const {
    return {{"iss", "https://idp.example"},   {"aud", "gateway"},       {"sub", "jane"},
            {"exp", 1'700'000'300},           {"iat", 1'700'000'000},   {"nonce", nonce},
            {"email", "Jane@Acme.example"},   {"email_verified", true}, {"name", "Jane"},
            {"groups", json::array{"admins"}}};
  }
  std::string good_reply() const {
    json::object claims = id_claims();
    for (const auto& change : changes) claims[change.key()] = change.value();
    for (const char* name : missing) claims.erase(name);
    return json::serialize(json::object{
        {"access_token", "at"}, {"token_type", "Bearer"}, {"id_token", sign_jwt(signer, claims)}});
  }

  http::Response get(const std::string& target) {
    http::Request request;
    request.path = target.substr(0, target.find('?'));
    request.query =
        target.find('?') == std::string::npos ? "" : target.substr(target.find('?') + 1);
    request.headers.add("Host", "127.0.0.1:8000");
    if (!cookie.empty())
      request.headers.add("Cookie", "a=b; asahi_oidc=" + cookie + "; asahi_oidc2=x");
    if (html) request.headers.add("Accept", "text/html,*/*");
    CancelSource cancel;
    http::Context context{.request = request, .loop = loops.at(0), .cancel = cancel};
    const auto match = router.match(http::Method::kGet, request.path);
    EXPECT_NE(match.route, nullptr) << request.path;
    EXPECT_EQ(match.route->access, "public");
    context.path_params = match.params;
    auto response =
        net::run_sync<http::Response>(loops.at(0), [&] { return match.route->handler(context); });
    EXPECT_EQ(response.headers.get("Cache-Control"), "no-store");
    return response;
  }
  /// Begins a login as a browser: keeps the cookie, follows the redirect in thought.
  http::Response begin(const std::string& provider = "idp", const std::string& query = "") {
    auto response = get("/auth/oidc/" + provider + "/login" + query);
    if (response.status == 302) {
      const std::string url(response.headers.get("Location"));
      sent = parse_form(url.substr(url.find('?') + 1)).value();
      nonce = sent["nonce"];
      const std::string set(response.headers.get("Set-Cookie"));
      cookie = set.substr(11, set.find(';') - 11);
    }
    return response;
  }
  http::Response come_back(const std::string& provider = "idp", const std::string& extra = "") {
    return get("/auth/oidc/" + provider + "/callback?code=c0de&state=" + sent["state"] + extra);
  }
  static std::string cookies(const http::Response& response) {
    std::string all;
    for (const auto& [name, value] : response.headers) {
      if (name == "Set-Cookie") all += value + "\n";
    }
    return all;
  }
  void expect_failed(const http::Response& response, int status = 401) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(sessions.opened, 0);
    EXPECT_THAT(cookies(response), Not(HasSubstr("asahi_session")));
    EXPECT_THAT(response.body, Not(HasSubstr("c0de")));
    ASSERT_FALSE(audit.empty());
    EXPECT_EQ(audit.back().action, "auth_failure");
    EXPECT_EQ(audit.back().org_id, "acme");
  }

  net::LoopPool loops{1};
  ManualClock clock;
  cache::MemoryStore store{{}, clock};
  LoginStates states{store};
  testing::FakeUsers users;
  testing::FakeSessions sessions;
  std::vector<AuditEntry> audit;
  JwtKey signer = JwtKey::generate("k1", JwtAlg::kEs256).value();
  JwtKey published = signer;
  bool away = false, sends_issuer = false, html = false;
  int token_status = 200;
  std::string token_reply, nonce, cookie, authorization;
  json::object discovery, changes;
  std::vector<const char*> missing;
  Form sent, exchange;
  http::Router router;
  OidcRoutes parts{
      .providers = {},
      .fetch = [this](http::ClientRequest request,
                      http::CallOptions) { return serve(std::move(request)); },
      .states = states,
      .browser = {.users = users,
                  .sessions = sessions,
                  .session_cookie =
                      [](const Session& session, bool secure) {
                        return "asahi_session=" + session.id + (secure ? "; Secure" : "");
                      },
                  .public_url = "https://gw.example.com",
                  .audit = [this](AuditEntry entry) { audit.push_back(std::move(entry)); },
                  .client_ip = [](const http::Request&) { return std::string("192.0.2.1"); }},
      .more_options =
          [] {
            return std::vector<LoginOption>{{"acme", "Acme", "saml", "/auth/saml/acme/login"}};
          },
      .clock = clock};
};

TEST_F(OidcTest, ALoginLeadsToTheProviderAndBackIntoASession) {
  const auto login = begin("idp", "?return_to=/%23/usage");
  ASSERT_EQ(login.status, 302) << login.body;
  EXPECT_THAT(std::string(login.headers.get("Location")),
              StartsWith("https://idp.example/authorize?p=1&response_type=code&"));
  EXPECT_EQ(sent["client_id"], "gateway");
  EXPECT_EQ(sent["scope"], "openid email profile");
  EXPECT_EQ(sent["redirect_uri"], "https://gw.example.com/auth/oidc/idp/callback");
  EXPECT_EQ(sent["code_challenge_method"], "S256");
  const std::string set(login.headers.get("Set-Cookie"));
  for (const char* part :
       {"HttpOnly", "SameSite=Lax", "Secure", "Max-Age=600", "Path=/auth/oidc"}) {
    EXPECT_THAT(set, HasSubstr(part));
  }
  const auto done = come_back();
  ASSERT_EQ(done.status, 302) << done.body;
  EXPECT_EQ(done.headers.get("Location"), "/#/usage");
  EXPECT_THAT(cookies(done), HasSubstr("asahi_session=session-of-usr_1; Secure"));
  EXPECT_THAT(cookies(done), HasSubstr("asahi_oidc=; Path=/auth/oidc; Max-Age=0"));
  EXPECT_EQ(exchange["grant_type"], "authorization_code");
  EXPECT_EQ(exchange["code"], "c0de");
  EXPECT_EQ(exchange["redirect_uri"], sent["redirect_uri"]);
  EXPECT_EQ(pkce_challenge(exchange["code_verifier"]), sent["code_challenge"]);
  EXPECT_EQ(authorization, "Basic " + base64_encode("gateway:s3cret%26more"));
  ASSERT_EQ(users.sign_ins.size(), 1U);
  EXPECT_EQ(users.sign_ins[0].subject, "oidc:idp:jane");
  EXPECT_EQ(users.sign_ins[0].email, "jane@acme.example");
  EXPECT_EQ(users.sign_ins[0].role, "admin");
  EXPECT_EQ(users.sign_ins[0].org_id, "acme");
  ASSERT_EQ(audit.size(), 1U);
  EXPECT_EQ(audit[0].action, "login");
  EXPECT_EQ(audit[0].user_id, "usr_1");
  EXPECT_EQ(audit[0].resource, "oidc/idp");
}

TEST_F(OidcTest, AStateIsGoodOnceOnly) {
  begin();
  const std::string first_cookie = cookie;
  EXPECT_EQ(come_back().status, 302);
  sessions.opened = 0;
  expect_failed(come_back());
  cookie = first_cookie;
  expect_failed(come_back());
}

TEST_F(OidcTest, AFailedAnswerSpendsTheStateToo) {
  begin();
  const std::string mine = std::exchange(cookie, std::string(43, 'x'));
  expect_failed(come_back());
  cookie = mine;
  expect_failed(come_back());
}

TEST_F(OidcTest, AStateIsBoundToTheBrowser) {
  begin();
  cookie.clear();  // the attacker's link in the victim's browser
  expect_failed(come_back());
  begin();
  const Form victim = sent;
  begin();  // another login's cookie
  sent = victim;
  expect_failed(come_back());
  EXPECT_TRUE(exchange.empty());
}

TEST_F(OidcTest, AStateEndsAfterTenMinutes) {
  begin();
  clock.advance(10min);
  expect_failed(come_back());
}

TEST_F(OidcTest, MadeUpStatesAreRefused) {
  begin();
  for (const std::string& state :
       {std::string(), std::string("x"), std::string(43, 'A'), std::string(5'000, 'A')}) {
    expect_failed(get("/auth/oidc/idp/callback?code=c0de&state=" + state));
  }
  expect_failed(get("/auth/oidc/idp/callback"));
  expect_failed(get("/auth/oidc/idp/callback?code=c0de&state=" + sent["state"] + "&state=x"), 400);
}

TEST_F(OidcTest, AnAnswerForAnotherProviderIsRefused) {
  begin("idp");
  expect_failed(come_back("other"));
  EXPECT_TRUE(exchange.empty());
  begin("idp");
  expect_failed(come_back("idp", "&iss=https%3A%2F%2Fother.example"));  // RFC 9207
  EXPECT_TRUE(exchange.empty());
  begin("other");
  expect_failed(come_back("other"));  // the id token is of idp
}

TEST_F(OidcTest, AProviderThatNamesItselfMustDoSo) {
  sends_issuer = true;
  begin();
  expect_failed(come_back());
  begin();
  EXPECT_EQ(come_back("idp", "&iss=https%3A%2F%2Fidp.example").status, 302);
}

TEST_F(OidcTest, TheIdTokenIsCheckedInEveryPart) {
  const auto refused = [&](std::string_view name, json::value value) {
    changes = {{name, std::move(value)}};
    begin();
    expect_failed(come_back());
  };
  refused("nonce", "another");
  refused("nonce", nullptr);
  refused("nonce", "");
  refused("aud", "somebody else");
  refused("aud", json::array{"gateway", "somebody else"});  // without azp
  refused("azp", "somebody else");
  refused("iss", "https://evil.example");
  refused("exp", 1'699'999'000);
  refused("iat", 1'700'000'100);
  refused("sub", "");
  refused("at_hash", "AAAAAAAAAAAAAAAAAAAAAA");
  refused("at_hash", 1);
  changes = {};
  for (const char* name : {"nonce", "aud", "iss", "exp", "iat", "sub"}) {
    missing = {name};
    begin();
    expect_failed(come_back());
  }
  missing = {};
  const Digest256 digest = sha256("at");
  changes = {{"aud", json::array{"gateway", "other"}},
             {"azp", "gateway"},
             {"at_hash", base64url_encode({reinterpret_cast<const char*>(digest.data()), 16})}};
  begin();
  EXPECT_EQ(come_back().status, 302);
}

TEST_F(OidcTest, TheIdTokenMustBeSignedByTheProvider) {
  signer = JwtKey::generate("k1", JwtAlg::kEs256).value();
  begin();
  expect_failed(come_back());
  signer = JwtKey::hs256("k1", Secret("s3cret&more, or any other secret of us")).value();
  begin();
  expect_failed(come_back());
  nonce.clear();
  token_reply = R"({"access_token":"at","id_token":"eyJhbGciOiJub25lIn0.e30."})";
  begin();
  expect_failed(come_back());
  token_reply = R"({"access_token":"at"})";
  begin();
  expect_failed(come_back());
}

TEST_F(OidcTest, ARotatedKeyOfTheProviderIsFound) {
  begin();
  EXPECT_EQ(come_back().status, 302);
  clock.advance(2min);
  signer = published = JwtKey::generate("k2", JwtAlg::kRs256).value();
  begin();
  EXPECT_EQ(come_back().status, 302);
}

TEST_F(OidcTest, ARefusedCodeOrConsentIsALoginThatFailed) {
  begin();
  expect_failed(get("/auth/oidc/idp/callback?error=access_denied&state=" + sent["state"]));
  token_status = 400;
  token_reply = R"({"error":"invalid_grant"})";
  begin();
  expect_failed(come_back());
  token_reply = R"({"error":"invalid_client","error_description":"secret s3cret"})";
  begin();
  const auto broken = come_back();
  expect_failed(broken, 502);
  EXPECT_THAT(broken.body, Not(HasSubstr("s3cret")));
  token_status = 200;
  token_reply = "<html>";
  begin();
  expect_failed(come_back(), 502);
}

TEST_F(OidcTest, OnlyPathsOfThisHostAreReturnedTo) {
  for (const char* target :
       {"https://evil.example", "//evil.example", "/%5Cevil.example", "/%09/evil.example",
        "javascript:alert(1)", "evil", "", "/%0d%0aSet-Cookie:x", "\\\\evil.example"}) {
    const auto response = begin("idp", "?return_to=" + std::string(target));
    EXPECT_EQ(response.status, 400) << target;
    EXPECT_EQ(response.headers.get("Location"), "");
  }
  EXPECT_TRUE(is_safe_return_path("/#/usage?x=https://a"));
  EXPECT_FALSE(is_safe_return_path("/" + std::string(2'000, 'a')));
  EXPECT_FALSE(is_safe_return_path("/\xc3\xa4"));
}

TEST_F(OidcTest, AnUncheckedAddressOrAnUnknownUserIsForbidden) {
  changes = {{"email_verified", false}};
  begin();
  expect_failed(come_back(), 403);
  changes = {{"email", "jane@acme.example\r\nBcc: all"}};
  begin();
  expect_failed(come_back());
  changes = {};
  users.outage = fail(Errc::kForbidden, "the user is not known here").error();
  begin();
  expect_failed(come_back(), 403);
  users.outage = fail(Errc::kConflict, "the e-mail address belongs to another user").error();
  begin();
  expect_failed(come_back(), 409);
}

TEST_F(OidcTest, AnAbsentProviderIsUnavailable) {
  away = true;
  EXPECT_EQ(begin().status, 503);
  away = false;
  EXPECT_EQ(begin().status, 503);  // not asked again at once
  clock.advance(5s);
  EXPECT_EQ(begin().status, 302);
  away = true;
  clock.advance(2h);
  EXPECT_EQ(begin().status, 302);  // what it said before still serves
}

TEST_F(OidcTest, ADishonestDiscoveryDocumentIsRefused) {
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"issuer", "https://evil.example"},
           {"token_endpoint", "http://idp.example/token"},
           {"jwks_uri", "file:///etc/passwd"},
           {"authorization_endpoint", "javascript:alert(1)"},
           {"token_endpoint", ""}}) {
    discovery = {{name, value}};
    clock.advance(1min);
    EXPECT_EQ(begin().status, 503) << name << value;
  }
}

TEST_F(OidcTest, AProviderMayWantTheSecretInTheForm) {
  discovery = {{"token_endpoint_auth_methods_supported", json::array{"client_secret_post"}}};
  begin();
  EXPECT_EQ(come_back().status, 302);
  EXPECT_EQ(authorization, "");
  EXPECT_EQ(exchange["client_secret"], "s3cret&more");
}

TEST_F(OidcTest, UnknownProvidersAreNotFound) {
  EXPECT_EQ(get("/auth/oidc/nobody/login").status, 404);
  EXPECT_EQ(get("/auth/oidc/nobody/callback?code=a&state=b").status, 404);
}

TEST_F(OidcTest, BrowsersGetAPageThatRepeatsNothing) {
  html = true;
  const auto page =
      get("/auth/oidc/idp/callback?code=%3Cscript%3E&state=%3Cscript%3E&error=%3Cscript%3E");
  EXPECT_EQ(page.status, 401);
  EXPECT_THAT(page.body, HasSubstr("<h1>Login failed</h1>"));
  EXPECT_THAT(page.body, Not(HasSubstr("script")));
}

TEST_F(OidcTest, TheLoginPageIsToldAllWays) {
  const auto body = parse_json(get("/auth/providers").body).value();
  EXPECT_EQ(
      json::serialize(body),
      R"({"providers":[{"id":"idp","name":"idp","type":"oidc","login_url":"/auth/oidc/idp/login"},)"
      R"({"id":"other","name":"other","type":"oidc","login_url":"/auth/oidc/other/login"},)"
      R"({"id":"acme","name":"Acme","type":"saml","login_url":"/auth/saml/acme/login"}]})");
}

TEST_F(OidcTest, WithoutAPublicUrlOnlyThisMachineCanLogIn) {
  parts.browser.public_url.clear();
  router = {};
  ASSERT_TRUE(add_oidc_routes(router, parts));
  const auto response = begin();
  EXPECT_EQ(sent["redirect_uri"], "http://127.0.0.1:8000/auth/oidc/idp/callback");
  EXPECT_THAT(cookies(response), Not(HasSubstr("Secure")));
  EXPECT_EQ(come_back().status, 302);
  EXPECT_FALSE(is_local_http("http://evil.example"));
  EXPECT_FALSE(is_local_http("http://127.0.0.1.evil.example"));
  EXPECT_TRUE(is_local_http("http://[::1]:80"));
}

TEST_F(OidcTest, LooseSettingsAreRefused) {
  const auto problem = [&](std::function<void(OidcProvider&)> change) {
    OidcProvider provider = parts.providers[0];
    change(provider);
    const auto result = check(provider);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(problem([](OidcProvider&) {}), "");
  EXPECT_THAT(problem([](OidcProvider& p) { p.id = "A/../b"; }), HasSubstr("name"));
  EXPECT_THAT(problem([](OidcProvider& p) { p.issuer = "http://idp.example"; }),
              HasSubstr("https"));
  EXPECT_THAT(problem([](OidcProvider& p) { p.client_id = ""; }), HasSubstr("client_id"));
  EXPECT_THAT(problem([](OidcProvider& p) { p.scopes = {"email"}; }), HasSubstr("openid"));
  EXPECT_THAT(problem([](OidcProvider& p) { p.org_id = "a b"; }), HasSubstr("org_id"));
  router = {};
  parts.providers.push_back(parts.providers[0]);
  EXPECT_FALSE(add_oidc_routes(router, parts));
}

}  // namespace
}  // namespace asahi::identity
