#include "identity/tokens/jwt_authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/tokens/testing/fake_users.h"
#include "net/blocking.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct JwtAuthenticatorTest : ::testing::Test {
  JwtAuthenticatorTest() {
    loops.start();
    users.add("usr_1", "developer");
    ExternalIssuer idp{.name = "idp",
                       .issuer = "https://idp.example",
                       .jwks_uri = "https://idp.example/jwks",
                       .audience = "asahi",
                       .org_id = "acme"};
    idp.roles = {.claim = "groups", .map = {{"admins", "admin"}, {"devs", "developer"}}};
    issuers = {idp};
  }

  HttpFetch fetch() {
    return [this](http::ClientRequest request, http::CallOptions) -> Task<http::ClientResponse> {
      if (request.target != "/verify") {
        ++fetches;
        co_return http::ClientResponse{200, {}, write_jwks(JwtKeySet(published))};
      }
      ++verifications;
      if (service_status == 0) co_return fail(Errc::kUnavailable, "connection refused");
      asked_about = std::string(json::parse(request.body).at("token").as_string());
      co_return http::ClientResponse{service_status, {}, json::serialize(service_says)};
    };
  }

  JwtAuthenticator& authenticator() {
    if (made == nullptr) {
      VerifiedElsewhere elsewhere;
      if (has_service) {
        elsewhere.service =
            VerifyService::make("http://auth.example/verify", fetch(), clock).value();
        elsewhere.settings = {.name = "verified",
                              .org_id = "default",
                              .org_claim = "tenant",
                              .required = {"sub", "email", "roles"},
                              .roles = {.claim = "roles", .map = {{"operator", "developer"}}}};
      }
      auto result = JwtAuthenticator::make(
          {.own = tokens,
           .users = users,
           .find_org = [this](std::string) -> Task<OrgStanding> { co_return org; },
           .key_opens = [this](std::string, std::string) -> Task<bool> { co_return key_opens; },
           .issuers = issuers,
           .fetch = fetch(),
           .elsewhere = std::move(elsewhere),
           .clock = clock});
      EXPECT_TRUE(result) << result.error().message;
      made = std::move(*result);
    }
    return *made;
  }

  Result<std::shared_ptr<const Principal>> ask(const std::string& authorization) {
    http::Request request;
    request.headers.add("Authorization", authorization);
    CancelSource cancel;
    http::Context context{.request = request, .loop = loops.at(0), .cancel = cancel};
    EXPECT_TRUE(authenticator().applies(context));
    if (auto known = authenticator().try_authenticate(context)) {
      ++remembered;
      return *known;
    }
    return net::run_sync<Result<std::shared_ptr<const Principal>>>(
        loops.at(0), [&] { return authenticator().authenticate(context); });
  }
  Result<std::shared_ptr<const Principal>> bearer(const std::string& token) {
    return ask("Bearer " + token);
  }
  void expect_refused(const std::string& token) {
    const auto outcome = bearer(token);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Errc::kUnauthenticated);
    EXPECT_EQ(outcome.error().message, bad_token().message);
    EXPECT_EQ(outcome.error().reason, "");
  }
  std::string user_token(std::vector<std::string> scopes = builtin_role("developer")->names()) {
    return tokens
        .issue({.subject = "usr_1",
                .org_id = "acme",
                .role = "developer",
                .plan = "starter",
                .scopes = scopes})
        ->reveal();
  }
  std::string client_token() {
    return tokens
        .issue({.subject = "key:ask_acme_abc",
                .org_id = "acme",
                .scopes = {"infer"},
                .key_prefix = "ask_acme_abc",
                .key_user = "usr_1",
                .allowed_models = {"gpt-4o"},
                .requests_per_minute = 7})
        ->reveal();
  }
  std::string idp_token(json::object changes = {}) {
    json::object claims{{"iss", "https://idp.example"},
                        {"aud", "asahi"},
                        {"sub", "jane"},
                        {"exp", 1'700'003'600},
                        {"groups", json::array{"staff", "devs"}}};
    for (const auto& change : changes) claims[change.key()] = change.value();
    return sign_jwt(published.front(), claims);
  }

  net::LoopPool loops{1};
  ManualClock clock;
  std::unique_ptr<SigningKeys> keys =
      SigningKeys::open({.secret = Secret(std::string(32, 's'))}, clock).value();
  AccessTokens tokens{{}, *keys, clock};
  testing::FakeUsers users;
  OrgStanding org{.active = true, .plan = "professional"};
  bool key_opens = true;
  std::vector<ExternalIssuer> issuers;
  std::vector<JwtKey> published = {JwtKey::generate("e1", JwtAlg::kEs256).value()};
  int fetches = 0, remembered = 0;
  bool has_service = false;
  int service_status = 200, verifications = 0;
  std::string asked_about;
  json::object service_says{{"sub", "ana"},
                            {"email", "ana@example.com"},
                            {"roles", json::array{"operator"}},
                            {"tenant", "globex"}};
  std::shared_ptr<JwtAuthenticator> made;
};

TEST_F(JwtAuthenticatorTest, AppliesToBearerTokensOfThreeParts) {
  const auto token = [](const char* value) {
    http::Request request;
    request.headers.add("authorization", value);
    return std::string(bearer_jwt(request));
  };
  EXPECT_EQ(token("Bearer a.b.c"), "a.b.c");
  EXPECT_EQ(token("bearer  a.b.c"), "a.b.c");
  EXPECT_EQ(token("Bearer ask_acme_0123456789"), "");
  EXPECT_EQ(token("Bearer a.b"), "");
  EXPECT_EQ(token("Bearer a.b.c.d"), "");
  EXPECT_EQ(token("Basic a.b.c"), "");
  EXPECT_EQ(token("Bearer"), "");
  EXPECT_EQ(token(""), "");
}

TEST_F(JwtAuthenticatorTest, AUserHasTheRoleOfNowWithinTheTokensScopes) {
  const auto caller = bearer(user_token()).value();
  EXPECT_EQ(caller->kind, Principal::Kind::kToken);
  EXPECT_EQ(caller->user_id, "usr_1");
  EXPECT_EQ(caller->org_id, "acme");
  EXPECT_EQ(caller->role, "developer");
  EXPECT_EQ(caller->permissions, *builtin_role("developer"));
  EXPECT_EQ(caller->plan->name, "professional");
  EXPECT_EQ(bearer(user_token({"infer"})).value()->permissions, PermissionSet{Permission::kInfer});
  users.users["usr_1"].role = "viewer";
  const auto demoted = bearer(user_token()).value();
  EXPECT_EQ(demoted->role, "viewer");
  EXPECT_FALSE(demoted->may(Permission::kInfer));
  users.users["usr_1"].role = "painter";
  users.custom_roles["painter"] = {Permission::kInfer, Permission::kManagePolicy};
  EXPECT_EQ(bearer(user_token()).value()->permissions, PermissionSet{Permission::kInfer});
}

TEST_F(JwtAuthenticatorTest, AClientHasTheLimitsOfItsKey) {
  const auto caller = bearer(client_token()).value();
  EXPECT_EQ(caller->key_prefix, "ask_acme_abc");
  EXPECT_EQ(caller->user_id, "usr_1");
  EXPECT_EQ(caller->permissions, PermissionSet{Permission::kInfer});
  EXPECT_EQ(caller->allowed_models, std::vector<std::string>{"gpt-4o"});
  EXPECT_EQ(caller->requests_per_minute, 7);
}

TEST_F(JwtAuthenticatorTest, AValidTokenIsRememberedForAMinute) {
  const std::string token = user_token();
  const auto first = bearer(token).value();
  EXPECT_EQ(bearer(token).value(), first);
  EXPECT_EQ(remembered, 1);
  clock.advance(59s);
  EXPECT_EQ(bearer(token).value(), first);
  clock.advance(1s);
  EXPECT_NE(bearer(token).value(), first);
  EXPECT_EQ(remembered, 2);
  authenticator().forget();
  bearer(token);
  EXPECT_EQ(remembered, 2);
}

TEST_F(JwtAuthenticatorTest, ARememberedTokenStillExpires) {
  const std::string token = user_token();
  clock.advance(1h - 10s);
  EXPECT_TRUE(bearer(token));
  clock.advance(9s);
  EXPECT_TRUE(bearer(token));
  EXPECT_EQ(remembered, 1);
  clock.advance(71s);
  expect_refused(token);
}

TEST_F(JwtAuthenticatorTest, WhatWasRemovedOrRevokedIsOutWithinAMinute) {
  const std::string user = user_token();
  const std::string client = client_token();
  EXPECT_TRUE(bearer(user));
  EXPECT_TRUE(bearer(client));
  users.users["usr_1"].active = false;
  key_opens = false;
  clock.advance(60s);
  expect_refused(user);
  expect_refused(client);
  users.users.clear();
  expect_refused(user);
}

TEST_F(JwtAuthenticatorTest, AnAbsentStoreIsNoVerdict) {
  users.outage = fail(Errc::kUnavailable, "the database is away").error();
  EXPECT_EQ(bearer(user_token()).error().code, Errc::kUnavailable);
  users.outage.reset();
  EXPECT_TRUE(bearer(user_token()));
}

TEST_F(JwtAuthenticatorTest, AnInactiveOrganisationIsTold) {
  org.active = false;
  EXPECT_FALSE(bearer(user_token()).value()->org_active);
}

TEST_F(JwtAuthenticatorTest, ForgeriesGetOneAnswer) {
  const std::string good = user_token();
  const JwtKey foreign = JwtKey::hs256(keys->signer().kid(), Secret(std::string(32, 'x'))).value();
  json::object claims{{"iss", "asahi"},      {"aud", "asahi-api"}, {"sub", "usr_1"},
                      {"org_id", "acme"},    {"role", "admin"},    {"scopes", json::array{"admin"}},
                      {"exp", 1'700'003'600}};
  expect_refused(sign_jwt(foreign, claims));
  expect_refused("a.b.c");
  expect_refused("..");
  expect_refused(good.substr(0, good.rfind('.') + 1));
  expect_refused("eyJhbGciOiJub25lIn0" +
                 good.substr(good.find('.'), good.rfind('.') - good.find('.') + 1));
  expect_refused(good + std::string(9'000, 'x'));
  claims["aud"] = "other";
  expect_refused(sign_jwt(keys->signer(), claims));
  claims["aud"] = "asahi-api";
  claims["iss"] = "https://nobody.example";
  expect_refused(sign_jwt(keys->signer(), claims));
  claims["iss"] = "asahi";
  claims["scopes"] = json::array{"everything"};
  expect_refused(sign_jwt(keys->signer(), claims));
  clock.advance(1h + 61s);
  expect_refused(good);
  EXPECT_EQ(fetches, 0);
}

TEST_F(JwtAuthenticatorTest, AnExternalTokenHasTheMappedRole) {
  const auto caller = bearer(idp_token()).value();
  EXPECT_EQ(caller->user_id, "jwt:idp:jane");
  EXPECT_EQ(caller->org_id, "acme");
  EXPECT_EQ(caller->role, "developer");
  EXPECT_EQ(caller->permissions, *builtin_role("developer"));
  EXPECT_EQ(bearer(idp_token({{"groups", "admins"}})).value()->role, "admin");
  EXPECT_EQ(bearer(idp_token({{"groups", json::array{"devs", "admins"}}})).value()->role, "admin");
  EXPECT_EQ(bearer(idp_token({{"scope", "openid infer"}})).value()->permissions,
            PermissionSet{Permission::kInfer});
  EXPECT_EQ(fetches, 1);
}

TEST_F(JwtAuthenticatorTest, AnExternalTokenIsHeldToItsIssuer) {
  expect_refused(idp_token({{"groups", "strangers"}}));
  expect_refused(idp_token({{"groups", 7}}));
  expect_refused(idp_token({{"sub", std::string(255, 'x').c_str()}}));  // too long with its prefix
  expect_refused(idp_token({{"aud", "asahi-api"}}));                    // for our own tokens
  expect_refused(idp_token({{"exp", 1'699'999'000}}));
  expect_refused(idp_token({{"sub", "usr_1"}, {"iss", "asahi"}}));  // its key, our name
  // Our own key under the other's name, and its public key as a secret.
  json::object claims{{"iss", "https://idp.example"},
                      {"aud", "asahi"},
                      {"sub", "jane"},
                      {"exp", 1'700'003'600},
                      {"groups", "admins"}};
  expect_refused(sign_jwt(keys->signer(), claims));
  const JwtKey swapped =
      JwtKey::hs256("e1", Secret(json::serialize(published.front().public_jwk().value()))).value();
  expect_refused(sign_jwt(swapped, claims));
  EXPECT_TRUE(bearer(idp_token()));
}

TEST_F(JwtAuthenticatorTest, AnExternalIssuerRotatesItsKeys) {
  const std::string old = idp_token();
  EXPECT_TRUE(bearer(old));
  clock.advance(2min);
  published = {JwtKey::generate("e2", JwtAlg::kEs256).value()};
  EXPECT_TRUE(bearer(idp_token()));
  EXPECT_EQ(fetches, 2);
  expect_refused(old);
}

TEST_F(JwtAuthenticatorTest, TheOrganisationMayComeFromAClaim) {
  issuers[0].org_id = "";
  issuers[0].org_claim = "tenant.id";
  EXPECT_EQ(bearer(idp_token({{"tenant", json::object{{"id", "globex"}}}})).value()->org_id,
            "globex");
  expect_refused(idp_token());
  expect_refused(idp_token({{"tenant", json::object{{"id", "../acme"}}}}));
}

TEST_F(JwtAuthenticatorTest, TheClaimMayBeThereOrNotWhereThereIsAnOrganisationForAll) {
  issuers[0].org_claim = "tenant";
  EXPECT_EQ(bearer(idp_token({{"tenant", "globex"}})).value()->org_id, "globex");
  EXPECT_EQ(bearer(idp_token()).value()->org_id, "acme");
  expect_refused(idp_token({{"tenant", 7}}));
}

TEST_F(JwtAuthenticatorTest, ATokenWithoutARequiredClaimIsForbidden) {
  issuers[0].required = {"sub", "email"};
  const auto outcome = bearer(idp_token());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kForbidden);
  EXPECT_THAT(outcome.error().message, HasSubstr("email"));
  EXPECT_TRUE(bearer(idp_token({{"email", "jane@example.com"}})));
}

TEST_F(JwtAuthenticatorTest, AnIssuerWithoutANameIsWhereItsKeysAre) {
  issuers[0].issuer = "";
  issuers[0].jwks_uri = "https://idp.example/realms/a/certs";
  EXPECT_TRUE(bearer(idp_token()));
  EXPECT_TRUE(bearer(idp_token({{"iss", "https://idp.example/realms/a"}})));
  for (const char* foreign : {"https://idp.example/realms/b", "http://idp.example",
                              "https://idp.example:444", "idp.example"}) {
    expect_refused(idp_token({{"iss", foreign}}));
  }
  EXPECT_TRUE(issuer_fits("https://idp.example/", "https://idp.example/jwks"));
  EXPECT_FALSE(issuer_fits("https://idp.example/real", "https://idp.example/realms/a/certs"));
}

TEST_F(JwtAuthenticatorTest, AServiceIsAskedAboutTokensOfNobodyWeKnow) {
  has_service = true;
  for (const std::string& token :
       {std::string("opaque-token"),
        sign_jwt(published.front(), {{"iss", "https://other.example"}})}) {
    const auto caller = bearer(token);
    ASSERT_TRUE(caller) << caller.error().message;
    EXPECT_EQ(asked_about, token);
    EXPECT_EQ((*caller)->user_id, "jwt:verified:ana");
    EXPECT_EQ((*caller)->org_id, "globex");
    EXPECT_EQ((*caller)->role, "developer");
  }
  EXPECT_TRUE(bearer("opaque-token"));
  EXPECT_EQ(verifications, 2) << "a good token is remembered for a minute";
  clock.advance(60s);
  EXPECT_TRUE(bearer("opaque-token"));
  EXPECT_EQ(verifications, 3);
  EXPECT_TRUE(bearer(user_token()));
  EXPECT_TRUE(bearer(idp_token()));
  EXPECT_EQ(verifications, 3) << "whose issuer is known is not asked about";
}

TEST_F(JwtAuthenticatorTest, TheServicesWordHasItsLimits) {
  has_service = true;
  const auto says = [&](json::object claims) {
    service_says = std::move(claims);
    clock.advance(2min);
    return bearer("opaque-token");
  };
  service_says.erase("email");
  EXPECT_EQ(says(service_says).error().code, Errc::kForbidden);
  EXPECT_EQ(says({{"active", false}}).error().code, Errc::kUnauthenticated);
  EXPECT_EQ(says({{"email", "x"}, {"roles", "operator"}}).error().code, Errc::kUnauthenticated);
  const json::object good{{"sub", "ana"}, {"email", "x"}, {"roles", "operator"}};
  json::object over = good;
  over["exp"] = 1;
  EXPECT_EQ(says(over).error().code, Errc::kUnauthenticated);
  EXPECT_EQ(says({{"claims", good}}).value()->org_id, "default");
  for (const int status : {400, 401, 404}) {
    service_status = status;
    EXPECT_EQ(says(good).error().code, Errc::kUnauthenticated) << status;
  }
}

TEST_F(JwtAuthenticatorTest, AServiceThatIsAwayIsNoVerdictAndIsLeftAlone) {
  has_service = true;
  service_status = 0;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(bearer("opaque-token").error().code, Errc::kUnavailable);
  EXPECT_EQ(bearer("opaque-token").error().code, Errc::kUnavailable);
  EXPECT_EQ(verifications, 5) << "five failures open the breaker";
  service_status = 200;
  clock.advance(61s);
  EXPECT_TRUE(bearer("opaque-token"));
}

TEST_F(JwtAuthenticatorTest, TheSystemsOfTheClaimAreTheCallersWhoeverSigned) {
  const auto systems = [&](json::object changes) { return bearer(idp_token(changes)); };
  EXPECT_EQ(systems({}).value()->systems, Systems()) << "no claim: all";
  EXPECT_EQ(systems({{"systems", "*"}}).value()->systems, Systems());
  EXPECT_EQ(systems({{"systems", {"b", "a"}}}).value()->systems, Systems({"a", "b"}));
  EXPECT_EQ(systems({{"systems", json::array{}}}).value()->systems,
            Systems(std::vector<std::string>{}));
  for (const json::value& wrong : {json::value(nullptr), json::value(7), json::value({{"a", 1}})})
    expect_refused(idp_token({{"systems", wrong}}));

  AccessClaims own{.subject = "usr_1",
                   .org_id = "acme",
                   .role = "developer",
                   .scopes = {"query:search"},
                   .systems = Systems({"a"})};
  EXPECT_EQ(bearer(tokens.issue(own)->reveal()).value()->systems, Systems({"a"}));
  EXPECT_EQ(bearer(user_token()).value()->systems, Systems());

  has_service = true;
  made.reset();
  service_says["systems"] = json::array{"c"};
  EXPECT_EQ(bearer("opaque-1").value()->systems, Systems({"c"}));
  service_says["systems"] = false;
  EXPECT_EQ(bearer("opaque-2").error().code, Errc::kUnauthenticated);
}

TEST_F(JwtAuthenticatorTest, LooseSettingsAreRefused) {
  const auto problem = [&](std::function<void(ExternalIssuer&)> change) {
    ExternalIssuer issuer = issuers[0];
    change(issuer);
    auto result = JwtAuthenticator::make({.own = tokens,
                                          .users = users,
                                          .find_org = {},
                                          .key_opens = {},
                                          .issuers = {issuer},
                                          .fetch = {},
                                          .clock = clock});
    return result ? "" : result.error().message;
  };
  EXPECT_EQ(problem([](ExternalIssuer&) {}), "");
  EXPECT_THAT(problem([](ExternalIssuer& i) { i.audience = ""; }), HasSubstr("audience"));
  EXPECT_THAT(problem([](ExternalIssuer& i) { i.issuer = "asahi"; }), HasSubstr("own tokens"));
  EXPECT_THAT(problem([](ExternalIssuer& i) { i.org_id = ""; }), HasSubstr("org"));
  EXPECT_THAT(problem([](ExternalIssuer& i) { i.jwks_uri = "file:///etc/passwd"; }),
              HasSubstr("jwks_uri"));
}

TEST(TokenMemo, IsBounded) {
  ManualClock clock;
  TokenMemo memo(100, clock);
  const auto principal = std::make_shared<const Principal>();
  for (int i = 0; i < 10'000; ++i)
    memo.put("token" + std::to_string(i), principal, clock.steady_now() + 1s);
  EXPECT_LE(memo.size(), 128U);
  EXPECT_EQ(memo.find("token9999"), principal);
  clock.advance(1s);
  EXPECT_EQ(memo.find("token9999"), nullptr);
  memo.put("late", principal, clock.steady_now());
  EXPECT_EQ(memo.find("late"), nullptr);
}

TEST(RoleMapping, WithoutAMapTheClaimNamesTheRoleButNeverTheOperator) {
  const RoleMapping plain{.claim = "role"};
  EXPECT_EQ(map_role({{"role", "admin"}}, plain), "admin");
  EXPECT_EQ(map_role({{"role", json::array{"operator", "viewer"}}}, plain), "viewer");
  EXPECT_EQ(map_role({{"role", "owner"}}, plain), "");
  EXPECT_EQ(map_role({}, {.claim = "role", .map = {}, .fallback = "viewer"}), "viewer");
  const RoleMapping nested{
      .claim = "realm_access.roles", .map = {{"ops", "operator"}}, .fallback = ""};
  EXPECT_EQ(map_role({{"realm_access", json::object{{"roles", json::array{"ops"}}}}}, nested),
            "operator");
  EXPECT_EQ(map_role({{"realm_access.roles", "ops"}}, nested), "operator");
  EXPECT_EQ(map_role({{"realm_access", "ops"}}, nested), "");
}

TEST(RoleMapping, IsReadFromSettings) {
  const auto map = parse_role_map({"cn=admins,dc=acme=admin", "devs=developer"}).value();
  EXPECT_EQ(map[0], (std::pair<std::string, std::string>("cn=admins,dc=acme", "admin")));
  EXPECT_EQ(map[1].second, "developer");
  for (const char* bad : {"", "admin", "=admin", "admins="})
    EXPECT_FALSE(parse_role_map({bad})) << bad;
}

}  // namespace
}  // namespace asahi::identity
