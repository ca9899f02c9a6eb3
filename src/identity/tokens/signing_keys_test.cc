#include "identity/tokens/signing_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "identity/tokens/access_tokens.h"
#include "identity/tokens/jwks.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

struct SigningKeysTest : ::testing::Test {
  SigningKeysTest() {
    std::string name = ::testing::TempDir() + "jwt_keys_XXXXXX";
    folder = ::mkdtemp(name.data());
  }
  ~SigningKeysTest() override { fs::remove_all(folder); }

  SigningKeysOptions options(JwtAlg alg) const { return {.alg = alg, .folder = folder + "/keys"}; }
  std::unique_ptr<SigningKeys> open(SigningKeysOptions made) const {
    auto opened = SigningKeys::open(std::move(made), clock);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder + "/keys")) {
      if (entry.path().filename() != ".lock") out.push_back(entry.path());
    }
    return out;
  }

  std::string folder;
  ManualClock clock;
};

AccessClaims some_claims() {
  return {.subject = "usr_1", .org_id = "acme", .role = "viewer", .scopes = {"view_metrics"}};
}

TEST_F(SigningKeysTest, AMadeKeyIsPrivateAndFoundAgain) {
  for (const JwtAlg alg : {JwtAlg::kHs256, JwtAlg::kRs256, JwtAlg::kEs256}) {
    const auto first = open(options(alg));
    ASSERT_TRUE(first);
    EXPECT_EQ(first->signer().alg(), alg);
    const auto again = open(options(alg));
    EXPECT_EQ(again->signer().kid(), first->signer().kid());
    EXPECT_TRUE(again->signer().verify("text", first->signer().sign("text")));
    ASSERT_EQ(files().size(), 1U);
    struct stat about{};
    ASSERT_EQ(::stat(files().front().c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600U);
    ASSERT_EQ(::stat((folder + "/keys").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0700U);
    fs::remove_all(folder + "/keys");
  }
}

TEST_F(SigningKeysTest, TokensOfAReplacedKeyStayGoodUntilTheyExpire) {
  const auto keys = open(options(JwtAlg::kEs256));
  const AccessTokens tokens({}, *keys, clock);
  const Secret old = tokens.issue(some_claims()).value();
  const std::string old_kid = keys->signer().kid();
  clock.advance(30min);
  ASSERT_TRUE(keys->rotate());
  EXPECT_NE(keys->signer().kid(), old_kid);
  EXPECT_TRUE(tokens.verify(old.reveal()));
  EXPECT_TRUE(tokens.verify(tokens.issue(some_claims())->reveal()));
  EXPECT_THAT(write_jwks(*keys->verifiers()), HasSubstr(old_kid));
  clock.advance(31min);
  EXPECT_EQ(tokens.verify(old.reveal()).error(), JwtFault::kExpired);
  clock.advance(30min + 1s);
  ASSERT_TRUE(keys->reload());
  EXPECT_EQ(tokens.verify(old.reveal()).error(), JwtFault::kUnknownKey);
  EXPECT_THAT(write_jwks(*keys->verifiers()), Not(HasSubstr(old_kid)));
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(SigningKeysTest, AnotherProcessTakesUpARotatedKey) {
  const auto mine = open(options(JwtAlg::kRs256));
  const auto other = open(options(JwtAlg::kRs256));
  clock.advance(1s);
  ASSERT_TRUE(mine->rotate());
  EXPECT_FALSE(other->verifiers()->has_kid(mine->signer().kid()));
  ASSERT_TRUE(other->reload());
  EXPECT_EQ(other->signer().kid(), mine->signer().kid());
}

TEST_F(SigningKeysTest, ASecretOfTheSettingsSignsAndPreviousOnesVerify) {
  SigningKeysOptions before = options(JwtAlg::kHs256);
  before.secret = Secret(std::string(32, 'a'));
  const auto old = open(before);
  SigningKeysOptions after = options(JwtAlg::kHs256);
  after.secret = Secret(std::string(32, 'b'));
  after.previous_secrets = {before.secret};
  const auto keys = open(after);
  EXPECT_NE(keys->signer().kid(), old->signer().kid());
  EXPECT_TRUE(keys->verifiers()->has_kid(old->signer().kid()));
  EXPECT_EQ(write_jwks(*keys->verifiers()), R"({"keys":[]})");
  EXPECT_EQ(keys->rotate().error().code, Errc::kInvalidArgument);
}

TEST_F(SigningKeysTest, ASecretExchangedWhileRunningSignsAndThePreviousOnesVerify) {
  SigningKeysOptions made = options(JwtAlg::kHs256);
  made.secret = Secret(std::string(32, 'a'));
  const auto keys = open(made);
  const std::string first = keys->signer().kid();
  ASSERT_TRUE(keys->use_secrets(Secret(std::string(32, 'b')), {made.secret}));
  EXPECT_NE(keys->signer().kid(), first);
  EXPECT_TRUE(keys->verifiers()->has_kid(first));
  const std::string second = keys->signer().kid();
  EXPECT_FALSE(keys->use_secrets(Secret("too short"), {})) << "and what was in use stays";
  ASSERT_TRUE(keys->reload());
  EXPECT_EQ(keys->signer().kid(), second);
  ASSERT_TRUE(keys->use_secrets(Secret(std::string(32, 'b')), {}));
  EXPECT_FALSE(keys->verifiers()->has_kid(first)) << "the overlap is over";
  ASSERT_TRUE(keys->use_secrets(Secret(), {Secret(std::string(32, 'b'))}));
  EXPECT_NE(keys->signer().kid(), second) << "without a secret the folder's key signs";
  EXPECT_TRUE(keys->verifiers()->has_kid(second));
}

TEST_F(SigningKeysTest, AChangeOfAlgorithmKeepsOldTokensGood) {
  const auto old = open(options(JwtAlg::kHs256));
  const std::string signature = old->signer().sign("text");
  clock.advance(1s);
  const auto keys = open(options(JwtAlg::kEs256));
  EXPECT_EQ(keys->signer().alg(), JwtAlg::kEs256);
  EXPECT_TRUE(
      keys->verifiers()->find(old->signer().kid(), JwtAlg::kHs256)->verify("text", signature));
}

TEST_F(SigningKeysTest, AKeyFileMustBePrivateAndOfItsKind) {
  SigningKeysOptions made = options(JwtAlg::kRs256);
  made.key_file = folder + "/key.pem";
  std::ofstream(made.key_file) << JwtKey::generate("", JwtAlg::kRs256)->private_pem().reveal();
  ::chmod(made.key_file.c_str(), 0640);
  EXPECT_THAT(SigningKeys::open(made, clock).error().message, HasSubstr("chmod 600"));
  ::chmod(made.key_file.c_str(), 0600);
  const auto keys = open(made);
  EXPECT_EQ(keys->signer().alg(), JwtAlg::kRs256);
  EXPECT_EQ(open(made)->signer().kid(), keys->signer().kid());
  made.alg = JwtAlg::kEs256;
  EXPECT_THAT(SigningKeys::open(made, clock).error().message, HasSubstr("RS256"));
  made.key_file = folder + "/absent.pem";
  EXPECT_EQ(SigningKeys::open(made, clock).error().code, Errc::kUnavailable);
}

TEST_F(SigningKeysTest, WeakOrNoSecretsAreRefusedWithoutShowingThem) {
  SigningKeysOptions weak = options(JwtAlg::kHs256);
  weak.secret = Secret("hunter2");
  const auto opened = SigningKeys::open(weak, clock);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, Not(HasSubstr("hunter2")));
  EXPECT_FALSE(SigningKeys::open({.alg = JwtAlg::kHs256}, clock));
}

struct AccessTokensTest : ::testing::Test {
  ManualClock clock;
  std::unique_ptr<SigningKeys> keys =
      SigningKeys::open({.alg = JwtAlg::kHs256, .secret = Secret(std::string(32, 's'))}, clock)
          .value();
  AccessTokens tokens{{}, *keys, clock};

  JwtResult<AccessClaims> read(std::string_view name, json::value value) {
    json::object body{{"iss", "asahi"},    {"aud", "asahi-api"},  {"sub", "usr_1"},
                      {"org_id", "acme"},  {"role", "viewer"},    {"scopes", json::array{"infer"}},
                      {"plan", "starter"}, {"exp", 1'700'000'600}};
    body[name] = std::move(value);
    return tokens.verify(sign_jwt(keys->signer(), body));
  }
};

TEST_F(AccessTokensTest, ClaimsComeBackAsTheyWere) {
  AccessClaims client{.subject = "key:ask_acme_abc",
                      .org_id = "acme",
                      .plan = "starter",
                      .scopes = {"infer"},
                      .key_prefix = "ask_acme_abc",
                      .key_user = "usr_1",
                      .allowed_models = {"gpt-4o"},
                      .requests_per_minute = 5,
                      .tokens_per_minute = 1'000};
  const auto read_back = tokens.verify(tokens.issue(client)->reveal());
  ASSERT_TRUE(read_back) << to_string(read_back.error());
  EXPECT_EQ(read_back->subject, client.subject);
  EXPECT_EQ(read_back->scopes, client.scopes);
  EXPECT_EQ(read_back->allowed_models, client.allowed_models);
  EXPECT_EQ(read_back->requests_per_minute, 5);
  EXPECT_EQ(read_back->tokens_per_minute, 1'000);
  EXPECT_EQ(read_back->plan, "starter");
  EXPECT_EQ(read_back->expires_at, clock.now() + 1h);
  EXPECT_THAT(read_back->id, ::testing::StartsWith("tok_"));
}

TEST_F(AccessTokensTest, ClaimsOfTheWrongTypeAreRefused) {
  EXPECT_TRUE(read("role", "viewer"));
  for (const char* name : {"org_id", "role", "plan", "key_prefix", "key_user"}) {
    EXPECT_EQ(read(name, 1).error(), JwtFault::kClaims) << name;
    EXPECT_EQ(read(name, nullptr).error(), JwtFault::kClaims) << name;
  }
  for (const char* name : {"scopes", "allowed_models"}) {
    EXPECT_EQ(read(name, "infer").error(), JwtFault::kClaims) << name;
    EXPECT_EQ(read(name, json::array{1}).error(), JwtFault::kClaims) << name;
  }
  EXPECT_EQ(read("scopes", json::array{}).error(),
            JwtFault::kClaims);  // must not mean "everything"
  EXPECT_EQ(read("org_id", "").error(), JwtFault::kClaims);
  EXPECT_EQ(read("rpm", "5").error(), JwtFault::kClaims);
  EXPECT_EQ(read("tpm", -1).error(), JwtFault::kClaims);
  EXPECT_EQ(read("key_prefix", "ask_acme_abc").error(),
            JwtFault::kClaims);  // a user or a key, not both
}

TEST_F(AccessTokensTest, ATokenIsNeverTooLongToBeAccepted) {
  AccessClaims many = some_claims();
  many.role.clear();
  many.key_prefix = "ask_acme_abc";
  many.allowed_models.assign(1'000, "some-model");
  EXPECT_EQ(tokens.issue(many).error().code, Errc::kTooLarge);
}

}  // namespace
}  // namespace asahi::identity
