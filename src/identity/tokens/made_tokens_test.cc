#include "identity/tokens/made_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/testing/fakes.h"
#include "identity/tokens/jwt_authenticator.h"
#include "identity/tokens/testing/fake_users.h"
#include "net/blocking.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// An administrator's API key, and the route it asks.
struct MadeTokensTest : ::testing::Test {
  MadeTokensTest() {
    loops.start();
    users.add("usr_ann", "viewer");
    users.add("usr_boss", "admin");
    caller.kind = Principal::Kind::kApiKey;
    caller.org_id = "acme";
    caller.user_id = "usr_boss";
    caller.key_prefix = "ask_acme_012";
    caller.permissions = *builtin_role("admin");
    add_made_token_routes(
        router, {.tokens = tokens,
                 .users = users,
                 .audit = audit,
                 .client_ip = [](const http::Request&) { return std::string("192.0.2.1"); },
                 .clock = clock});
    authenticator =
        JwtAuthenticator::make(
            {.own = tokens,
             .users = users,
             .find_org = [](std::string) -> Task<OrgStanding> { co_return OrgStanding(); },
             .key_opens = [this](std::string, std::string prefix) -> Task<bool> {
               co_return prefix == caller.key_prefix&& key_opens;
             },
             .issuers = {},
             .fetch = {},
             .clock = clock})
            .value();
  }

  http::Response ask(const json::object& body) {
    http::Request request{
        .method = http::Method::kPost, .path = "/auth/tokens", .body = json::serialize(body)};
    CancelSource cancel;
    http::Context context{.request = request, .loop = loops.at(0), .cancel = cancel};
    context.caller = std::make_shared<const Principal>(caller);
    const auto match = router.match(http::Method::kPost, "/auth/tokens");
    EXPECT_EQ(match.route->access, "manage_users");
    return net::run_sync<http::Response>(loops.at(0),
                                         [&] { return match.route->handler(context); });
  }
  std::string token(const json::object& body) {
    const http::Response response = ask(body);
    EXPECT_EQ(response.status, 201) << response.body;
    if (response.status != 201) return {};
    return std::string(json::parse(response.body).at("token").as_string());
  }
  Result<std::shared_ptr<const Principal>> log_in(const std::string& text) {
    http::Request request;
    request.headers.add("Authorization", "Bearer " + text);
    CancelSource cancel;
    http::Context context{.request = request, .loop = loops.at(0), .cancel = cancel};
    return net::run_sync<Result<std::shared_ptr<const Principal>>>(
        loops.at(0), [&] { return authenticator->authenticate(context); });
  }
  void expect_refused(const json::object& body, int status, std::string_view field) {
    const http::Response response = ask(body);
    EXPECT_EQ(response.status, status) << json::serialize(body) << response.body;
    EXPECT_THAT(response.body, HasSubstr("\"field\":\"" + std::string(field) + "\""))
        << json::serialize(body);
  }

  net::LoopPool loops{1};
  ManualClock clock;
  std::unique_ptr<SigningKeys> keys =
      SigningKeys::open({.alg = JwtAlg::kHs256, .secret = Secret(std::string(40, 's'))}, clock)
          .value();
  AccessTokens tokens{{}, *keys, clock};
  testing::FakeUsers users;
  testing::AuditFake audit;
  Principal caller;
  bool key_opens = true;
  http::Router router;
  std::shared_ptr<JwtAuthenticator> authenticator;
};

TEST_F(MadeTokensTest, AMachineGetsWhatItsRolesAllowAndTheSystemsThatWereNamed) {
  const auto principal = log_in(token(
      {{"user_id", "session-buddy"}, {"roles", {"operator"}}, {"systems", {"buddy", "arshai"}}}));
  ASSERT_TRUE(principal) << principal.error().message;
  EXPECT_EQ((*principal)->org_id, "acme");
  EXPECT_EQ((*principal)->user_id, "session-buddy");
  EXPECT_EQ((*principal)->systems, Systems({"arshai", "buddy"}));
  EXPECT_TRUE((*principal)->may(Permission::kIngestUpload));
  EXPECT_FALSE((*principal)->may(Permission::kIngestDelete));
  EXPECT_FALSE((*principal)->may(Permission::kManageTenants)) << "the memory's operator, not ours";
  ASSERT_EQ(audit.entries().size(), 1U);
  EXPECT_EQ(audit.entries()[0].action, "token.create");
}

TEST_F(MadeTokensTest, ItLivesAsLongAsWasAskedFor) {
  const std::string text = token({{"user_id", "m"}, {"roles", {"viewer"}}, {"ttl_seconds", 30}});
  EXPECT_TRUE(log_in(text));
  clock.advance(95s);  // and a minute of clocks that differ
  EXPECT_FALSE(log_in(text));
  EXPECT_THAT(ask({{"user_id", "m"}, {"roles", {"viewer"}}}).body,
              HasSubstr("\"expires_in\":3600"));
}

TEST_F(MadeTokensTest, NobodyGivesAwayMoreThanTheyHave) {
  caller.systems = std::vector<std::string>{"a", "b"};
  caller.permissions = {Permission::kManageUsers, Permission::kQuerySearch,
                        Permission::kSystemStatus, Permission::kViewMetrics};
  expect_refused({{"user_id", "m"}, {"roles", {"admin"}}, {"systems", {"a"}}}, 403, "roles");
  expect_refused({{"user_id", "m"}, {"roles", {"viewer"}}, {"systems", "*"}}, 403, "systems");
  expect_refused({{"user_id", "m"}, {"roles", {"viewer"}}, {"systems", {"a", "c"}}}, 403,
                 "systems");
  // Who names none hands on what they have.
  const auto principal = log_in(token({{"user_id", "m"}, {"roles", {"viewer"}}}));
  ASSERT_TRUE(principal);
  EXPECT_EQ((*principal)->systems, caller.systems);
}

TEST_F(MadeTokensTest, AUsersTokenIsNeverWorthMoreThanTheUser) {
  expect_refused({{"user_id", "usr_ann"}, {"roles", {"admin"}}}, 400, "roles");
  const std::string text = token({{"user_id", "usr_ann"}, {"roles", {"viewer"}}});
  ASSERT_TRUE(log_in(text));
  users.users["usr_ann"].active = false;
  EXPECT_FALSE(log_in(text));
  EXPECT_EQ(ask({{"user_id", "usr_ann"}, {"roles", {"viewer"}}}).status, 404);
  expect_refused({{"user_id", "usr_gone"}, {"roles", {"viewer"}}}, 400, "user_id");
}

TEST_F(MadeTokensTest, ItEndsWithTheKeyThatMadeIt) {
  const std::string text = token({{"user_id", "m"}, {"roles", {"admin"}}});
  // A token that it makes in turn hangs by the same key.
  const auto first = log_in(text);
  ASSERT_TRUE(first);
  const std::string prefix = std::exchange(caller.key_prefix, "");
  caller.user_id = "m";
  caller.made_by = (*first)->made_by;
  const std::string second = token({{"user_id", "n"}, {"roles", {"viewer"}}});
  caller.key_prefix = prefix;
  EXPECT_TRUE(log_in(second));
  key_opens = false;
  EXPECT_FALSE(log_in(text));
  EXPECT_FALSE(log_in(second));
}

TEST_F(MadeTokensTest, ItEndsWithTheUserThatMadeIt) {
  caller.key_prefix.clear();
  const std::string text = token({{"user_id", "m"}, {"roles", {"viewer"}}});
  EXPECT_TRUE(log_in(text));
  users.users.erase("usr_boss");
  EXPECT_FALSE(log_in(text));
}

TEST_F(MadeTokensTest, WhatCannotBeReadIsRefusedByItsField) {
  expect_refused({{"roles", {"viewer"}}}, 400, "user_id");
  expect_refused({{"user_id", "key:ask_acme_012"}, {"roles", {"viewer"}}}, 400, "user_id");
  expect_refused({{"user_id", "operator"}, {"roles", {"viewer"}}}, 400, "user_id");
  expect_refused({{"user_id", "a b"}, {"roles", {"viewer"}}}, 400, "user_id");
  expect_refused({{"user_id", "m"}}, 400, "roles");
  expect_refused({{"user_id", "m"}, {"roles", {"emperor"}}}, 400, "roles");
  expect_refused({{"user_id", "m"}, {"roles", {"viewer"}}, {"systems", {"a/b"}}}, 400, "systems");
  for (const int life : {0, -1, 86'401})
    expect_refused({{"user_id", "m"}, {"roles", {"viewer"}}, {"ttl_seconds", life}}, 400,
                   "ttl_seconds");
}

}  // namespace
}  // namespace asahi::identity
