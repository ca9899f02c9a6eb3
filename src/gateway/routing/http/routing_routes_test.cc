#include "gateway/routing/http/routing_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/governance/testing/scene.h"
#include "gateway/routing/testing/models.h"

namespace asahi::gateway {
namespace {

using http::Method;
using ::testing::HasSubstr;

class RoutingRoutesTest : public testing::GovernanceScene {
 protected:
  struct Reply {
    int status = 0;
    json::object body;
    std::string text(std::string_view name) const {
      const json::value* value = body.if_contains(name);
      return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
    }
    std::string field() const {
      const json::value* field = body.at("details").as_object().if_contains("field");
      return field == nullptr ? "" : std::string(field->as_string());
    }
  };

  RoutingRoutesTest() {
    caller_->org_id = "acme";
    caller_->user_id = "root";
    caller_->permissions = identity::PermissionSet::organisation();
    add_routing_routes(router_, {.store = routing_,
                                 .advisor = advisor_,
                                 .router = choice_,
                                 .registry = registry_,
                                 .governor = governor_,
                                 .audit = audit_,
                                 .health = testing_models::health({}),
                                 .clock = clock_});
  }

  Reply call(Method method, const std::string& path, std::string body = {}) {
    return loops_.wait_for([&]() -> Aw<Reply> {
      http::Request request;
      request.method = method;
      request.target = request.path = path;
      request.body = std::move(body);
      CancelSource cancel;
      const auto match = router_.match(method, request.path);
      if (match.route == nullptr) co_return Reply{.status = 404, .body = {}};
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
      const auto parsed = parse_json(response.body);
      EXPECT_TRUE(parsed && parsed->is_object()) << response.body;
      co_return Reply{.status = response.status, .body = parsed->as_object()};
    });
  }

  std::shared_ptr<identity::Principal> caller_ = std::make_shared<identity::Principal>();
  RegistryHolder registry_{testing_models::four_vendors()};
  telemetry::Registry metrics_;
  RoutingStore routing_{{}, *database_, clock_};
  RouteAdvisor advisor_{RoutingConfig{}, routing_, metrics_, nullptr};
  Router choice_{RoutingConfig{}, default_tasks()};
  std::unique_ptr<InjectionScreen> injections_ = std::move(*InjectionScreen::make({}));
  std::unique_ptr<identity::RateLimiter> limiter_ = identity::make_memory_limiter(clock_);
  Governor governor_{{}, {policies_, *injections_, ledger_, *limiter_}};
  http::Router router_;
};

constexpr const char* kRules =
    R"({"rules":[{"type":"step_based","steps":{"1":"mid","2":"big"}},
                 {"type":"cost_ceiling_per_1k","max_usd":0.005}]})";

TEST_F(RoutingRoutesTest, EveryRouteStandsUnderBothPrefixes) {
  for (const char* prefix : {"", "/api/v1"}) {
    for (const char* path : {"/routing/rules", "/routing/weights"}) {
      EXPECT_NE(router_.match(Method::kGet, prefix + std::string(path)).route, nullptr) << path;
      EXPECT_NE(router_.match(Method::kPut, prefix + std::string(path)).route, nullptr) << path;
    }
    const auto feedback = router_.match(Method::kPost, prefix + std::string("/routing/feedback"));
    ASSERT_NE(feedback.route, nullptr);
    EXPECT_EQ(feedback.route->access, "infer");
  }
}

TEST_F(RoutingRoutesTest, RulesAreStoredReadAndRemoved) {
  EXPECT_TRUE(call(Method::kGet, "/routing/rules").body.at("rules").as_array().empty());
  const Reply put = call(Method::kPut, "/routing/rules", kRules);
  ASSERT_EQ(put.status, 200);
  EXPECT_EQ(put.body.at("rules").as_array().size(), 2U);
  EXPECT_THAT(std::string(put.body.at("conflicts").as_array().at(0).as_string()),
              HasSubstr("names big, which cost_ceiling_per_1k leaves out"));
  const Reply read = call(Method::kGet, "/routing/rules");
  EXPECT_EQ(read.body, put.body);
  EXPECT_EQ(read.text("updated_by"), "root");
  EXPECT_TRUE(call(Method::kDelete, "/routing/rules").body.at("rules").as_array().empty());
  EXPECT_TRUE(call(Method::kGet, "/routing/rules").body.at("rules").as_array().empty());
}

TEST_F(RoutingRoutesTest, OnlyChangesAreAudited) {
  (void)call(Method::kPut, "/routing/rules", kRules);
  (void)call(Method::kPut, "/routing/rules", kRules);
  (void)call(Method::kPut, "/routing/weights", R"({"cost":1})");
  ASSERT_EQ(audit_.entries().size(), 2U);
  EXPECT_EQ(audit_.entries()[0].action, "routing_rules.update");
  EXPECT_EQ(audit_.entries()[0].org_id, "acme");
  EXPECT_EQ(audit_.entries()[0].details.at("after").as_array().size(), 2U);
  EXPECT_EQ(audit_.entries()[1].action, "routing_weights.update");
}

TEST_F(RoutingRoutesTest, FaultyRulesAreRefusedAndOldOnesStay) {
  (void)call(Method::kPut, "/routing/rules", kRules);
  const Reply refused = call(Method::kPut, "/routing/rules",
                             R"({"rules":[{"type":"fallback_chain","models":["mid","mid"]},
                                 {"type":"cost_ceiling_per_1k","max_usd":0}]})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.field(), "rules[0].models");
  EXPECT_THAT(refused.text("message"), HasSubstr("1 more"));
  EXPECT_EQ(call(Method::kGet, "/routing/rules").body.at("rules").as_array().size(), 2U);
  EXPECT_EQ(call(Method::kPut, "/routing/rules", "[]").status, 400);
}

TEST_F(RoutingRoutesTest, ValidationTellsAllFaultsAndStoresNothing) {
  const Reply good = call(Method::kPost, "/routing/rules/validate", kRules);
  EXPECT_EQ(good.body.at("valid"), true);
  EXPECT_EQ(good.body.at("conflicts").as_array().size(), 1U);
  const Reply bad = call(Method::kPost, "/routing/rules/validate",
                         R"({"rules":[{"type":"magic"},{"type":"model_allowlist","models":[]}]})");
  EXPECT_EQ(bad.status, 200);
  EXPECT_EQ(bad.body.at("valid"), false);
  EXPECT_EQ(bad.body.at("faults").as_array().size(), 2U);
  EXPECT_TRUE(call(Method::kGet, "/routing/rules").body.at("rules").as_array().empty());
}

TEST_F(RoutingRoutesTest, ADryRunTellsTheDecisionWithoutACall) {
  (void)call(Method::kPut, "/routing/rules", kRules);
  const Reply first = call(Method::kPost, "/routing/rules/dry-run", R"({"prompt":"What?"})");
  ASSERT_EQ(first.status, 200) << json::serialize(first.body);
  EXPECT_EQ(first.text("model"), "mid");
  EXPECT_EQ(first.text("routing_mode"), "guided");
  EXPECT_THAT(first.text("routing_reason"), HasSubstr("step 1"));
  EXPECT_EQ(first.body.at("rules_applied").as_array().size(), 2U);
  const Reply second =
      call(Method::kPost, "/routing/rules/dry-run", R"({"prompt":"What?","step":2})");
  EXPECT_EQ(second.text("model"), "big");
  EXPECT_EQ(second.body.at("conflicts").as_array().size(), 1U);
}

TEST_F(RoutingRoutesTest, ADryRunTriesOtherRulesAndHours) {
  const Reply night = call(Method::kPost, "/routing/rules/dry-run",
                           R"({"prompt":"What?","at":"2026-11-22T23:00:00Z","rules":[
      {"type":"time_based","from_hour":22,"to_hour":6,"model":"big"},
      {"type":"fallback_chain","models":["big","mid"],"triggers":["timeout"]}]})");
  ASSERT_EQ(night.status, 200) << json::serialize(night.body);
  EXPECT_EQ(night.text("model"), "big");
  const json::array& attempts = night.body.at("attempts").as_array();
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[1].at("model"), "mid");
  EXPECT_EQ(attempts[1].at("triggers"), (json::array{"timeout"}));
  EXPECT_TRUE(call(Method::kGet, "/routing/rules").body.at("rules").as_array().empty());
}

TEST_F(RoutingRoutesTest, ADryRunHeedsPolicyAndRefusesNonsense) {
  const auto saved = loops_.wait_for([&] {
    return policies_.change("acme", "t", [](const OrgPolicy*) -> Result<OrgPolicy> {
      return read_policy(json::parse(R"({"blocked_models":["small"]})"));
    });
  });
  ASSERT_TRUE(saved);
  EXPECT_EQ(call(Method::kPost, "/routing/rules/dry-run", R"({"prompt":"What?"})").text("model"),
            "mid");
  EXPECT_EQ(call(Method::kPost, "/routing/rules/dry-run", R"({"step":0})").field(), "step");
  EXPECT_EQ(call(Method::kPost, "/routing/rules/dry-run", R"({"colour":"red"})").field(), "colour");
  EXPECT_EQ(call(Method::kPost, "/routing/rules/dry-run", R"({"routing_mode":"explicit"})").field(),
            "model");
  EXPECT_EQ(call(Method::kPost, "/routing/rules/dry-run",
                 R"({"routing_mode":"explicit","model":"nobody"})")
                .text("error"),
            "model_not_found");
}

TEST_F(RoutingRoutesTest, WeightsStartAtTheirDefaults) {
  const Reply usual = call(Method::kGet, "/routing/weights");
  EXPECT_EQ(usual.body.at("is_default"), true);
  EXPECT_EQ(usual.body.at("weights").at("quality").to_number<double>(), 0.4);
  EXPECT_EQ(call(Method::kPut, "/routing/weights", R"({"quality":11})").field(), "quality");
  EXPECT_EQ(call(Method::kPut, "/routing/weights", R"({"quality":0.8})").status, 200);
  const Reply own = call(Method::kGet, "/routing/weights");
  EXPECT_EQ(own.body.at("is_default"), false);
  EXPECT_EQ(own.body.at("weights").at("quality").to_number<double>(), 0.8);
  EXPECT_EQ(own.body.at("weights").at("cost").to_number<double>(), 0.25);
}

TEST_F(RoutingRoutesTest, FeedbackBelongsToAnAnsweredRequestOfTheOrganisation) {
  const auto add = [&](const std::string& org, const std::string& request_id) {
    const auto done = database_->query_blocking(
        {"INSERT INTO inference_events (event_id, request_id, timestamp, org_id, model_selected, "
         "event_type) VALUES (?, ?, ?, ?, ?, ?)",
         {"evt_" + request_id, request_id, format_rfc3339(clock_.now()), org, std::string("mid"),
          std::string("inference")}});
    ASSERT_TRUE(done) << done.error().message;
  };
  add("acme", "req_a");
  add("other", "req_b");
  const auto give = [&](const std::string& body) {
    return call(Method::kPost, "/routing/feedback", body);
  };
  const Reply good = give(R"({"request_id":"req_a","rating":4})");
  EXPECT_EQ(good.status, 201);
  EXPECT_EQ(good.text("model"), "mid");
  EXPECT_EQ(good.body.at("router_learned"), false);
  EXPECT_EQ(count("routing_feedback"), 1);
  EXPECT_EQ(give(R"({"request_id":"req_a","correct":false})").status, 201);
  EXPECT_EQ(count("routing_feedback"), 1) << "the later one replaces it";
  EXPECT_EQ(give(R"({"request_id":"req_b","rating":4})").status, 404);
  EXPECT_EQ(give(R"({"request_id":"req_a"})").field(), "correct");
  EXPECT_EQ(give(R"({"request_id":"req_a","rating":4,"correct":true})").field(), "correct");
  EXPECT_EQ(give(R"({"request_id":"req_a","rating":6})").field(), "rating");
  EXPECT_EQ(give(R"({"rating":4})").field(), "request_id");
}

TEST_F(RoutingRoutesTest, FeedbackOnAnAgentsAnswerGoesIntoItsRecord) {
  Decision decision;
  decision.task_type_detected = "faq";
  advisor_.answered({.org = "acme",
                     .request_id = "req_9",
                     .agent = "writer",
                     .prompt = "What?",
                     .decision = decision,
                     .model = "mid",
                     .expected = 4,
                     .found = std::nullopt});
  const Reply reply =
      call(Method::kPost, "/routing/feedback", R"({"request_id":"req_9","rating":1})");
  EXPECT_EQ(reply.status, 201) << "before its event is in the database";
  EXPECT_EQ(reply.body.at("agent_learned"), true);
}

}  // namespace
}  // namespace asahi::gateway
