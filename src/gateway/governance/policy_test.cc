#include "gateway/governance/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

using identity::Permission;
using identity::Plan;
using identity::Principal;

NanoUsd usd(double dollars) { return nano_usd_from_dollars(dollars); }

Result<OrgPolicy> read(std::string_view text, const OrgPolicy* base = nullptr) {
  return read_policy(json::parse(text), base);
}

struct Setting {
  OrgPolicy policy;
  Principal caller;
  ModelProfile model;
  std::optional<Plan> plan;

  Setting() {
    caller.permissions = {Permission::kInfer};
    model.name = "gpt-4o";
    model.region = "us";
    model.aliases = {"gpt-4o-2024-11-20"};
  }
  PolicyBounds bounds() const {
    return {.policy = &policy, .plan = plan ? &*plan : nullptr, .residency = policy.data_residency};
  }
  Verdict decide(NanoUsd estimate = {}, PolicyUse use = {}) const {
    return gateway::decide(bounds(), caller, model, estimate, use);
  }
  std::string reason(NanoUsd estimate = {}, PolicyUse use = {}) const {
    const Verdict verdict = decide(estimate, use);
    return verdict ? "" : verdict.error().error.reason;
  }
};

TEST(Policy, ReadsBackWhatItShows) {
  const auto policy =
      read(R"({"allowed_models":["gpt-*","claude-3-5-haiku"],"blocked_models":["gpt-4"],
    "max_cost_per_day":12.5,"max_cost_per_month":100,"max_cost_per_request":0.25,"max_requests_per_day":10,
    "max_requests_per_month":100,"default_quality_threshold":4,"default_latency_budget_ms":500,"require_audit_log":true,
    "data_residency":"eu","rate_limit_per_minute":60,"tokens_per_minute":1000,"per_user":{"requests_per_minute":5},
    "per_model":{"gpt-4o":{"tokens_per_minute":100}},"cost_sensitivity":"low"})");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->max_cost_per_day, usd(12.5));
  EXPECT_EQ(policy->per_model.at("gpt-4o").tokens_per_minute, 100);
  const auto again = read_policy(policy_json(*policy));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, *policy);
}

TEST(Policy, NamesFieldValueAndRuleOfAFault) {
  struct Wrong {
    const char *text, *field, *part;
  };
  for (const Wrong& wrong : {
           Wrong{R"([])", "", "must be a JSON object"},
           Wrong{R"({"max_cost":1})", "max_cost", "not a known field"},
           Wrong{R"({"max_cost_per_day":-1})", "max_cost_per_day",
                 "is -1; it must be a number of dollars from 0"},
           Wrong{R"({"max_cost_per_day":"5"})", "max_cost_per_day", "is \"5\""},
           Wrong{R"({"max_requests_per_day":1.5})", "max_requests_per_day",
                 "is 1.5; it must be a whole number"},
           Wrong{R"({"default_quality_threshold":5.1})", "default_quality_threshold",
                 "from 0 to 5"},
           Wrong{R"({"default_latency_budget_ms":10})", "default_latency_budget_ms",
                 "from 50 to 30000"},
           Wrong{R"({"data_residency":"mars"})", "data_residency", "one of us, eu, ap"},
           Wrong{R"({"require_audit_log":1})", "require_audit_log", "true or false"},
           Wrong{R"({"allowed_models":["a",""]})", "allowed_models", "a list of at most"},
           Wrong{R"({"allowed_models":["*gpt"]})", "allowed_models", "only stand at the end"},
           Wrong{R"({"per_user":{"x":1}})", "per_user.x", "per_user.x is not a known field"},
           Wrong{R"({"per_model":{"m":{"tokens_per_minute":-1}}})", "per_model.m.tokens_per_minute",
                 "is -1"},
           Wrong{R"({"per_model":3})", "per_model", "must be an object"},
       }) {
    const auto policy = read(wrong.text);
    ASSERT_FALSE(policy) << wrong.text;
    EXPECT_EQ(policy.error().code, Errc::kInvalidArgument);
    EXPECT_EQ(policy.error().field, wrong.field) << wrong.text;
    EXPECT_THAT(policy.error().message, ::testing::HasSubstr(wrong.part)) << wrong.text;
  }
}

TEST(Policy, PatchChangesOnlyWhatItNames) {
  const auto base = read(R"({"max_cost_per_day":5,"blocked_models":["a"],"data_residency":"eu"})");
  const auto changed = read(R"({"max_cost_per_day":null,"max_requests_per_day":7})", &*base);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->max_cost_per_day, std::nullopt);
  EXPECT_EQ(changed->max_requests_per_day, 7);
  EXPECT_EQ(changed->blocked_models, std::vector<std::string>{"a"});
  EXPECT_EQ(changed->data_residency, "eu");
}

TEST(Policy, ExactlyReachingTheSpendCapIsAllowedAndTheCountCapIsNot) {
  Setting s;
  s.policy.max_cost_per_day = usd(10);
  s.policy.max_requests_per_day = 100;
  EXPECT_EQ(s.reason(usd(1), {.spent_day = usd(9)}), "");
  EXPECT_EQ(s.reason(usd(1) + NanoUsd{1}, {.spent_day = usd(9)}), "budget_exceeded");
  EXPECT_EQ(s.reason({}, {.requests_day = 99}), "");
  EXPECT_EQ(s.reason({}, {.requests_day = 100}), "request_limit_exceeded");
}

TEST(Policy, BudgetErrorsCarryTheFigures) {
  Setting s;
  s.policy.max_cost_per_day = usd(10);
  const Verdict verdict = s.decide(usd(2), {.spent_day = usd(9)});
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().error.code, Errc::kRateLimited);
  EXPECT_EQ(write_json(verdict.error().details),
            R"({"daily_limit":10,"current_spend":9,"estimated_cost":2,"period":"day"})");
}

TEST(Policy, HoldsMonthlyCapsToo) {
  Setting s;
  s.policy.max_cost_per_month = usd(100);
  s.policy.max_requests_per_month = 5;
  EXPECT_EQ(s.reason(usd(1), {.spent_month = usd(99.5)}), "budget_exceeded");
  EXPECT_EQ(s.reason(usd(1), {.requests_month = 5}), "request_limit_exceeded");
}

TEST(Policy, TheFirstRuleOfTheOrderWins) {
  Setting s;
  s.policy.max_cost_per_request = usd(1);
  s.policy.max_cost_per_day = usd(10);
  s.policy.max_requests_per_day = 1;
  s.policy.data_residency = "eu";
  s.policy.allowed_models = {"claude-*"};
  s.policy.blocked_models = {"gpt-4o"};
  s.caller.permissions = {};
  const PolicyUse over{.spent_day = usd(11), .requests_day = 9};
  EXPECT_EQ(s.reason(usd(2), over), "forbidden");
  s.caller.permissions = {Permission::kInfer};
  EXPECT_EQ(s.decide(usd(2), over).error().details.at("org_policy"), "blocked_models");
  s.policy.blocked_models.clear();
  EXPECT_EQ(s.decide(usd(2), over).error().details.at("org_policy"), "allowed_models");
  s.policy.allowed_models.clear();
  EXPECT_TRUE(s.decide(usd(2), over).error().details.contains("max_cost_per_request"));
  s.policy.max_cost_per_request.reset();
  EXPECT_TRUE(s.decide(usd(2), over).error().details.contains("daily_limit"));
  s.policy.max_cost_per_day.reset();
  EXPECT_EQ(s.reason(usd(2), over), "request_limit_exceeded");
  s.policy.max_requests_per_day.reset();
  EXPECT_EQ(s.reason(usd(2), over), "compliance_violation");
  s.policy.data_residency = "us";
  EXPECT_EQ(s.reason(usd(2), over), "");
}

TEST(Policy, ListsNameModelsByNameAliasAndPrefix) {
  Setting s;
  for (const char* entry : {"gpt-4o", "gpt-4o-2024-11-20", "gpt-*", "*"}) {
    s.policy.allowed_models = {entry};
    s.policy.blocked_models = {};
    EXPECT_EQ(s.reason(), "") << entry;
    s.policy.blocked_models = {entry};  // wins over allowed
    EXPECT_EQ(s.reason(), "model_blocked") << entry;
    EXPECT_FALSE(permits(s.bounds(), s.caller, s.model));
  }
  s.policy.blocked_models = {"gpt-4"};
  EXPECT_EQ(s.reason(), "");
}

TEST(Policy, AKeysOwnListAndThePlanNarrowFurther) {
  Setting s;
  s.caller.allowed_models = {"claude-*"};
  EXPECT_EQ(s.decide().error().details.at("org_policy"), "api_key");
  s.caller.allowed_models.clear();
  s.policy.allowed_models = {"a", "b", "c", "gpt-4o"};
  EXPECT_EQ(s.reason(), "");
  s.plan = identity::Plan{};  // starter: three models
  EXPECT_EQ(s.decide().error().details.at("org_policy"), "plan");
}

TEST(Policy, ThePlanCapsRequestsWherePolicyIsWiderOrAbsent) {
  const Plan plan{.name = "starter", .requests_per_day = 1'000, .models = 3, .users = 5};
  OrgPolicy policy;
  EXPECT_EQ((PolicyBounds{.policy = nullptr, .plan = nullptr, .residency = {}}).requests_per_day(),
            std::nullopt);
  EXPECT_EQ((PolicyBounds{.policy = nullptr, .plan = &plan, .residency = {}}).requests_per_day(),
            1'000);
  policy.max_requests_per_day = 5'000;
  EXPECT_EQ((PolicyBounds{.policy = &policy, .plan = &plan, .residency = {}}).requests_per_day(),
            1'000);
  policy.max_requests_per_day = 10;
  EXPECT_EQ((PolicyBounds{.policy = &policy, .plan = &plan, .residency = {}}).requests_per_day(),
            10);
}

TEST(Policy, AModelOfUnknownRegionFailsEveryResidency) {
  Setting s;
  s.policy.data_residency = "us";
  EXPECT_EQ(s.reason(), "");
  s.model.region = "";
  const Verdict verdict = s.decide();
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().error.code, Errc::kForbidden);
  EXPECT_EQ(verdict.error().error.reason, "compliance_violation");
  EXPECT_EQ(verdict.error().details.at("violations").as_array().size(), 1U);
  EXPECT_FALSE(permits(s.bounds(), s.caller, s.model));
}

TEST(Policy, AnOrganisationThatIsOffMayNothing) {
  Setting s;
  s.caller.org_active = false;
  EXPECT_EQ(s.reason(), "forbidden");
}

TEST(Policy, NobodyIsBoundWithoutRules) {
  Setting s;
  const PolicyBounds none{.policy = nullptr, .plan = nullptr, .residency = {}};
  EXPECT_TRUE(decide(none, s.caller, s.model, usd(1'000),
                     {.spent_day = usd(1'000'000), .requests_day = 1'000'000}));
}

}  // namespace
}  // namespace asahi::gateway
