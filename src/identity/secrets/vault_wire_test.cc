#include "identity/secrets/vault_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::identity::vault {
namespace {

using namespace std::chrono_literals;
using Call = Schedule::Call;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(VaultPath, TakesThePathsOfTheCommandLineAndOfTheApi) {
  for (const auto& [text, target] :
       {std::pair<const char*, const char*>{"secret/asahi", "/v1/secret/data/asahi"},
        {"secret/data/asahi", "/v1/secret/data/asahi"},
        {"/secret/asahi/prod/", "/v1/secret/data/asahi/prod"},
        {"kv/team/data/asahi/prod", "/v1/kv/team/data/asahi/prod"}}) {
    const auto path = Path::parse(text);
    ASSERT_TRUE(path) << text;
    EXPECT_EQ(path->target(), target);
  }
}

TEST(VaultPath, RefusesWhatIsNoPath) {
  for (const char* bad :
       {"", "/", "secret", "secret/", "secret//asahi", "secret/a b", "secret/a?version=1",
        "secret/../sys/seal", "secret/..", "secret/%2e%2e", "secret/\xc3\xa4"}) {
    const auto path = Path::parse(bad);
    ASSERT_FALSE(path) << bad;
    EXPECT_EQ(path.error().field, "VAULT_PATH");
  }
}

TEST(VaultReply, ReadsTheTextMembersOfASecret) {
  const auto bundle = parse_bundle(
      R"({"request_id":"x","lease_id":"","renewable":false,"lease_duration":0,"data":{"data":
      {"OPENAI_API_KEY":"sk-1","ASAHI_JWT_SECRET":"s\"2","number":7,"nested":{"a":"b"},"not a name":"x","EMPTY":""},
      "metadata":{"created_time":"2026-11-21T10:00:00Z","custom_metadata":null,"deletion_time":"",
      "destroyed":false,"version":3}},"wrap_info":null,"warnings":null,"auth":null})");
  ASSERT_TRUE(bundle) << bundle.error().message;
  EXPECT_EQ(bundle->version, 3);
  EXPECT_EQ(bundle->values.size(), 2U);
  EXPECT_EQ(bundle->values.at("ASAHI_JWT_SECRET").reveal(), "s\"2");
  EXPECT_THAT(bundle->ignored, ElementsAre("number", "nested", "not a name", "EMPTY"));
}

TEST(VaultReply, NonsenseIsAnErrorWithoutItsText) {
  for (const char* bad :
       {"", "<html>sk-secret</html>", "[]", "{}", R"({"data":null})",
        R"({"data":{"OPENAI_API_KEY":"sk-secret"}})", R"({"data":{"data":null,"metadata":{}}})",
        R"({"data":{"data":{"A":"sk-secret"}}})", R"({"data":{"data":{"A":"sk-secret"},)"}) {
    const auto bundle = parse_bundle(bad);
    ASSERT_FALSE(bundle) << bad;
    EXPECT_EQ(bundle.error().code, Errc::kUpstream);
    EXPECT_THAT(bundle.error().message, Not(HasSubstr("secret\"")));
    EXPECT_THAT(bundle.error().message, Not(HasSubstr("sk-")));
    EXPECT_FALSE(parse_auth(bad));
    EXPECT_FALSE(parse_lookup(bad));
  }
  EXPECT_THAT(parse_bundle(R"({"data":{"OPENAI_API_KEY":"x"}})").error().message,
              HasSubstr("version 2"));
}

TEST(VaultReply, ReadsTokensAndTheirLives) {
  const auto login = parse_auth(
      R"({"auth":{"client_token":"hvs.1","lease_duration":3600,"renewable":true,"policies":["default"]}})");
  ASSERT_TRUE(login);
  EXPECT_EQ(login->token.reveal(), "hvs.1");
  EXPECT_EQ(login->ttl, 1h);
  EXPECT_TRUE(login->renewable);
  const auto root = parse_lookup(R"({"data":{"ttl":0,"expire_time":null,"policies":["root"]}})");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->ttl, 0s);
  EXPECT_FALSE(root->renewable);
  EXPECT_EQ(parse_lookup(R"({"data":{"ttl":-5}})")->ttl, 0s);
  EXPECT_LT(parse_lookup(R"({"data":{"ttl":9223372036854775807}})")->ttl,
            std::chrono::hours(24 * 366 * 101));
  EXPECT_FALSE(parse_auth(R"({"auth":{"client_token":""}})"));
}

TEST(VaultLogin, QuotesWhatItSends) {
  EXPECT_EQ(login_body("a\"b", Secret("j")), R"({"role":"a\"b","jwt":"j"})");
}

TEST(VaultRefusal, IsNamedByWhatOneCanDoAboutIt) {
  http::Headers none;
  for (const auto& [status, code] : {std::pair{400, Errc::kInvalidArgument},
                                     {401, Errc::kForbidden},
                                     {403, Errc::kForbidden},
                                     {404, Errc::kNotFound},
                                     {412, Errc::kUnavailable},
                                     {429, Errc::kRateLimited},
                                     {473, Errc::kUnavailable},
                                     {500, Errc::kUnavailable},
                                     {503, Errc::kUnavailable},
                                     {307, Errc::kUpstream},
                                     {418, Errc::kUpstream}}) {
    const Error error = refusal(status, none, "read the secrets");
    EXPECT_EQ(error.code, code) << status;
    EXPECT_EQ(error.upstream_status, status);
    EXPECT_THAT(error.message, HasSubstr("read the secrets"));
  }
  http::Headers after;
  after.add("Retry-After", "7");
  EXPECT_EQ(refusal(429, after, "x").retry_after, 7s);
  after.set("Retry-After", "Sat, 21 Nov 2026 10:00:00 GMT");
  EXPECT_FALSE(refusal(429, after, "x").retry_after);
}

struct VaultScheduleTest : ::testing::Test {
  Call call(const Schedule& schedule) { return schedule.next().call; }
  Schedule::Steady now{1000h};
  Schedule given{Schedule::Login::kGivenToken, 60s};
  Schedule kubernetes{Schedule::Login::kKubernetes, 60s};
};

TEST_F(VaultScheduleTest, TheTokenComesFirstThenTheSecretAtItsInterval) {
  EXPECT_EQ(call(given), Call::kLookUp);
  EXPECT_EQ(call(kubernetes), Call::kLogIn);
  EXPECT_LT(kubernetes.next().at, now);
  kubernetes.on_token(1h, true, now);
  EXPECT_EQ(call(kubernetes), Call::kRead);
  EXPECT_LE(kubernetes.next().at, now);
  kubernetes.on_read(now);
  EXPECT_EQ(kubernetes.next().at, now + 60s);
}

TEST_F(VaultScheduleTest, RenewsAtHalfTheLifeOfTheToken) {
  given.on_token(100s, true, now);
  given.on_read(now);
  EXPECT_EQ(call(given), Call::kRenew);
  EXPECT_EQ(given.next().at, now + 50s);
  given.on_token(100s, true, now + 50s);
  EXPECT_EQ(call(given), Call::kRead);
}

TEST_F(VaultScheduleTest, ATokenForEverIsNeverRenewed) {
  given.on_token(0s, false, now);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(call(given), Call::kRead);
    given.on_read(now += 60s);
  }
}

TEST_F(VaultScheduleTest, ALoginIsRepeatedWhenItsTokenCannotBeRenewedOrIsWornOut) {
  kubernetes.on_token(100s, false, now);
  kubernetes.on_read(now);
  EXPECT_EQ(call(kubernetes), Call::kLogIn);
  EXPECT_EQ(kubernetes.next().at, now + 50s);
  kubernetes.on_token(100s, true, now);
  EXPECT_EQ(call(kubernetes), Call::kRenew);
  kubernetes.on_token(40s, true, now);  // a renewal near the end of its longest life
  EXPECT_EQ(call(kubernetes), Call::kLogIn);
  EXPECT_EQ(kubernetes.next().at, now + 20s);
}

TEST_F(VaultScheduleTest, ARefusedRenewalLogsInAtOnceUnderKubernetes) {
  kubernetes.on_token(100s, true, now);
  kubernetes.on_read(now);
  kubernetes.on_failure(Call::kRenew, Errc::kForbidden, now + 50s);
  EXPECT_EQ(call(kubernetes), Call::kLogIn);
  EXPECT_EQ(kubernetes.next().at, now + 50s);
}

TEST_F(VaultScheduleTest, ARefusedRenewalOfAGivenTokenLeavesTheReading) {
  given.on_token(100s, true, now);
  given.on_read(now);
  given.on_failure(Call::kRenew, Errc::kInvalidArgument, now + 50s);
  EXPECT_EQ(call(given), Call::kRead);
  EXPECT_EQ(given.next().at, now + 60s);
}

TEST_F(VaultScheduleTest, ARenewalThatFailsIsTriedAgainAndHoldsUpNoReading) {
  given.on_token(100s, true, now);
  given.on_read(now);
  given.on_failure(Call::kRenew, Errc::kTimeout, now + 55s);
  EXPECT_EQ(call(given), Call::kRead);
  given.on_read(now + 60s);
  EXPECT_EQ(call(given), Call::kRenew);
  EXPECT_EQ(given.next().at, now + 65s);
}

TEST_F(VaultScheduleTest, ARefusedReadingLogsInOnceAtOnceAndThenWaits) {
  kubernetes.on_token(1h, true, now);
  kubernetes.on_failure(Call::kRead, Errc::kForbidden, now);
  EXPECT_EQ(call(kubernetes), Call::kLogIn);
  EXPECT_EQ(kubernetes.next().at, now);
  kubernetes.on_token(1h, true, now);
  EXPECT_EQ(call(kubernetes), Call::kRead);
  EXPECT_EQ(kubernetes.next().at, now);
  kubernetes.on_failure(Call::kRead, Errc::kForbidden, now);  // the policy is missing
  EXPECT_EQ(call(kubernetes), Call::kLogIn);
  EXPECT_EQ(kubernetes.next().at, now + 2s);
}

TEST_F(VaultScheduleTest, WaitsLongerAfterEachFailureUpToAMinuteUntilAReadingWorks) {
  given.on_token(0s, false, now);
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    given.on_failure(Call::kRead, Errc::kUnavailable, now);
    EXPECT_EQ(call(given), Call::kRead);
    EXPECT_EQ(given.next().at, now + pause);
  }
  given.on_read(now);
  given.on_failure(Call::kRead, Errc::kUnavailable, now + 60s);
  EXPECT_EQ(given.next().at, now + 61s);
}

TEST_F(VaultScheduleTest, ATokenThatMayNotLookAtItselfIsTriedAllTheSame) {
  given.on_failure(Call::kLookUp, Errc::kUnavailable, now);
  EXPECT_EQ(call(given), Call::kLookUp);
  EXPECT_EQ(given.next().at, now + 1s);
  given.on_failure(Call::kLookUp, Errc::kForbidden, now + 1s);
  EXPECT_EQ(call(given), Call::kRead);
}

}  // namespace
}  // namespace asahi::identity::vault
