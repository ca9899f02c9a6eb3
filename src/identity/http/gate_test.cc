// The gate by itself: authenticators, access, limits and what is told of refusals.
#include "identity/http/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/keys/api_keys.h"
#include "identity/testing/fakes.h"
#include "net/blocking.h"
#include "net/http/server.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;

/// Knows the callers by what stands in `X-Test`.
class NamedCallers final : public Authenticator {
 public:
  bool applies(const http::Context& context) const override {
    return context.request.headers.has("X-Test");
  }
  std::optional<Result<std::shared_ptr<const Principal>>> try_authenticate(
      http::Context& context) override {
    if (suspends) return std::nullopt;
    return find(context);
  }
  Task<std::shared_ptr<const Principal>> authenticate(http::Context& context) override {
    ++asked;
    co_return find(context);
  }

  std::map<std::string, std::shared_ptr<const Principal>, std::less<>> callers;
  bool suspends = false;
  int asked = 0;

 private:
  Result<std::shared_ptr<const Principal>> find(const http::Context& context) const {
    const auto at = callers.find(context.request.headers.get("X-Test"));
    if (at == callers.end()) return fail(Errc::kUnauthenticated, std::string(ApiKeys::kRefused));
    return at->second;
  }
};

class GateTest : public ::testing::Test {
 protected:
  GateTest() {
    loops_.start();
    Principal key;
    key.kind = Principal::Kind::kApiKey;
    key.org_id = "acme";
    key.key_prefix = "ask_acme_abc";
    key.permissions = {Permission::kInfer};
    callers_->callers["key"] = std::make_shared<const Principal>(key);
    key.org_active = false;
    callers_->callers["inactive"] = std::make_shared<const Principal>(key);
    Principal user;
    user.kind = Principal::Kind::kSession;
    user.org_id = "acme";
    user.user_id = "usr_1";
    user.role = "viewer";
    user.permissions = {Permission::kViewMetrics};
    callers_->callers["viewer"] = std::make_shared<const Principal>(user);
    options_.requests_per_minute = 100;
    options_.anonymous_per_minute = 3;
  }

  IdentityGate& gate() {
    if (gate_ == nullptr) {
      gate_ = std::make_unique<IdentityGate>(
          IdentityGate::Parts{options_, {callers_}, *limiter_, denials_, clock_, limits_of_});
    }
    return *gate_;
  }

  struct Outcome {
    Result<void> result;
    std::shared_ptr<const Principal> caller;
    http::Headers headers;
    std::optional<http::LimitState> limits;
    bool suspended = false;
    int status = 200;
    std::string body;
  };
  Outcome enter(std::string_view access, std::string who, http::Method method = http::Method::kPost,
                std::string peer = "1.2.3.4", std::string forwarded = "") {
    return net::run_sync<Outcome>(loops_.at(0), [&]() -> Aw<Outcome> {
      http::Request request;
      request.method = method;
      request.remote_address = peer;
      if (!who.empty()) request.headers.add("X-Test", who);
      if (!forwarded.empty()) request.headers.add("X-Forwarded-For", forwarded);
      request.headers.add("User-Agent", "curl\xff");
      const http::Route route{.method = method, .pattern = "/thing/{id}", .access = access};
      CancelSource cancel;
      http::Context context{.request = request,
                            .loop = loops_.at(0),
                            .cancel = cancel,
                            .deadline = {},
                            .received = {},
                            .request_id = "req_1",
                            .client_request_id = {},
                            .path_params = {},
                            .route = route.pattern};
      Outcome outcome;
      auto entered = gate().try_enter(context, route);
      outcome.suspended = !entered;
      if (!entered) entered = co_await gate().enter(context, route);
      outcome.result = *entered;
      if (!*entered) {
        const http::Response response = http::native_error(entered->error(), context);
        outcome.status = response.status;
        outcome.body = response.body;
      }
      outcome.caller = std::static_pointer_cast<const Principal>(context.caller);
      outcome.headers = context.reply_headers;
      outcome.limits = context.limits;
      co_return outcome;
    });
  }

  net::LoopPool loops_{1};
  ManualClock clock_;
  GateOptions options_;
  std::shared_ptr<NamedCallers> callers_ = std::make_shared<NamedCallers>();
  std::unique_ptr<testing::LimiterFake> limiter_ = std::make_unique<testing::LimiterFake>();
  std::vector<AuditEntry> audited_;
  Denials denials_{
      {.per_ip = 3}, [this](AuditEntry entry) { audited_.push_back(std::move(entry)); }, clock_};
  IdentityGate::LimitsOf limits_of_;
  std::unique_ptr<IdentityGate> gate_;
};

TEST_F(GateTest, LetsInWhoMay) {
  const Outcome outcome = enter("infer", "key");
  EXPECT_TRUE(outcome.result);
  EXPECT_FALSE(outcome.suspended);
  EXPECT_EQ(outcome.caller, callers_->callers["key"]);
  ASSERT_TRUE(outcome.limits);
  EXPECT_EQ(outcome.limits->most, 100);
  EXPECT_EQ(outcome.limits->remaining, 99);
  EXPECT_EQ(outcome.limits->reset, 1'700'000'060);
  EXPECT_EQ(limiter_->taken("key/requests/ask_acme_abc"), 1);
  EXPECT_EQ(limiter_->taken("org/requests/acme"), 1);
  EXPECT_TRUE(audited_.empty());
}

TEST_F(GateTest, KeysLackScopesAndUsersLackPermissions) {
  const Outcome key = enter("manage_policy", "key");
  EXPECT_EQ(key.status, 403);
  EXPECT_THAT(key.body, ::testing::HasSubstr(R"("error":"insufficient_scope")"));
  EXPECT_THAT(key.body, ::testing::HasSubstr("manage_policy"));
  EXPECT_EQ(key.caller, nullptr);
  const Outcome user = enter("infer", "viewer");
  EXPECT_EQ(user.status, 403);
  EXPECT_THAT(user.body, ::testing::HasSubstr(R"("error":"forbidden")"));
  ASSERT_EQ(audited_.size(), 2u);
  EXPECT_EQ(audited_[0].action, "access_denied");
  EXPECT_EQ(audited_[0].org_id, "acme");
  EXPECT_EQ(audited_[0].user_id, "key:ask_acme_abc");
  EXPECT_EQ(audited_[0].resource, "POST /thing/{id}");
  EXPECT_EQ(audited_[0].result, "denied");
  EXPECT_EQ(audited_[0].user_agent, "curl\xEF\xBF\xBD");
  EXPECT_EQ(audited_[1].user_id, "usr_1");
  EXPECT_EQ(limiter_->taken("org/requests/acme"), 0) << "a refused request takes nothing";
}

TEST_F(GateTest, AuthenticatedMeansAnyValidCredential) {
  EXPECT_TRUE(enter("authenticated", "viewer").result);
  EXPECT_EQ(enter("authenticated", "").status, 401);
  EXPECT_EQ(enter("authenticated", "stranger").status, 401);
}

TEST_F(GateTest, NoCredentialAndAWrongOneReadTheSame) {
  const Outcome none = enter("infer", "");
  const Outcome wrong = enter("infer", "stranger");
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.result.error().message, wrong.result.error().message);
  EXPECT_EQ(wrong.headers.get("WWW-Authenticate"), "Bearer realm=\"asahi\"");
  ASSERT_EQ(audited_.size(), 2u);
  EXPECT_EQ(audited_[0].action, "auth_failure");
  EXPECT_EQ(audited_[0].ip_address, "1.2.3.4");
}

TEST_F(GateTest, InactiveOrganisationsAreKeptOut) {
  const Outcome outcome = enter("infer", "inactive");
  EXPECT_EQ(outcome.status, 403);
  EXPECT_EQ(outcome.caller, nullptr);
}

TEST_F(GateTest, OpenInstallationsTakeEverybodyButFalseCredentials) {
  options_.auth_required = false;
  const Outcome anybody = enter("manage_tenants", "");
  ASSERT_TRUE(anybody.result);
  EXPECT_EQ(anybody.caller->org_id, "default");
  EXPECT_EQ(anybody.caller->kind, Principal::Kind::kAnonymous);
  EXPECT_EQ(enter("infer", "stranger").status, 401);
  EXPECT_EQ(enter("manage_policy", "key").status, 403);
}

TEST_F(GateTest, ReadsOfPublicRoutesAreFreeAndChangesAreLimitedPerAddress) {
  for (int i = 0; i < 10; ++i) {
    const Outcome read = enter("public", "", http::Method::kGet);
    EXPECT_TRUE(read.result);
    EXPECT_FALSE(read.limits);
    EXPECT_TRUE(read.caller->permissions.empty());
  }
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(enter("public", "").result);
  const Outcome fourth = enter("public", "");
  EXPECT_EQ(fourth.status, 429);
  EXPECT_THAT(fourth.body, ::testing::HasSubstr(R"("error":"rate_limited")"));
  EXPECT_THAT(fourth.body, ::testing::HasSubstr(R"("retry_after_seconds":7)"));
  ASSERT_TRUE(fourth.limits);
  EXPECT_EQ(fourth.limits->remaining, 0);
  EXPECT_TRUE(enter("public", "", http::Method::kPost, "5.6.7.8").result);
}

TEST_F(GateTest, AsksTheLimitsOfPlanAndKey) {
  limits_of_.known = [](const Principal& caller) {
    EXPECT_EQ(caller.org_id, "acme");
    return CallerLimits{.key_per_minute = 2, .tenant_per_minute = 0};
  };
  EXPECT_TRUE(enter("infer", "key").result);
  EXPECT_TRUE(enter("infer", "key").result);
  EXPECT_EQ(enter("infer", "key").status, 429);
  EXPECT_EQ(limiter_->taken("org/requests/acme"), 0) << "0: no limit";
}

TEST_F(GateTest, SuspendsWhereStoreOrLimiterMust) {
  limiter_ = std::make_unique<testing::LimiterFake>(true);
  const Outcome limited = enter("infer", "key");
  EXPECT_TRUE(limited.suspended);
  EXPECT_TRUE(limited.result);
  ASSERT_TRUE(limited.limits);
  EXPECT_EQ(limited.limits->remaining, 99);
  callers_->suspends = true;
  EXPECT_TRUE(enter("infer", "key").result);
  EXPECT_EQ(enter("infer", "stranger").status, 401);
  EXPECT_EQ(enter("manage_users", "key").status, 403);
}

TEST_F(GateTest, FloodOfWrongCredentialsReachesNeitherStoreNorAudit) {
  callers_->suspends = true;
  options_.failures_per_minute = 5;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(enter("infer", "stranger").status, 401);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(enter("infer", "stranger").status, 429);
  EXPECT_EQ(callers_->asked, 5);
  EXPECT_EQ(audited_.size(), 3u);
  EXPECT_TRUE(enter("infer", "key", http::Method::kPost, "5.6.7.8").result) << "others are heard";
  clock_.advance(1min);
  EXPECT_EQ(enter("infer", "stranger").status, 401);
  ASSERT_EQ(audited_.size(), 4u);
  EXPECT_EQ(audited_[3].details.at("suppressed"), 2);
}

TEST_F(GateTest, CountsTheClientBehindATrustedProxy) {
  options_.trusted_proxies = *Networks::parse({"10.0.0.0/8"});
  EXPECT_TRUE(enter("public", "", http::Method::kPost, "10.0.0.1", "6.6.6.6, 9.9.9.9").result);
  EXPECT_EQ(limiter_->taken("ip/requests/9.9.9.9"), 1);
  EXPECT_TRUE(enter("public", "", http::Method::kPost, "8.8.8.8", "9.9.9.9").result);
  EXPECT_EQ(limiter_->taken("ip/requests/8.8.8.8"), 1);
}

TEST_F(GateTest, RouteWithAnUnknownRuleIsClosed) {
  EXPECT_EQ(enter("mange_users", "key").status, 500);
}

}  // namespace
}  // namespace asahi::identity
