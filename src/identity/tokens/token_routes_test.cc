#include "identity/tokens/token_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/hash.h"
#include "identity/tokens/form.h"
#include "identity/tokens/jwks.h"
#include "net/blocking.h"

namespace asahi::identity {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kKey = "ask_acme_0123456789abcdefghijklmnopqrst";
constexpr std::string_view kId = "ask_acme_012";

struct TokenRoutesTest : ::testing::Test {
  TokenRoutesTest() {
    loops.start();
    auto principal = std::make_shared<Principal>();
    principal->kind = Principal::Kind::kApiKey;
    principal->org_id = "acme";
    principal->user_id = "usr_1";
    principal->key_prefix = kId;
    principal->permissions = {Permission::kInfer, Permission::kViewMetrics};
    principal->allowed_models = {"gpt-4o"};
    principal->plan = find_plan("starter");
    key = principal;
    add_token_routes(
        router, {.tokens = tokens,
                 .keys = *keys,
                 .find_key = [this](std::string text) -> Task<std::shared_ptr<const Principal>> {
                   if (outage) co_return fail(Errc::kUnavailable, "the database is away");
                   if (text != kKey) co_return fail(Errc::kUnauthenticated, "no");
                   co_return key;
                 },
                 .audit = [this](AuditEntry entry) { audit.push_back(std::move(entry)); },
                 .client_ip = [](const http::Request&) { return std::string("192.0.2.1"); }});
  }

  ~TokenRoutesTest() override { std::filesystem::remove_all(folder); }

  http::Response call(http::Method method, std::string_view path, std::string body,
                      std::string authorization = "",
                      std::string type = "application/x-www-form-urlencoded") {
    http::Request request{.method = method, .path = std::string(path), .body = std::move(body)};
    request.headers.add("Content-Type", std::move(type));
    if (!authorization.empty()) request.headers.add("Authorization", std::move(authorization));
    CancelSource cancel;
    http::Context context{.request = request, .loop = loops.at(0), .cancel = cancel};
    const auto match = router.match(method, path);
    EXPECT_EQ(match.route->access, "public");
    return net::run_sync<http::Response>(loops.at(0),
                                         [&] { return match.route->handler(context); });
  }
  http::Response token(std::string body, std::string authorization = "",
                       std::string type = "application/x-www-form-urlencoded") {
    http::Response response =
        call(http::Method::kPost, "/oauth/token", std::move(body), std::move(authorization), type);
    EXPECT_EQ(response.headers.get("Cache-Control"), "no-store");
    EXPECT_THAT(response.body, Not(HasSubstr("0123456789ab")));
    return response;
  }
  static std::string code(const http::Response& response) {
    return std::string(parse_json(response.body).value().at("error").as_string());
  }
  static std::string form(std::string_view extra = "") {
    return "grant_type=client_credentials&client_id=" + std::string(kId) +
           "&client_secret=" + std::string(kKey) + std::string(extra);
  }
  static std::string basic(std::string_view id, std::string_view secret) {
    return "Basic " + base64_encode(std::string(id) + ":" + std::string(secret));
  }

  net::LoopPool loops{1};
  ManualClock clock;
  std::string folder = [] {
    std::string name = ::testing::TempDir() + "token_routes_XXXXXX";
    return std::string(::mkdtemp(name.data()));
  }();
  std::unique_ptr<SigningKeys> keys =
      SigningKeys::open({.alg = JwtAlg::kEs256, .folder = folder}, clock).value();
  AccessTokens tokens{{}, *keys, clock};
  std::shared_ptr<const Principal> key;
  bool outage = false;
  std::vector<AuditEntry> audit;
  http::Router router;
};

TEST_F(TokenRoutesTest, AKeyIsTradedForATokenWithItsRights) {
  for (const auto& response :
       {token(form()), token("grant_type=client_credentials", basic(kId, kKey)),
        token(form().substr(0, form().find("&client_secret")), basic(kId, kKey))}) {
    ASSERT_EQ(response.status, 200) << response.body;
    const auto body = parse_json(response.body).value();
    EXPECT_EQ(body.at("token_type"), "Bearer");
    EXPECT_EQ(body.at("expires_in"), 3'600);
    EXPECT_EQ(body.at("scope"), "infer view_metrics");
    const auto claims = tokens.verify(std::string(body.at("access_token").as_string()));
    ASSERT_TRUE(claims) << to_string(claims.error());
    EXPECT_EQ(claims->subject, "key:" + std::string(kId));
    EXPECT_EQ(claims->org_id, "acme");
    EXPECT_EQ(claims->plan, "starter");
    EXPECT_EQ(claims->allowed_models, std::vector<std::string>{"gpt-4o"});
  }
  EXPECT_TRUE(audit.empty());
}

TEST_F(TokenRoutesTest, ScopesNeverExceedTheKeys) {
  const auto body = parse_json(token(form("&scope=infer")).body).value();
  EXPECT_EQ(body.at("scope"), "infer");
  for (const char* scope :
       {"admin", "all", "*", "infer%20manage_users", "nonsense", "manage_tenants"}) {
    const auto response = token(form("&scope=" + std::string(scope)));
    EXPECT_EQ(response.status, 400) << scope;
    EXPECT_EQ(code(response), "invalid_scope") << scope;
  }
}

TEST_F(TokenRoutesTest, WrongCredentialsGetOneAnswerAndOneAuditEntry) {
  const std::string grant = "grant_type=client_credentials";
  const std::string wrong = "ask_acme_012xxxxxxxxxxxxxxxxxxxxxxxxxxxx";
  std::vector<http::Response> refused;
  refused.push_back(token(grant));
  refused.push_back(token(grant + "&client_id=" + std::string(kId)));
  refused.push_back(token(grant + "&client_id=" + std::string(kId) + "&client_secret=" + wrong));
  refused.push_back(token(grant + "&client_id=ask_othr_999&client_secret=" + std::string(kKey)));
  refused.push_back(token(grant, basic(kId, wrong)));
  refused.push_back(token(grant, "Basic !!!"));
  refused.push_back(token(grant, "Basic " + base64_encode("no colon")));
  refused.push_back(token(grant, "Bearer a.b.c"));
  for (const auto& response : refused) {
    EXPECT_EQ(response.status, 401);
    EXPECT_EQ(response.body, refused.front().body);
    EXPECT_THAT(std::string(response.headers.get("WWW-Authenticate")), HasSubstr("Basic"));
  }
  ASSERT_EQ(audit.size(), refused.size());
  for (const AuditEntry& entry : audit) {
    EXPECT_EQ(entry.action, "auth_failure");
    EXPECT_EQ(entry.ip_address, "192.0.2.1");
    EXPECT_THAT(json::serialize(entry.details), Not(HasSubstr("xxxx")));
    EXPECT_THAT(json::serialize(entry.details), Not(HasSubstr("0123")));
  }
}

TEST_F(TokenRoutesTest, AnInactiveOrganisationGetsNoTokens) {
  auto changed = std::make_shared<Principal>(*key);
  changed->org_active = false;
  key = changed;
  EXPECT_EQ(token(form()).status, 401);
}

TEST_F(TokenRoutesTest, BrokenRequestsAreToldApart) {
  EXPECT_EQ(code(token("client_id=a")), "invalid_request");
  EXPECT_EQ(code(token("grant_type=password&username=a&password=b")), "unsupported_grant_type");
  EXPECT_EQ(code(token(form("&grant_type=client_credentials"))), "invalid_request");
  EXPECT_EQ(code(token(form("&x=%zz"))), "invalid_request");
  EXPECT_EQ(code(token(form(), basic(kId, kKey))), "invalid_request");
  EXPECT_EQ(code(token("{}", "", "application/json")), "invalid_request");
  outage = true;
  const auto away = token(form());
  EXPECT_EQ(away.status, 503);
  EXPECT_EQ(code(away), "temporarily_unavailable");
  EXPECT_TRUE(audit.empty());
}

TEST_F(TokenRoutesTest, ThePublicKeysArePublished) {
  const auto response = call(http::Method::kGet, "/.well-known/jwks.json", "");
  EXPECT_EQ(response.headers.get("Content-Type"), "application/jwk-set+json");
  const auto set = parse_jwks(response.body).value();
  ASSERT_EQ(set.keys().size(), 1U);
  EXPECT_TRUE(set.keys()[0].verify("text", keys->signer().sign("text")));
  EXPECT_THAT(response.body, Not(HasSubstr("\"d\"")));
}

TEST(Form, IsReadStrictly) {
  const auto form = parse_form("a=1+2&b=%26&&c").value();
  EXPECT_EQ(form.at("a"), "1 2");
  EXPECT_EQ(form.at("b"), "&");
  EXPECT_EQ(form.at("c"), "");
  EXPECT_FALSE(parse_form("a=1&a=2"));
  EXPECT_FALSE(parse_form("a=1&%61=2"));
  EXPECT_FALSE(parse_form("a=%00"));
  EXPECT_FALSE(parse_form(std::string_view("a=\0", 3)));
  std::string many;
  for (int i = 0; i < 65; ++i) append_form(many, "n" + std::to_string(i), "");
  EXPECT_FALSE(parse_form(many));
  std::string text = "https://idp.example/a?";
  append_form(text, "x", "a b/c");
  append_form(text, "y", "1");
  EXPECT_EQ(text, "https://idp.example/a?x=a%20b%2Fc&y=1");
}

}  // namespace
}  // namespace asahi::identity
