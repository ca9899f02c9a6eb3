#include "gateway/routing/multifactor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/routing/agent_record.h"
#include "gateway/routing/router.h"
#include "gateway/routing/testing/models.h"

namespace asahi::gateway {
namespace {

using testing::HasSubstr;
using testing_models::health;
using testing_models::model;
using testing_models::registry_of;
using testing_models::request;

ScoreFacts facts() {
  ScoreFacts f;
  f.complexity = 0.35;  // matches nobody
  f.tokens = 1'000;
  f.max_input_price = 0.01;
  return f;
}

double score(const ModelProfile& m, ScoreFacts f = facts(), VendorHealth h = VendorHealth::kHealthy,
             double shift = 0, ScoreWeights w = {}) {
  return factor_score(m, h, f, w, shift);
}

TEST(FactorScore, AddsQualityPriceAndLatencyAsTheSpecificationSays) {
  // q = (4 − 3) / 2 = 0.5; 0.5·0.2 + (1 − 0.5)·0.25 + (3000 − 600)/3000·0.05
  EXPECT_NEAR(score(model("m", "v", 4.0, 600, 0.005)), 0.1 + 0.125 + 0.04, 1e-9);
}

TEST(FactorScore, PreferencesWeighQualityAndLatencyMore) {
  const ModelProfile m = model("m", "v", 4.0, 600, 0.005);
  ScoreFacts f = facts();
  f.high_quality = true;
  EXPECT_NEAR(score(m, f), 0.2 + 0.125 + 0.04, 1e-9);
  f.low_latency = true;
  EXPECT_NEAR(score(m, f), 0.2 + 0.125 + 0.12, 1e-9);
}

TEST(FactorScore, HardPromptsFavourTheBestAndEasyOnesTheModest) {
  ScoreFacts f = facts();
  f.complexity = 0.5;
  EXPECT_NEAR(
      score(model("best", "v", 4.8, 600, 0.005), f) - score(model("best", "v", 4.8, 600, 0.005)),
      0.15, 1e-9);
  EXPECT_NEAR(score(model("mid", "v", 4.7, 600, 0.005), f),
              score(model("mid", "v", 4.7, 600, 0.005)), 1e-9);
  f.complexity = 0.2;
  EXPECT_NEAR(
      score(model("mid", "v", 4.6, 600, 0.005), f) - score(model("mid", "v", 4.6, 600, 0.005)),
      0.10, 1e-9);
}

TEST(FactorScore, FullContextsIllVendorsAndShortBudgetsCost) {
  const ModelProfile m = model("m", "v", 4.0, 600, 0.005);
  ScoreFacts f = facts();
  f.tokens = 9'001;  // of 10,000
  EXPECT_NEAR(score(m, f), score(m) - 1, 1e-9);
  EXPECT_NEAR(score(m, facts(), VendorHealth::kDegraded), score(m) - 0.2, 1e-9);
  EXPECT_NEAR(score(m, facts(), VendorHealth::kUnreachable), score(m) - 1, 1e-9);
  f = facts();
  f.budget_is_short = true;
  EXPECT_NEAR(score(m, f), score(m) - 0.1, 1e-9);
}

TEST(FactorScore, ShiftsAreBounded) {
  const ModelProfile m = model("m", "v", 4.0, 600, 0.005);
  EXPECT_NEAR(score(m, facts(), VendorHealth::kHealthy, 0.1), score(m) + 0.02, 1e-9);
  EXPECT_NEAR(score(m, facts(), VendorHealth::kHealthy, 9), score(m) + 0.04, 1e-9);
}

TEST(FactorScore, FreeModelsAloneDivideByNothing) {
  ScoreFacts f = facts();
  f.max_input_price = 0;
  EXPECT_NEAR(score(model("free", "v", 4.0, 3'000, 0), f), 0.1 + 0.25, 1e-9);
}

TEST(ScoreWeightsReading, DefaultsGiveTheFormulaAndOthersScaleIt) {
  const ModelProfile m = model("m", "v", 4.0, 600, 0.005);
  const auto doubled = read_weights(json::parse(R"({"quality":0.8})"));
  ASSERT_TRUE(doubled);
  EXPECT_NEAR(score(m, facts(), VendorHealth::kHealthy, 0, *doubled), score(m) + 0.1, 1e-9);
  EXPECT_EQ(*read_weights(json::object()), ScoreWeights());
  EXPECT_EQ(*read_weights(weights_json(*doubled)), *doubled);
}

TEST(ScoreWeightsReading, NamesTheFault) {
  EXPECT_EQ(read_weights(json::parse(R"({"cost":-1})")).error().field, "cost");
  EXPECT_EQ(read_weights(json::parse(R"({"speed":1})")).error().field, "speed");
  EXPECT_THAT(read_weights(json::parse(R"({"quality":0,"cost":0,"complexity_match":0,"latency":0,
      "health":0,"budget":0})"))
                  .error()
                  .message,
              HasSubstr("at least one"));
}

TEST(Complexity, GrowsWithLengthReasoningCodeAndQuestions) {
  EXPECT_EQ(complexity_of(""), 0);
  EXPECT_EQ(complexity_of("Hello there"), 0);
  std::string twenty_one, many;
  for (int i = 0; i < 21; ++i) twenty_one += "word ";
  for (int i = 0; i < 201; ++i) many += "word ";
  EXPECT_NEAR(complexity_of(twenty_one), 0.15, 1e-9);
  EXPECT_NEAR(complexity_of(many), 0.3, 1e-9);
  EXPECT_NEAR(complexity_of("Explain and compare"), 0.2, 1e-9);
  EXPECT_NEAR(complexity_of("why why why why why why"), 0.4, 1e-9);
  EXPECT_NEAR(complexity_of("def f(): pass"), 0.2, 1e-9);
  EXPECT_NEAR(complexity_of("a? b? c?"), 0.1, 1e-9);
  EXPECT_LE(complexity_of(many + " why explain compare prove def x? y? z?"), 1);
}

TEST(Confidence, IsHalfPlusTheMargin) {
  EXPECT_NEAR(confidence_of(0.8, 0.7), 0.6, 1e-9);
  EXPECT_EQ(confidence_of(2, 0.1), 1);
  EXPECT_EQ(confidence_of(0.1, std::nullopt), 1);
}

// ---- What is known of agents

TEST(AgentRecord, SaysNothingBeforeFiveObservations) {
  AgentRecord record;
  for (int i = 0; i < 4; ++i) record.observe("o", "a", "m", 5, 4.5);
  EXPECT_EQ(record.shift("o", "a", "m"), 0);
  record.observe("o", "a", "m", 5, 4.5);
  EXPECT_NEAR(record.shift("o", "a", "m"), 0.1, 1e-6);
  EXPECT_EQ(record.shift("other", "a", "m"), 0);
  EXPECT_EQ(record.shift("o", "b", "m"), 0);
}

TEST(AgentRecord, IsBoundedAndForgetsWhatIsOld) {
  AgentRecord record;
  for (int i = 0; i < 100; ++i) record.observe("o", "a", "m", 0, 4);
  EXPECT_EQ(record.shift("o", "a", "m"), -0.2);
  for (int i = 0; i < 100; ++i) record.observe("o", "a", "m", 4, 4);
  EXPECT_NEAR(record.shift("o", "a", "m"), 0, 1e-5);
}

TEST(AgentRecord, KeepsNoMoreAgentsThanItMay) {
  AgentRecord record(2);
  for (const char* agent : {"a", "b", "c"}) {
    for (int i = 0; i < 5; ++i) record.observe("o", agent, "m", 5, 4);
  }
  EXPECT_EQ(record.shift("o", "a", "m"), 0) << "the least recently used is gone";
  EXPECT_GT(record.shift("o", "b", "m"), 0);
  record.observe("o", "", "m", 5, 4);
  EXPECT_GT(record.shift("o", "c", "m"), 0) << "an empty agent is nobody";
}

// ---- The strategy

Router router() {
  RoutingConfig config;
  config.strategy = "multifactor";
  return Router(config, default_tasks());
}

std::shared_ptr<const Registry> two() {
  return registry_of(
      {model("cheap", "north", 4.0, 100, 0.001), model("good", "east", 4.9, 100, 0.002)});
}

TEST(MultifactorStrategy, TakesTheHighestScoreAndTellsHowSureItIs) {
  RouteRequest r = request();
  r.prompt = "Hello";
  const auto plan = router().plan(two(), r, health({}));
  ASSERT_TRUE(plan) << plan.error().message;
  // cheap: 0.1 + 0.125 + 0.10 + 0.0483; good: 0.19 + 0 + 0 + 0.0483
  EXPECT_EQ(plan->decision.model->name, "cheap");
  EXPECT_NEAR(plan->decision.score, 0.3733, 1e-4);
  EXPECT_NEAR(plan->decision.confidence, 0.5 + 0.3733 - 0.2383, 1e-3);
  EXPECT_THAT(plan->decision.reason, HasSubstr("confidence 0.6"));
}

TEST(MultifactorStrategy, OrganisationsWeighForThemselves) {
  RouteRequest r = request();
  const ScoreWeights weights{.quality = 4};
  r.weights = &weights;
  const auto plan = router().plan(two(), r, health({}));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->decision.model->name, "good");
  EXPECT_THAT(plan->decision.reason, HasSubstr("organisation's weights"));
}

TEST(MultifactorStrategy, AgentsExperienceMovesTheChoice) {
  const auto close =
      registry_of({model("a", "north", 4.0, 100, 0.001), model("b", "east", 4.1, 100, 0.001)});
  RouteRequest r = request();
  r.prompt = "Hello";
  EXPECT_EQ(router().plan(close, r, health({}))->decision.model->name, "b");
  AgentRecord record;
  for (int i = 0; i < 5; ++i) record.observe("o", "writer", "b", 3, 4.1);
  r.org = "o";
  r.agent = "writer";
  r.shifts = &record;
  EXPECT_EQ(router().plan(close, r, health({}))->decision.model->name, "a");
}

TEST(MultifactorStrategy, LimitsHoldAndNobodyFittingFallsBack) {
  RouteRequest r = request();
  r.quality_threshold = 4.95;
  const auto plan = router().plan(two(), r, health({}));
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->decision.fallback_used);
  EXPECT_EQ(plan->decision.model->name, "good");
}

}  // namespace
}  // namespace asahi::gateway
