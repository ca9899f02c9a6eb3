#include "identity/saml/saml_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/hash.h"
#include "identity/saml/testing/test_idp.h"
#include "identity/tokens/form.h"
#include "identity/tokens/testing/fake_sessions.h"
#include "identity/tokens/testing/fake_users.h"
#include "net/blocking.h"
#include "storage/cache/memory_store.h"
#include "storage/sql/testing/child_process.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TestIdp;

const TestIdp& idp() {
  static const TestIdp one;
  return one;
}
const SpKey& sp_key() {
  static const SpKey one = [] {
    const std::string folder = sql::testing::make_folder("asahi-saml-").value();
    return SpKey::open("", folder + "/saml_keys", system_clock()).value();
  }();
  return one;
}

/// A gateway where two organisations log in with one provider, and a browser that keeps one cookie.
struct SamlRoutesTest : ::testing::Test {
  SamlRoutesTest() {
    loops.start();
    for (const char* org : {"acme", "globex"}) {
      SamlProvider provider{.org_id = org,
                            .name = "",
                            .entity_id = "",
                            .idp = parse_idp_metadata(idp().metadata()).value()};
      provider.roles = {.claim = "http://schemas.example/groups", .map = {{"admins", "admin"}}};
      provider.create_users = true;
      parts.providers.push_back(std::move(provider));
    }
    auto added = add_saml_routes(router, parts);
    EXPECT_TRUE(added) << added.error().message;
  }

  http::Response call(http::Method method, const std::string& target, std::string body = {}) {
    http::Request request;
    request.method = method;
    request.path = target.substr(0, target.find('?'));
    request.query =
        target.find('?') == std::string::npos ? "" : target.substr(target.find('?') + 1);
    request.body = std::move(body);
    request.headers.add("Host", "gw.example.com");
    if (!cookie.empty()) request.headers.add("Cookie", "a=b; asahi_saml=" + cookie);
    if (html) request.headers.add("Accept", "text/html,*/*");
    CancelSource cancel;
    http::Context context{.request = request, .loop = loops.at(0), .cancel = cancel};
    context.request_id = "req_1";
    const auto match = router.match(method, request.path);
    EXPECT_NE(match.route, nullptr) << request.path;
    EXPECT_EQ(match.route->access, "public");
    context.path_params = match.params;
    return net::run_sync<http::Response>(loops.at(0),
                                         [&] { return match.route->handler(context); });
  }
  static std::string cookies(const http::Response& response) {
    std::string all;
    for (const auto& [name, value] : response.headers) {
      if (name == "Set-Cookie") all += value + "\n";
    }
    return all;
  }
  /// Begins a login as a browser: keeps the cookie and reads what the provider would read.
  http::Response begin(const std::string& query = "", const std::string& org = "acme") {
    auto response = call(http::Method::kGet, "/auth/saml/" + org + "/login" + query);
    if (response.status != 302) return response;
    const std::string set = cookies(response);
    cookie = set.substr(11, set.find(';') - 11);
    const std::string url(response.headers.get("Location"));
    sent = url.substr(url.find("SAMLRequest="));
    const std::string packed = base64_decode(parse_form(sent).value()["SAMLRequest"]).value();
    asked = packed.substr(5);  // after the header of a stored block
    const std::size_t at = asked.find("ID=\"") + 4;
    said = testing::response_parts(clock.now());
    said.request_id = said.confirmed_request = asked.substr(at, asked.find('"', at) - at);
    said.acs_url = said.destination = said.recipient =
        "https://gw.example.com/auth/saml/" + org + "/acs";
    said.audience = "https://gw.example.com/auth/saml/" + org + "/metadata";
    return response;
  }
  http::Response post(const std::string& xml, const std::string& more = "",
                      const std::string& org = "acme") {
    std::string form;
    append_form(form, "SAMLResponse", base64_encode(xml));
    return call(http::Method::kPost, "/auth/saml/" + org + "/acs", form + more);
  }
  http::Response come_back() { return post(idp().response(said)); }
  void expect_failed(const http::Response& response, std::string_view reason, int status = 401) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(sessions.opened, 0);
    EXPECT_THAT(cookies(response), Not(HasSubstr("asahi_session")));
    EXPECT_THAT(cookies(response), HasSubstr("asahi_saml=; "));
    EXPECT_THAT(response.body, Not(HasSubstr("jane")));
    EXPECT_EQ(response.headers.get("Cache-Control"), "no-store");
    ASSERT_EQ(audit.size(), 1U);
    EXPECT_EQ(audit[0].action, "auth_failure");
    EXPECT_EQ(audit[0].result, "denied");
    EXPECT_EQ(audit[0].user_id, "anonymous");
    EXPECT_EQ(audit[0].details.at("reason").as_string(), reason);
    if (status == 401) EXPECT_THAT(response.body, HasSubstr("start it again from the login page"));
  }

  net::LoopPool loops{1};
  ManualClock clock;
  cache::MemoryStore store{{}, clock};
  LoginStates states{store};
  testing::FakeUsers users;
  testing::FakeSessions sessions;
  std::vector<AuditEntry> audit;
  bool html = false;
  std::string cookie, sent, asked;
  testing::ResponseParts said;
  http::Router router;
  SamlRoutes parts{
      .providers = {},
      .key = sp_key(),
      .states = states,
      .used = store,
      .browser = {.users = users,
                  .sessions = sessions,
                  .session_cookie =
                      [](const Session& session, bool secure) {
                        return "asahi_session=" + session.id + (secure ? "; Secure" : "");
                      },
                  .public_url = "https://gw.example.com/",
                  .audit = [this](AuditEntry entry) { audit.push_back(std::move(entry)); },
                  .client_ip = [](const http::Request&) { return std::string("192.0.2.1"); }},
      .clock = clock};
};

TEST_F(SamlRoutesTest, ALoginLeadsToTheProviderAndBackIntoASession) {
  const auto login = begin("?return_to=/%23/usage");
  ASSERT_EQ(login.status, 302) << login.body;
  EXPECT_THAT(std::string(login.headers.get("Location")),
              StartsWith("https://idp.example/sso?tenant=1&x=2&SAMLRequest="));
  EXPECT_THAT(cookies(login),
              HasSubstr("Path=/auth/saml; Max-Age=600; HttpOnly; Secure; SameSite=None"));
  EXPECT_THAT(
      asked,
      HasSubstr("AssertionConsumerServiceURL=\"https://gw.example.com/auth/saml/acme/acs\""));
  EXPECT_THAT(asked, HasSubstr("Destination=\"https://idp.example/sso?tenant=1&amp;x=2\""));
  EXPECT_THAT(asked, HasSubstr("<saml:Issuer>https://gw.example.com/auth/saml/acme/metadata<"));

  said.attributes = testing::attribute_xml("http://schemas.example/groups", {"staff", "admins"}) +
                    testing::attribute_xml("displayName", {"Jane &lt;b&gt;"});
  const auto back = come_back();
  ASSERT_EQ(back.status, 303) << back.body;
  EXPECT_EQ(back.headers.get("Location"), "/#/usage");
  EXPECT_THAT(cookies(back), HasSubstr("asahi_session=session-of-usr_1; Secure"));
  EXPECT_THAT(cookies(back), HasSubstr("asahi_saml=; Path=/auth/saml; Max-Age=0"));
  ASSERT_EQ(users.sign_ins.size(), 1U);
  EXPECT_EQ(users.sign_ins[0].subject, "saml:acme:jane@acme.example");
  EXPECT_EQ(users.sign_ins[0].org_id, "acme");
  EXPECT_EQ(users.sign_ins[0].email, "jane@acme.example");
  EXPECT_EQ(users.sign_ins[0].full_name, "Jane <b>");
  EXPECT_EQ(users.sign_ins[0].role, "admin");
  ASSERT_EQ(audit.size(), 1U);
  EXPECT_EQ(audit[0].action, "login");
  EXPECT_EQ(audit[0].resource, "saml/acme");
  EXPECT_EQ(audit[0].user_id, "usr_1");
}

TEST_F(SamlRoutesTest, TheRequestIsSignedWithTheKeyOfTheMetadata) {
  begin();
  const auto metadata = call(http::Method::kGet, "/auth/saml/acme/metadata");
  ASSERT_EQ(metadata.status, 200);
  EXPECT_EQ(metadata.headers.get("Content-Type"), "application/samlmetadata+xml");
  const std::size_t from = metadata.body.find("Certificate>") + 12;
  const std::string der =
      base64_decode(metadata.body.substr(from, metadata.body.find('<', from) - from)).value();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  X509* const certificate = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
  ASSERT_NE(certificate, nullptr);
  const std::string text = sent.substr(0, sent.find("&Signature="));
  const std::string signature = base64_decode(parse_form(sent).value()["Signature"]).value();
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, X509_get0_pubkey(certificate));
  EXPECT_EQ(EVP_DigestVerify(context, reinterpret_cast<const unsigned char*>(signature.data()),
                             signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                             text.size()),
            1);
  EVP_MD_CTX_free(context);
  X509_free(certificate);
  for (const char* part :
       {"entityID=\"https://gw.example.com/auth/saml/acme/metadata\"",
        "Location=\"https://gw.example.com/auth/saml/acme/acs\"", "AuthnRequestsSigned=\"true\""}) {
    EXPECT_THAT(metadata.body, HasSubstr(part));
  }
}

TEST_F(SamlRoutesTest, WhatNobodyAskedForIsRefused) {
  begin();
  cookie.clear();
  expect_failed(come_back(), "not_waiting");
}

TEST_F(SamlRoutesTest, AResponseIsTakenOnceOnly) {
  begin();
  const std::string kept = cookie, response = idp().response(said);
  ASSERT_EQ(post(response).status, 303);
  sessions.opened = 0;
  audit.clear();
  cookie = kept;
  expect_failed(post(response), "not_waiting");
  // In a fresh login the old response answers nothing.
  begin();
  audit.clear();
  expect_failed(post(response), "in_response_to");
}

TEST_F(SamlRoutesTest, AnAssertionIsUsedOnceEvenIfTheProviderIssuesItTwice) {
  begin();
  ASSERT_EQ(come_back().status, 303);
  sessions.opened = 0;
  audit.clear();
  begin();
  expect_failed(come_back(), "replayed");
  // Another organisation's provider counts for itself.
  audit.clear();
  begin("", "globex");
  EXPECT_EQ(post(idp().response(said), "", "globex").status, 303);
}

TEST_F(SamlRoutesTest, AnotherBrowserCannotEndALogin) {
  begin();
  const std::string response = idp().response(said), state = cookie.substr(0, cookie.find('.'));
  begin();
  const std::string own = cookie.substr(cookie.find('.'));
  cookie = state + own;
  expect_failed(post(response), "not_waiting");
}

TEST_F(SamlRoutesTest, ALoginBegunForOneOrganisationDoesNotEndInAnother) {
  begin("", "globex");
  expect_failed(post(idp().response(said)), "not_waiting");
}

TEST_F(SamlRoutesTest, ALoginIsForgottenAfterTenMinutes) {
  begin();
  clock.advance(10min + 1s);
  expect_failed(come_back(), "not_waiting");
}

TEST_F(SamlRoutesTest, AFailedResponseSpendsTheLogin) {
  begin();
  const std::string good = idp().response(said);
  const std::string kept = cookie;
  expect_failed(post("<a/>"), "structure");
  cookie = kept;
  audit.clear();
  expect_failed(post(good), "not_waiting");
}

TEST_F(SamlRoutesTest, TheReasonIsInTheLogAndNotInTheAnswer) {
  begin();
  said.audience = "https://other.example";
  html = true;
  const auto page = come_back();
  expect_failed(page, "audience");
  EXPECT_THAT(page.body, StartsWith("<!doctype html>"));
  EXPECT_THAT(page.body, Not(HasSubstr("audience")));
}

TEST_F(SamlRoutesTest, TheRelayStateDoesNotSayWhereToGo) {
  begin("?return_to=/dashboard");
  const auto back = post(idp().response(said), "&RelayState=https%3A%2F%2Fevil.example");
  ASSERT_EQ(back.status, 303);
  EXPECT_EQ(back.headers.get("Location"), "/dashboard");
  for (const char* elsewhere : {"https://evil.example/", "//evil.example", "/%5Cevil.example"}) {
    EXPECT_EQ(begin(std::string("?return_to=") + elsewhere).status, 400) << elsewhere;
  }
}

TEST_F(SamlRoutesTest, AnAccountThatIsNotKnownStaysOutUnlessUsersAreCreated) {
  for (SamlProvider& provider : parts.providers) provider.create_users = false;
  router = http::Router();
  ASSERT_TRUE(add_saml_routes(router, parts));
  begin();
  expect_failed(come_back(), "account", 403);
}

TEST_F(SamlRoutesTest, ANameLongerThanTheTableTakesIsRefused) {
  begin();
  said.attributes = testing::attribute_xml("email", {std::string(300, 'x') + "@acme.example"});
  expect_failed(come_back(), "account");
}

TEST_F(SamlRoutesTest, BodiesThatAreNoFormAreRefused) {
  for (const char* body : {"", "SAMLResponse=a&SAMLResponse=b", "SAMLResponse=%zz", "{}"}) {
    audit.clear();
    begin();
    expect_failed(call(http::Method::kPost, "/auth/saml/acme/acs", body), "malformed");
  }
}

TEST_F(SamlRoutesTest, AnOrganisationWithoutAProviderIsNotFound) {
  for (const char* path : {"/auth/saml/nobody/metadata", "/auth/saml/nobody/login"})
    EXPECT_EQ(call(http::Method::kGet, path).status, 404);
  expect_failed(post("<a/>", "", "nobody"), "unknown_provider", 404);
  EXPECT_TRUE(audit[0].org_id == Principal::kDefaultOrg);
}

TEST_F(SamlRoutesTest, TheLoginPageListsTheOrganisations) {
  const auto options = saml_options(parts.providers);
  ASSERT_EQ(options.size(), 2U);
  EXPECT_EQ(options[0].login_url, "/auth/saml/acme/login");
  EXPECT_EQ(options[0].type, "saml");
}

TEST_F(SamlRoutesTest, WrongSettingsStopTheStart) {
  http::Router other;
  SamlRoutes no_org = parts, no_url = parts, no_key = parts;
  no_org.providers[0].org_id = "a b";
  no_url.browser.public_url = "gw.example.com";
  no_key.key.reset();
  for (const SamlRoutes& wrong : {no_org, no_url, no_key})
    EXPECT_FALSE(add_saml_routes(other, wrong));
}

}  // namespace
}  // namespace asahi::identity
