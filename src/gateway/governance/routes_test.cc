#include "gateway/governance/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/governance/testing/scene.h"

namespace asahi::gateway {
namespace {

using http::Method;
using identity::Permission;
using ::testing::HasSubstr;

struct Collected final : http::BodyWriter {
  explicit Collected(std::string& to) : text(to) {}
  Task<void> write(std::string bytes) override {
    text += bytes;
    co_return Result<void>{};
  }
  std::string& text;
};

class GovernanceRoutesTest : public testing::GovernanceScene {
 protected:
  struct Reply {
    int status = 0;
    std::string body;
    json::object object() const {
      const auto parsed = parse_json(body);
      EXPECT_TRUE(parsed && parsed->is_object()) << body;
      return parsed && parsed->is_object() ? parsed->as_object() : json::object();
    }
    std::string error() const { return std::string(object().at("error").as_string()); }
    std::string field() const {
      const json::object whole = object();
      const json::value* field = whole.at("details").as_object().if_contains("field");
      return field == nullptr ? "" : std::string(field->as_string());
    }
  };

  GovernanceRoutesTest() {
    caller_->org_id = "acme";
    caller_->user_id = "root";
    caller_->permissions = identity::PermissionSet::organisation();
    add_governance_routes(router_, {.policies = policies_,
                                    .database = *database_,
                                    .analytics = analytics_,
                                    .audit = audit_,
                                    .budgets = ledger_,
                                    .registry = registry_,
                                    .gdpr = {.database = *database_,
                                             .cache = cache_,
                                             .store = store_,
                                             .audit = audit_,
                                             .accounts = accounts_,
                                             .clock = clock_},
                                    .installation = [this] { return installation_; },
                                    .clock = clock_});
  }

  static std::shared_ptr<const Registry> models() {
    RegistryBuilder builder;
    ModelProfile model;
    model.name = model.vendor_model = "gpt-4o";
    model.provider = "openai";
    model.region = "us";
    model.input = TokenPrice::per_1k(0.001);
    model.output = TokenPrice::per_1k(0.002);
    model.avg_latency_ms = 100;
    model.quality = 4;
    model.max_input_tokens = 1000;
    model.max_output_tokens = 100;
    EXPECT_TRUE(builder.add(model));
    return builder.build();
  }

  Reply call(Method method, const std::string& target, std::string body = {}) {
    return loops_.wait_for([&]() -> Aw<Reply> {
      http::Request request;
      request.method = method;
      request.target = target;
      const std::size_t question = target.find('?');
      request.path = target.substr(0, question);
      if (question != std::string::npos) request.query = target.substr(question + 1);
      request.body = std::move(body);
      request.remote_address = "10.1.2.3";
      request.headers.add("User-Agent", "test");
      CancelSource cancel;
      const auto match = router_.match(method, request.path);
      if (match.route == nullptr) co_return Reply{.status = 404, .body = "no route"};
      http::Context context{.request = request,
                            .loop = loops_.loop(),
                            .cancel = cancel,
                            .deadline = std::chrono::steady_clock::time_point::max(),
                            .received = {},
                            .request_id = "req_1",
                            .client_request_id = {},
                            .path_params = match.params,
                            .route = match.route->pattern,
                            .caller = caller_,
                            .reply_headers = {}};
      http::Response response = co_await match.route->handler(context);
      Reply reply{.status = response.status, .body = std::move(response.body)};
      if (response.stream) {
        Collected writer(reply.body);
        const auto written = co_await response.stream(writer);
        EXPECT_TRUE(written);
      }
      co_return reply;
    });
  }

  std::shared_ptr<identity::Principal> caller_ = std::make_shared<identity::Principal>();
  RegistryHolder registry_{models()};
  InstallationFacts installation_;
  http::Router router_;
};

TEST_F(GovernanceRoutesTest, EveryRouteNamesItsPermissionUnderBothPrefixes) {
  struct Row {
    Method method;
    const char *path, *access;
  };
  for (const Row& row : {Row{Method::kGet, "/governance/policies/a", "manage_policy"},
                         Row{Method::kPost, "/governance/policies/a", "manage_policy"},
                         Row{Method::kPut, "/governance/policies/a", "manage_policy"},
                         Row{Method::kPatch, "/governance/policies/a", "manage_policy"},
                         Row{Method::kGet, "/org/policy", "manage_policy"},
                         Row{Method::kPut, "/org/policy", "manage_policy"},
                         Row{Method::kGet, "/governance/compliance/profile/a", "manage_policy"},
                         Row{Method::kPut, "/governance/compliance/profile/a", "manage_policy"},
                         Row{Method::kGet, "/governance/compliance/report", "manage_policy"},
                         Row{Method::kGet, "/org/compliance-report", "manage_policy"},
                         Row{Method::kGet, "/governance/usage", "view_cost"},
                         Row{Method::kGet, "/governance/gdpr/export", "manage_users"},
                         Row{Method::kDelete, "/governance/gdpr/data", "manage_users"},
                         Row{Method::kPost, "/governance/gdpr/consent", "manage_users"}}) {
    for (const std::string prefix : {"", "/api/v1"}) {
      const auto match = router_.match(row.method, prefix + row.path);
      ASSERT_NE(match.route, nullptr) << prefix << row.path;
      EXPECT_EQ(match.route->access, row.access);
    }
  }
}

TEST_F(GovernanceRoutesTest, PoliciesAreMadeChangedAndAudited) {
  EXPECT_EQ(call(Method::kGet, "/governance/policies/acme").error(), "policy_not_found");
  EXPECT_EQ(call(Method::kPatch, "/governance/policies/acme", "{}").error(), "policy_not_found");
  EXPECT_EQ(call(Method::kPut, "/governance/policies/acme",
                 R"({"max_cost_per_day":5,"blocked_models":["gpt-4o"]})")
                .status,
            201);
  EXPECT_EQ(call(Method::kPatch, "/governance/policies/acme", R"({"max_cost_per_day":7})").status,
            200);
  const Reply shown = call(Method::kGet, "/org/policy");
  EXPECT_EQ(shown.object().at("max_cost_per_day").to_number<double>(), 7);
  EXPECT_EQ(shown.object().at("updated_by"), "root");
  ASSERT_EQ(audit_.entries().size(), 2U);
  EXPECT_EQ(audit_.entries()[0].action, "policy.create");
  EXPECT_EQ(audit_.entries()[1].action, "policy.update");
  EXPECT_EQ(audit_.entries()[1].resource, "policy/acme");
  EXPECT_EQ(write_json(audit_.entries()[1].details),
            R"({"changes":{"max_cost_per_day":{"before":5,"after":7}},"request_id":"req_1"})");
}

TEST_F(GovernanceRoutesTest, WhoHasNoPolicyIsToldThatNothingLimitsThem) {
  const Reply none = call(Method::kGet, "/org/policy");
  ASSERT_EQ(none.status, 200);
  EXPECT_EQ(none.object().at("org_id"), "acme");
  EXPECT_TRUE(none.object().at("updated_at").is_null());
  EXPECT_TRUE(none.object().at("max_cost_per_day").is_null());
  EXPECT_TRUE(none.object().at("blocked_models").as_array().empty());
  EXPECT_FALSE(none.object().contains("default_quality_threshold")) << "the gateway's holds";
  EXPECT_EQ(call(Method::kGet, "/governance/policies/acme").error(), "policy_not_found");
  EXPECT_EQ(call(Method::kPut, "/org/policy", write_json(none.object())).status, 201);
  EXPECT_FALSE(call(Method::kGet, "/org/policy").object().at("updated_at").is_null());
}

TEST_F(GovernanceRoutesTest, WrongPoliciesAreRefusedAndNotAudited) {
  EXPECT_EQ(call(Method::kPut, "/org/policy", R"({"max_cost_per_day":-1})").field(),
            "max_cost_per_day");
  EXPECT_EQ(call(Method::kPut, "/org/policy", "{").status, 400);
  caller_->plan = identity::Plan{};
  const Reply beyond = call(Method::kPut, "/org/policy", R"({"allowed_models":["a","b","c","d"]})");
  EXPECT_EQ(beyond.status, 400);
  EXPECT_EQ(beyond.field(), "allowed_models");
  EXPECT_TRUE(audit_.entries().empty());
}

TEST_F(GovernanceRoutesTest, AMisspeltModelIsWarnedOf) {
  const Reply reply = call(Method::kPost, "/governance/policies/acme",
                           R"({"allowed_models":["gpt-4o","gpt-*","gtp-4"]})");
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.object().at("warnings").as_array().size(), 1U);
  EXPECT_THAT(reply.body, HasSubstr("'gtp-4'"));
}

TEST_F(GovernanceRoutesTest, AForeignOrganisationIsNotFoundButForTheOperator) {
  set_profile("other", "{}");
  struct Row {
    Method method;
    const char *target, *body, *error;
  };
  const Row rows[] = {
      {Method::kGet, "/governance/policies/other", "", "policy_not_found"},
      {Method::kPut, "/governance/policies/other", "{}", "policy_not_found"},
      {Method::kPatch, "/governance/policies/other", "{}", "policy_not_found"},
      {Method::kGet, "/governance/compliance/profile/other", "", "profile_not_found"},
      {Method::kPut, "/governance/compliance/profile/other", "{}", "profile_not_found"},
      {Method::kGet, "/governance/compliance/report?framework=gdpr&org_id=other", "",
       "profile_not_found"},
      {Method::kGet, "/governance/usage?org_id=other", "", "organization_not_found"},
      {Method::kGet, "/governance/gdpr/export?user_id=u&org_id=other", "",
       "organization_not_found"},
      {Method::kDelete, "/governance/gdpr/data?user_id=u&org_id=other", "",
       "organization_not_found"},
      {Method::kPost, "/governance/gdpr/consent",
       R"({"user_id":"u","purpose":"p","org_id":"other"})", "organization_not_found"}};
  for (const Row& row : rows) {
    const Reply reply = call(row.method, row.target, row.body);
    EXPECT_EQ(reply.status, 404) << row.target;
    EXPECT_EQ(reply.error(), row.error) << row.target;
  }
  EXPECT_TRUE(audit_.entries().empty());
  caller_->permissions.add(Permission::kManageTenants);
  EXPECT_EQ(call(Method::kPut, "/governance/policies/other", "{}").status, 201);
  EXPECT_EQ(call(Method::kGet, "/governance/compliance/profile/other").status, 200);
  EXPECT_EQ(audit_.entries().at(0).org_id, "other");
}

TEST_F(GovernanceRoutesTest, ReportsNeedAProfileAndShowTheRealState) {
  EXPECT_EQ(call(Method::kGet, "/governance/compliance/report?framework=hipaa").error(),
            "profile_not_found");
  EXPECT_EQ(call(Method::kGet, "/governance/compliance/report").field(), "framework");
  EXPECT_EQ(call(Method::kGet, "/governance/compliance/report?framework=iso").field(), "framework");
  EXPECT_EQ(call(Method::kPut, "/governance/compliance/profile/acme",
                 R"({"frameworks":["pci_dss","ccpa"]})")
                .status,
            201);
  const Reply off = call(Method::kGet, "/api/v1/governance/compliance/report?framework=pci_dss");
  EXPECT_EQ(off.object().at("overall_status"), "non_compliant");
  EXPECT_EQ(off.object().at("checks_total"), 1);
  EXPECT_EQ(call(Method::kGet, "/org/compliance-report").object().at("overall_status"),
            "non_compliant");
  installation_.installation.encryption_on = true;
  installation_.encryption_detail = "AES-256-GCM";
  EXPECT_EQ(call(Method::kGet, "/governance/compliance/report?framework=pci_dss")
                .object()
                .at("overall_status"),
            "compliant");
  const Reply own = call(Method::kGet, "/org/compliance-report");
  EXPECT_EQ(own.object().at("overall_status"), "compliant");
  EXPECT_EQ(own.object().at("frameworks").as_array().size(), 2U);
}

TEST_F(GovernanceRoutesTest, ReportsCountAMonthAndItsFailures) {
  installation_.installation.audit_on = true;
  for (const auto& [days, error] :
       {std::pair{1, ""}, {2, "timeout"}, {3, "model_not_found"}, {29, ""}, {31, "timeout"}})
    add_event("acme", "u", std::chrono::days(days), "0.000000000", "gpt-4o", error);
  ASSERT_EQ(call(Method::kPut, "/governance/compliance/profile/acme", R"({"frameworks":["soc2"]})")
                .status,
            201);
  EXPECT_THAT(call(Method::kGet, "/governance/compliance/report?framework=soc2").body,
              HasSubstr("75.00 % of 4 requests answered within 30 days"));
}

TEST_F(GovernanceRoutesTest, AuditReportsFollowTheChain) {
  installation_.installation.audit_on = true;
  audit_.verification = {
      .valid = false, .checked = 4, .first_bad_entry = "aud_3", .problem = "changed"};
  ASSERT_EQ(call(Method::kPut, "/governance/compliance/profile/acme", R"({"frameworks":["soc2"]})")
                .status,
            201);
  const Reply reply = call(Method::kGet, "/governance/compliance/report?framework=soc2");
  EXPECT_THAT(reply.body, HasSubstr("changed at aud_3"));
}

TEST_F(GovernanceRoutesTest, UsageAddsUpExactly) {
  for (int i = 0; i < 3; ++i) add_event("acme", "u", std::chrono::hours(1), "0.100000001");
  add_event("acme", "u", std::chrono::hours(48), "1.000000000");
  // To the second, whatever the width of the sums.
  add_event("acme", "u", std::chrono::hours(24) + std::chrono::seconds(1), "2.000000000");
  add_event("acme", "u", std::chrono::hours(720), "1.000000000");
  add_event("acme", "u", std::chrono::hours(720) + std::chrono::seconds(1), "7.000000000");
  add_event("other", "u", std::chrono::hours(1), "5.000000000");
  const json::object day = call(Method::kGet, "/governance/usage").object();
  EXPECT_EQ(day.at("request_count"), 3);
  EXPECT_EQ(day.at("period_hours"), 24);
  EXPECT_DOUBLE_EQ(day.at("total_cost_usd").to_number<double>(), 0.3);
  EXPECT_DOUBLE_EQ(day.at("bill_estimate_usd").to_number<double>(), 9.0);
  ASSERT_EQ(call(Method::kPut, "/org/policy", R"({"max_cost_per_day":5,"max_requests_per_day":9})")
                .status,
            201);
  const json::object month =
      call(Method::kGet, "/governance/usage?org_id=acme&period=month").object();
  EXPECT_EQ(month.at("request_count"), 6);
  EXPECT_DOUBLE_EQ(month.at("total_cost_usd").to_number<double>(), 4.3);
  EXPECT_EQ(month.at("period_hours"), 720);
  EXPECT_EQ(month.at("policy_limits").at("max_requests_per_day"), 9);
  EXPECT_EQ(call(Method::kGet, "/governance/usage?period=year").field(), "period");
}

TEST_F(GovernanceRoutesTest, NothingIsExportedUnrecorded) {
  add_event("acme", "bob", std::chrono::hours(1));
  EXPECT_EQ(call(Method::kGet, "/governance/gdpr/export").field(), "user_id");
  const Reply reply = call(Method::kGet, "/governance/gdpr/export?user_id=bob");
  EXPECT_EQ(reply.object().at("events").as_array().size(), 1U);
  ASSERT_EQ(audit_.entries().size(), 1U);
  EXPECT_EQ(audit_.entries()[0].action, "gdpr.export");
  EXPECT_EQ(audit_.entries()[0].ip_address, "10.1.2.3");
  audit_.away = true;
  EXPECT_EQ(call(Method::kGet, "/governance/gdpr/export?user_id=bob").status, 503);
}

TEST_F(GovernanceRoutesTest, ErasureAndConsentAreAudited) {
  add_event("acme", "bob", std::chrono::hours(1));
  EXPECT_EQ(call(Method::kPost, "/governance/gdpr/consent", R"({"user_id":"bob"})").field(),
            "purpose");
  EXPECT_EQ(call(Method::kPost, "/governance/gdpr/consent",
                 R"({"user_id":"bob","purpose":"mail bob@example.com"})")
                .status,
            201);
  const Reply erased = call(Method::kDelete, "/governance/gdpr/data?user_id=bob");
  EXPECT_EQ(erased.status, 200);
  EXPECT_EQ(erased.object().at("deleted").at("events"), 1);
  ASSERT_EQ(audit_.entries().size(), 2U);
  EXPECT_EQ(audit_.entries()[0].details.at("purpose"), "mail [EMAIL_REDACTED]");
  EXPECT_EQ(audit_.entries()[1].action, "gdpr.erase");
}

TEST_F(GovernanceRoutesTest, AChangeStandsWhenOnlyTheAuditLogIsAway) {
  audit_.away = true;
  EXPECT_EQ(call(Method::kPut, "/org/policy", "{}").status, 201);
  EXPECT_EQ(call(Method::kGet, "/org/policy").status, 200);
}

}  // namespace
}  // namespace asahi::gateway
