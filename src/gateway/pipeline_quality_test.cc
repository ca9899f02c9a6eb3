// Answers that are found wanting, and what routing learns, on the way through the pipeline.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/pipeline.h"

namespace asahi::gateway {
namespace {

using ::testing::ElementsAre;
using testing::event;
using testing::EventKind;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::server_error;
using testing::text_answer;
using testing::the_end;
using testing::used;

constexpr const char* kAsk = R"({"prompt":"What is a cache?"})";
constexpr const char* kNamed = R"({"prompt":"What is a cache?","model":"small"})";
constexpr const char* kRefusal = "I'm sorry, but I can't help with that.";

class PipelineQualityTest : public testing::PipelineTest {
 protected:
  std::vector<std::string> warnings(const testing::Reply& reply) {
    std::vector<std::string> found;
    const json::object body = reply.object();
    if (const json::value* list = body.if_contains("warnings")) {
      for (const json::value& text : list->as_array()) found.emplace_back(text.as_string());
    }
    return found;
  }
  double quality(const testing::Reply& reply) {
    const json::object body = reply.object();
    const json::value& value = body.at("quality_score");
    return value.is_null() ? -1 : value.to_number<double>();
  }
};

TEST_F(PipelineQualityTest, AGoodAnswerKeepsItsProfilesQuality) {
  vendors_["north"].answer("A shelf.");
  const auto reply = infer(kAsk);
  EXPECT_EQ(quality(reply), 3.6);
  EXPECT_THAT(warnings(reply), IsEmpty());
  EXPECT_EQ(cached_entries(), 1U);
}

TEST_F(PipelineQualityTest, AFlaggedAnswerIsGivenWithAWarningAndNotCached) {
  vendors_["north"].answer(kRefusal);
  vendors_["north"].answer("A shelf.");
  const auto reply = infer(kAsk);
  ASSERT_EQ(reply.status, 200);
  EXPECT_EQ(reply.object().at("response"), kRefusal);
  EXPECT_THAT(warnings(reply), ElementsAre(HasSubstr("looks like a refusal")));
  EXPECT_NEAR(quality(reply), 3.6 * 0.3, 0.01);
  EXPECT_NEAR(last_event().quality_score, 3.6 * 0.3, 0.01);
  EXPECT_EQ(last_event().hallucination, false);
  EXPECT_EQ(cached_entries(), 0U);
  EXPECT_EQ(infer(kAsk).object().at("response"), "A shelf.");
  EXPECT_THAT(telemetry_.expose(), HasSubstr(R"(asahi_quality_flags_total{flag="refusal"} 1)"));
}

TEST_F(PipelineQualityTest, TheScreenCanBeOff) {
  config_.quality.screen = false;
  vendors_["north"].answer(kRefusal);
  const auto reply = infer(kAsk);
  EXPECT_THAT(warnings(reply), IsEmpty());
  EXPECT_EQ(quality(reply), -1) << "not looked at";
  EXPECT_EQ(last_event().hallucination, std::nullopt);
  EXPECT_EQ(cached_entries(), 1U);
}

TEST_F(PipelineQualityTest, AStreamIsLookedAtAtItsEnd) {
  vendors_["north"].stream({{event(EventKind::kText, kRefusal)}, the_end(used(10, 20))});
  const auto reply = post(native_, R"({"prompt":"What is a cache?","stream":true})");
  EXPECT_THAT(reply.body, HasSubstr("looks like a refusal"));
  EXPECT_EQ(cached_entries(), 0U);
}

TEST_F(PipelineQualityTest, EscalationAsksTheNextBetterModelOnceAndPaysBoth) {
  config_.quality.escalate = true;
  vendors_["north"].answer(text_answer(kRefusal, used(1'000, 500)));   // $0.002
  vendors_["east"].answer(text_answer("A shelf.", used(1'000, 500)));  // $0.003
  const auto reply = infer(kAsk);
  const json::object body = reply.object();
  EXPECT_EQ(body.at("response"), "A shelf.");
  EXPECT_EQ(body.at("model_used"), "mid");
  EXPECT_THAT(warnings(reply),
              ElementsAre(HasSubstr("mid was asked because the answer looks like a refusal")));
  EXPECT_EQ(quality(reply), 4.0);
  const InferenceEvent told = last_event();
  EXPECT_EQ(told.cost.nanos, 5'000'000);
  EXPECT_EQ(told.model_selected, "mid");
  EXPECT_EQ(told.retries, 1);
  EXPECT_EQ(cached_entries(), 1U) << "the good answer is";
  EXPECT_EQ(calls_of("south"), 0U);
}

TEST_F(PipelineQualityTest, AnEscalationThatIsNoBetterLeavesTheFirstAnswer) {
  config_.quality.escalate = true;
  vendors_["north"].answer(kRefusal);
  vendors_["east"].answer("");
  const auto reply = infer(kAsk);
  EXPECT_EQ(reply.object().at("model_used"), "small");
  EXPECT_THAT(warnings(reply), ElementsAre(HasSubstr("was no better"), HasSubstr("refusal")));
  EXPECT_EQ(calls_of("south"), 0U) << "once";
}

TEST_F(PipelineQualityTest, AnEscalationThatFailsLeavesTheFirstAnswer) {
  config_.quality.escalate = true;
  vendors_["north"].answer(kRefusal);
  vendors_["east"].fail(server_error());
  vendors_["east"].fail(server_error());
  const auto reply = infer(kAsk);
  ASSERT_EQ(reply.status, 200);
  EXPECT_EQ(reply.object().at("model_used"), "small");
  EXPECT_THAT(warnings(reply), ElementsAre(HasSubstr("failed"), HasSubstr("refusal")));
}

TEST_F(PipelineQualityTest, WhoNamesAModelIsNotAnsweredByAnother) {
  config_.quality.escalate = true;
  vendors_["north"].answer(kRefusal);
  const auto reply = infer(kNamed);
  EXPECT_EQ(reply.object().at("model_used"), "small");
  EXPECT_EQ(calls_of("east"), 0U);
}

TEST_F(PipelineQualityTest, APolicyThatForbidsTheBetterModelForbidsEscalation) {
  config_.quality.escalate = true;
  OrgPolicy policy;
  policy.org_id = "acme";
  policy.allowed_models = {"small"};
  give(policy);
  auto caller = std::make_shared<identity::Principal>();
  caller->kind = identity::Principal::Kind::kApiKey;
  caller->org_id = "acme";
  caller->user_id = "ann";
  caller->key_prefix = "ask_acme_abc";
  caller->permissions = identity::PermissionSet::organisation();
  vendors_["north"].answer(kRefusal);
  Ask how;
  how.caller = caller;
  const auto reply = post(native_, kAsk, how);
  EXPECT_EQ(reply.object().at("model_used"), "small");
  EXPECT_EQ(calls_of("east") + calls_of("south") + calls_of("west"), 0U);
}

TEST_F(PipelineQualityTest, AShadowCallIsComparedPaidAndNotAnswered) {
  config_.quality.shadow_rate = 1;
  config_.tracking.baseline_model = "big";
  vendors_["north"].answer("A shelf for later.");
  vendors_["south"].answer("A shelf for now.");
  const auto reply = infer(kAsk);
  EXPECT_EQ(reply.object().at("response"), "A shelf for later.");
  // The comparison runs behind the reply, on the loop that this waits for too.
  for (int i = 0; i < 1'000 && events().size() < 2; ++i) (void)cached_entries();
  const auto all = events();
  ASSERT_EQ(all.size(), 2U);
  const auto shadow = std::ranges::find(all, "shadow", &InferenceEvent::event_type);
  ASSERT_NE(shadow, all.end());
  EXPECT_EQ(shadow->model_selected, "big");
  EXPECT_GT(shadow->cost.nanos, 0);
  EXPECT_EQ(shadow->savings().nanos, 0);
  EXPECT_THAT(telemetry_.expose(), HasSubstr("asahi_quality_shadow_agreement_count 1"));
}

// ---- Rules, and what is learned

TEST_F(PipelineQualityTest, GuidedCallsFollowTheRulesOfTheOrganisation) {
  RoutingRules rules;
  rules.rules.push_back({.type = RoutingRule::Type::kStepBased, .steps = {{1, "big"}, {2, "mid"}}});
  give("default", rules);
  vendors_["south"].answer("One.");
  vendors_["east"].answer("Two.");
  const auto first = infer(R"({"prompt":"What?","routing_mode":"guided"})");
  EXPECT_EQ(first.object().at("model_used"), "big");
  EXPECT_THAT(std::string(first.object().at("routing_reason").as_string()),
              HasSubstr("rules step_based (step 1) choose big"));
  const auto second = infer(R"({"prompt":"And then?","routing_mode":"guided",
      "history":[{"role":"user","content":"What?"},{"role":"assistant","content":"One."}]})");
  EXPECT_EQ(second.object().at("model_used"), "mid") << "the second question of the session";
  vendors_["north"].answer("Three.");
  EXPECT_EQ(infer(kAsk).object().at("model_used"), "small") << "autopilot has no rules";
}

TEST_F(PipelineQualityTest, ConflictsOfRulesStandInTheWarnings) {
  RoutingRules rules;
  rules.rules.push_back({.type = RoutingRule::Type::kStepBased, .steps = {{1, "big"}}});
  rules.rules.push_back({.type = RoutingRule::Type::kModelAllowlist, .models = {"small"}});
  give("default", rules);
  vendors_["south"].answer("One.");
  const auto reply = infer(R"({"prompt":"What?","routing_mode":"guided"})");
  EXPECT_THAT(warnings(reply),
              ElementsAre(HasSubstr("routing rules: step_based names big, which model_allowlist")));
}

TEST_F(PipelineQualityTest, TheLearnedRouterChoosesPerPromptAndExplainsItself) {
  config_.routing.strategy = "learned";
  learned::Model model;
  model.weak = "small";
  model.strong = "big";
  // By length alone: long prompts are beyond the small model.
  model.mean[0] = 4;
  model.scale[0] = 1;
  model.weak_head.form[0] = -10;
  model.strong_head.bias = 2;
  model.curve = {{.strong_share = 1, .threshold = 0.5, .accuracy = 1}};
  model.strong_accuracy = 1;
  learned_ = std::make_unique<learned::LearnedRouter>(config_.routing.learned, model);
  vendors_["north"].answer("Short.");
  vendors_["south"].answer("Long.");
  const auto brief = infer(R"({"prompt":"Hi there"})");
  EXPECT_EQ(brief.object().at("model_used"), "small");
  const auto thorough = infer(R"({"prompt":")" + std::string(800, 'x') + R"("})");
  EXPECT_EQ(thorough.object().at("model_used"), "big");
  EXPECT_THAT(std::string(thorough.object().at("routing_reason").as_string()),
              HasSubstr("mostly by length"));
  EXPECT_THAT(telemetry_.expose(),
              HasSubstr(R"(asahi_learned_router_choices_total{choice="strong"} 1)"));
}

}  // namespace
}  // namespace asahi::gateway
