#include "memory/remote/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::memory::remote {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const StoreSecrets kOurs{.current = Secret("0123456789abcdef0123456789abcdef"), .previous = {}};
const StoreSecrets kTheirs{.current = Secret("fedcba9876543210fedcba9876543210"), .previous = {}};

class Signature : public ::testing::Test {
 protected:
  http::Request signed_by(const StoreSecrets& secrets, std::chrono::milliseconds left = 1s) {
    http::Request request;
    request.method = http::Method::kPost;
    request.target = "/store/v1/get";
    request.body = "some bytes";
    nonce_ =
        sign_request(secrets, request.target, request.body, left, clock_.now(), request.headers);
    return request;
  }
  std::string refusal(const http::Request& request) {
    const auto pass = check_.check(request);
    if (pass) return "let in";
    EXPECT_EQ(pass.error().code, Errc::kUnauthenticated);
    return pass.error().message;
  }

  ManualClock clock_;
  RequestCheck check_{kOurs, clock_};
  std::string nonce_;
};

TEST_F(Signature, LetsInWhoKnowsTheSecretAndTellsTheirDeadline) {
  const auto pass = check_.check(signed_by(kOurs, 1500ms));
  ASSERT_TRUE(pass) << pass.error().message;
  EXPECT_EQ(pass->time_left, 1500ms);
}

TEST_F(Signature, RefusesAnotherSecretAndNone) {
  EXPECT_THAT(refusal(signed_by(kTheirs)), HasSubstr("AKOSHA_STORE_SECRET"));
  EXPECT_THAT(refusal(signed_by({})), HasSubstr("AKOSHA_STORE_SECRET"));
}

TEST_F(Signature, CoversEveryPartOfTheRequest) {
  const auto changed = [this](auto change) {
    http::Request request = signed_by(kOurs);
    change(request);
    return refusal(request);
  };
  EXPECT_NE(changed([](http::Request& r) { r.target = "/store/v1/delete_batch"; }), "let in");
  EXPECT_NE(changed([](http::Request& r) { r.body += '!'; }), "let in");
  EXPECT_NE(changed([](http::Request& r) { r.headers.set(kDeadlineHeader, "99999"); }), "let in");
  EXPECT_NE(changed([](http::Request& r) { r.headers.set(kTimeHeader, "1700000000001"); }),
            "let in");
  EXPECT_NE(changed([](http::Request& r) {
              r.headers.set(kNonceHeader, "00000000000000000000000000000000");
            }),
            "let in");
}

TEST_F(Signature, ARequestIsCarriedOutOnce) {
  const http::Request request = signed_by(kOurs);
  EXPECT_EQ(refusal(request), "let in");
  EXPECT_THAT(refusal(request), HasSubstr("before"));
  // Remembered for as long as it is good.
  clock_.advance(59s);
  EXPECT_THAT(refusal(request), HasSubstr("before"));
}

TEST_F(Signature, ClocksMayBeAMinuteApart) {
  const http::Request late = signed_by(kOurs);
  clock_.advance(61s);
  EXPECT_THAT(refusal(late), HasSubstr("set the clocks right"));
  const http::Request just = signed_by(kOurs);
  clock_.advance(59s);
  EXPECT_EQ(refusal(just), "let in");
}

TEST_F(Signature, MoreRequestsThanCanBeRememberedWait) {
  RequestCheck small(kOurs, clock_, {.window = 60s, .max_nonces = 1});
  EXPECT_TRUE(small.check(signed_by(kOurs)));
  const auto second = small.check(signed_by(kOurs));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  clock_.advance(121s);
  EXPECT_TRUE(small.check(signed_by(kOurs)));
}

TEST_F(Signature, TheSecretBeforeServesWhileItIsExchanged) {
  RequestCheck both({.current = kTheirs.current, .previous = kOurs.current}, clock_);
  const auto old = both.check(signed_by(kOurs));
  ASSERT_TRUE(old);
  http::Response response;
  response.body = "reply";
  old->sign(response);
  EXPECT_TRUE(is_signed_reply(kOurs, nonce_, 200, "reply", response.headers.get(kSignatureHeader)))
      << "answered with the secret that it came with";
  EXPECT_TRUE(both.check(signed_by(kTheirs)));
}

TEST_F(Signature, ARepliesSignatureIsForItsRequestStatusAndBody) {
  const auto pass = check_.check(signed_by(kOurs));
  ASSERT_TRUE(pass);
  http::Response response;
  response.body = "reply";
  pass->sign(response);
  const std::string_view signature = response.headers.get(kSignatureHeader);
  EXPECT_TRUE(is_signed_reply(kOurs, nonce_, 200, "reply", signature));
  EXPECT_FALSE(is_signed_reply(kOurs, nonce_, 200, "another", signature));
  EXPECT_FALSE(is_signed_reply(kOurs, nonce_, 503, "reply", signature));
  EXPECT_FALSE(is_signed_reply(kOurs, "another nonce", 200, "reply", signature));
  EXPECT_FALSE(is_signed_reply(kTheirs, nonce_, 200, "reply", signature));
  EXPECT_FALSE(is_signed_reply(kOurs, nonce_, 200, "reply", ""));
}

TEST(StoreSecretRules, ShortOnesAndPlaceholdersAreRefused) {
  EXPECT_TRUE(check_secrets({}));
  EXPECT_TRUE(check_secrets(kOurs));
  EXPECT_EQ(check_secrets({.current = Secret("short"), .previous = {}}).error().field,
            "memory.stores.secret");
  EXPECT_FALSE(
      check_secrets({.current = Secret("change-this-in-production-please-do-it"), .previous = {}}));
  EXPECT_EQ(check_secrets({.current = {}, .previous = kOurs.current}).error().field,
            "memory.stores.secret_previous");
}

}  // namespace
}  // namespace asahi::memory::remote
