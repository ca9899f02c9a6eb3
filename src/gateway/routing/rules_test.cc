#include "gateway/routing/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/routing/router.h"
#include "gateway/routing/survey.h"
#include "gateway/routing/testing/models.h"

namespace asahi::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing_models::explicit_request;
using testing_models::four_vendors;
using testing_models::health;
using testing_models::listing;
using testing_models::request;

RulesReading read(std::string_view list) {
  const auto registry = four_vendors();
  return read_rules(json::object{{"rules", json::parse(list)}}, registry.get());
}
RoutingRules rules(std::string_view list) {
  RulesReading reading = read(list);
  EXPECT_TRUE(reading.faults.empty())
      << reading.faults.front().path << ": " << reading.faults.front().message;
  return std::move(reading.rules);
}
std::vector<std::string> fault_paths(std::string_view list) {
  std::vector<std::string> paths;
  for (const RuleFault& fault : read(list).faults) paths.push_back(fault.path);
  return paths;
}

Clock::Time at(std::string_view time) { return *parse_rfc3339(time); }

Result<Plan> plan(const RoutingRules& given, int step = 1,
                  std::string_view time = "2026-11-22T12:00:00Z", VendorHealth south = {}) {
  const Router router({}, default_tasks());
  RouteRequest r = request();
  r.mode = RoutingMode::kGuided;
  r.rules = &given;
  r.step = step;
  r.now = at(time);
  return router.plan(four_vendors(), r, health({{"south", south}}));
}
std::string chosen(const Result<Plan>& plan) {
  return plan ? plan->decision.model->name : "error: " + plan.error().message;
}

// ---- Reading

TEST(RoutingRulesReading, GivesBackWhatItRead) {
  constexpr std::string_view kAll = R"([
    {"type":"step_based","name":"draft","enabled":true,"steps":{"1":"small","2":"big","default":"mid"}},
    {"type":"time_based","enabled":false,"from_hour":22,"to_hour":6,"model":"small"},
    {"type":"cost_ceiling_per_1k","enabled":true,"max_usd":0.015},
    {"type":"model_allowlist","enabled":true,"models":["small","b*"]},
    {"type":"provider_restriction","enabled":true,"providers":["north","south"]},
    {"type":"fallback_chain","enabled":true,"models":["big","small"],"triggers":["timeout"]}])";
  const RoutingRules first = rules(kAll);
  EXPECT_EQ(first.rules.size(), 6U);
  const RulesReading again =
      read_rules(json::object{{"rules", rules_json(first)}}, four_vendors().get());
  EXPECT_EQ(again.rules, first);
  EXPECT_EQ(rules_json(first), json::parse(kAll));
}

TEST(RoutingRulesReading, TellsEveryFaultAtOnce) {
  EXPECT_THAT(
      fault_paths(R"([{"type":"magic"},{"type":"cost_ceiling_per_1k","max_usd":0},
      {"type":"time_based","from_hour":1,"to_hour":1,"model":"nobody"}])"),
      ElementsAre("rules[0].type", "rules[1].max_usd", "rules[2].to_hour", "rules[2].model"));
}

TEST(RoutingRulesReading, RefusesWhatCannotBeMeant) {
  const struct {
    const char* list;
    const char* path;
  } rows[] = {
      {R"([{"type":"step_based","steps":{}}])", "rules[0].steps"},
      {R"([{"type":"step_based","steps":{"0":"small"}}])", "rules[0].steps"},
      {R"([{"type":"step_based","steps":{"one":"small"}}])", "rules[0].steps"},
      {R"([{"type":"step_based","steps":{"1":"nobody"}}])", "rules[0].steps"},
      {R"([{"type":"time_based","from_hour":24,"to_hour":1,"model":"small"}])",
       "rules[0].from_hour"},
      {R"([{"type":"time_based","model":"small"}])", "rules[0].from_hour"},
      {R"([{"type":"cost_ceiling_per_1k","max_usd":-1}])", "rules[0].max_usd"},
      {R"([{"type":"model_allowlist","models":[]}])", "rules[0].models"},
      {R"([{"type":"model_allowlist","models":["z*"]}])", "rules[0].models"},
      {R"([{"type":"provider_restriction","providers":["nobody"]}])", "rules[0].providers"},
      {R"([{"type":"fallback_chain","models":["big"]}])", "rules[0].models"},
      {R"([{"type":"fallback_chain","models":["big","big"]}])", "rules[0].models"},
      {R"([{"type":"fallback_chain","models":["big","mid"],"triggers":["mood"]}])",
       "rules[0].triggers"},
      {R"([{"type":"fallback_chain","models":["big","mid"],"steps":{}}])", "rules[0].steps"},
      {R"([7])", "rules[0]"},
      {R"({"type":"step_based"})", "rules"},
  };
  for (const auto& row : rows)
    EXPECT_THAT(fault_paths(row.list), ElementsAre(row.path)) << row.list;
}

TEST(RoutingRulesReading, HoursMustNotOverlapAlsoAroundMidnight) {
  EXPECT_THAT(fault_paths(R"([{"type":"time_based","from_hour":22,"to_hour":6,"model":"small"},
      {"type":"time_based","from_hour":5,"to_hour":9,"model":"mid"}])"),
              ElementsAre("rules[1].from_hour"));
  EXPECT_THAT(fault_paths(R"([{"type":"time_based","from_hour":22,"to_hour":6,"model":"small"},
      {"type":"time_based","from_hour":6,"to_hour":22,"model":"mid"}])"),
              IsEmpty());
  EXPECT_THAT(fault_paths(R"([{"type":"time_based","from_hour":22,"to_hour":6,"model":"small"},
      {"type":"time_based","enabled":false,"from_hour":5,"to_hour":9,"model":"mid"}])"),
              IsEmpty())
      << "a rule that is off takes no hours";
}

TEST(RoutingRulesReading, StoredRulesOutliveTheirModels) {
  const RulesReading reading =
      read_rules(json::parse(R"({"rules":[{"type":"step_based","steps":{"1":"gone"}}]})"), nullptr);
  EXPECT_THAT(reading.faults, IsEmpty());
}

TEST(RoutingRulesConflicts, AreTold) {
  const auto registry = four_vendors();
  EXPECT_THAT(conflicts_of(rules(R"([{"type":"step_based","steps":{"1":"big"}},
      {"type":"cost_ceiling_per_1k","max_usd":0.005}])"),
                           *registry),
              ElementsAre(HasSubstr("names big, which cost_ceiling_per_1k leaves out")));
  EXPECT_THAT(conflicts_of(rules(R"([{"type":"model_allowlist","models":["small"]},
      {"type":"provider_restriction","providers":["east"]}])"),
                           *registry),
              ElementsAre(HasSubstr("together leave no model")));
  EXPECT_THAT(conflicts_of(rules(R"([{"type":"fallback_chain","models":["big","mid"]},
      {"type":"fallback_chain","models":["mid","big"]}])"),
                           *registry),
              ElementsAre(HasSubstr("only the first")));
}

// ---- Applying

TEST(GuidedRules, AStepNamesItsModel) {
  const RoutingRules given =
      rules(R"([{"type":"step_based","steps":{"1":"small","2":"best","default":"mid"}}])");
  EXPECT_EQ(chosen(plan(given, 1)), "small");
  EXPECT_EQ(chosen(plan(given, 2)), "best") << "limits do not hold against a rule";
  EXPECT_EQ(chosen(plan(given, 9)), "mid");
  EXPECT_THAT(plan(given, 2)->decision.reason, HasSubstr("step_based (step 2) choose best"));
}

TEST(GuidedRules, HoursAreUtcAndMayWrap) {
  const RoutingRules given =
      rules(R"([{"type":"time_based","from_hour":22,"to_hour":6,"model":"best"}])");
  EXPECT_EQ(chosen(plan(given, 1, "2026-11-22T22:00:00Z")), "best");
  EXPECT_EQ(chosen(plan(given, 1, "2026-11-22T05:59:59Z")), "best");
  EXPECT_EQ(chosen(plan(given, 1, "2026-11-22T06:00:00Z")), "small") << "base selection again";
  EXPECT_EQ(chosen(plan(given, 1, "2026-11-22T23:30:00+02:00")), "small") << "21:30 UTC";
}

TEST(GuidedRules, StepsComeBeforeHoursBeforeFilters) {
  const RoutingRules given = rules(R"([{"type":"model_allowlist","models":["small"]},
      {"type":"time_based","from_hour":0,"to_hour":24,"model":"mid"},
      {"type":"step_based","steps":{"1":"big"}}])");
  const auto first = plan(given, 1);
  EXPECT_EQ(chosen(first), "big");
  EXPECT_THAT(first->decision.rule_conflicts,
              ElementsAre(HasSubstr("time_based names mid, but step_based comes first"),
                          HasSubstr("step_based names big, which model_allowlist leaves out")));
  EXPECT_EQ(chosen(plan(given, 2)), "mid");
}

TEST(GuidedRules, FiltersNarrowAndThenQualityDecides) {
  EXPECT_EQ(chosen(plan(rules(R"([{"type":"cost_ceiling_per_1k","max_usd":0.002}])"))), "mid");
  EXPECT_EQ(
      chosen(plan(rules(R"([{"type":"provider_restriction","providers":["north","east"]}])"))),
      "mid");
  EXPECT_EQ(chosen(plan(rules(R"([{"type":"model_allowlist","models":["s*"]}])"))), "small");
}

TEST(GuidedRules, FiltersHoldForFallbacksToo) {
  const RoutingRules given = rules(R"([{"type":"provider_restriction","providers":["north"]}])");
  const auto made = plan(given);
  EXPECT_THAT(listing(*made), ElementsAre("small chosen"));
}

TEST(GuidedRules, WithoutAModelThatMeetsTheLimitsTheFiltersStillHold) {
  // best is too slow for the default limits, and alone on the list.
  const auto made = plan(rules(R"([{"type":"model_allowlist","models":["best"]}])"));
  EXPECT_EQ(chosen(made), "best");
  EXPECT_TRUE(made->decision.fallback_used);
}

TEST(GuidedRules, FiltersThatLeaveNobodyAreAnError) {
  const auto made = plan(rules(R"([{"type":"model_allowlist","models":["small"]},
      {"type":"provider_restriction","providers":["east"]}])"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().reason, "model_blocked");
  EXPECT_THAT(made.error().message, HasSubstr("routing rules"));
}

TEST(GuidedRules, ALoneChainChoosesAndIsTried) {
  const RoutingRules given = rules(
      R"([{"type":"fallback_chain","models":["big","best","small"],"triggers":["timeout"]}])");
  const auto made = plan(given);
  EXPECT_THAT(listing(*made), ElementsAre("big chosen", "best chain", "small chain"));
  EXPECT_EQ(made->attempts[1].triggers, Triggers{Trigger::kTimeout});
  const auto without = plan(given, 1, "2026-11-22T12:00:00Z", VendorHealth::kBreakerOpen);
  EXPECT_THAT(listing(*without), ElementsAre("best chosen", "small chain"));
  EXPECT_THAT(without->decision.rule_conflicts, ElementsAre(HasSubstr("cannot answer now")));
}

TEST(GuidedRules, AChainBesideOtherRulesIsOnlyTried) {
  const auto made = plan(rules(R"([{"type":"step_based","steps":{"1":"mid"}},
      {"type":"fallback_chain","models":["mid","best"]}])"));
  EXPECT_THAT(listing(*made), ElementsAre("mid chosen", "best chain"));
}

TEST(GuidedRules, ANamedModelThatCannotAnswerIsPassedOver) {
  const auto made = plan(rules(R"([{"type":"step_based","steps":{"1":"big"}}])"), 1,
                         "2026-11-22T12:00:00Z", VendorHealth::kUnreachable);
  EXPECT_EQ(chosen(made), "small");
  EXPECT_THAT(made->decision.rule_conflicts, ElementsAre(HasSubstr("cannot answer now")));
}

TEST(GuidedRules, RulesThatAreOffAndOtherModesDoNotHold) {
  const RoutingRules off = rules(R"([{"type":"step_based","enabled":false,"steps":{"1":"best"}}])");
  EXPECT_EQ(chosen(plan(off)), "small");
  const RoutingRules on = rules(R"([{"type":"step_based","steps":{"1":"best"}}])");
  const Router router({}, default_tasks());
  RouteRequest r = request();
  r.rules = &on;
  EXPECT_EQ(chosen(router.plan(four_vendors(), r, health({}))), "small") << "autopilot";
  r = explicit_request("mid");
  r.rules = &on;
  EXPECT_EQ(chosen(router.plan(four_vendors(), r, health({}))), "mid");
}

TEST(GuidedRules, TheCallersOwnChainComesFirst) {
  const RoutingRules given = rules(R"([{"type":"step_based","steps":{"1":"mid"}},
      {"type":"fallback_chain","models":["mid","best"]}])");
  const Router router({}, default_tasks());
  RouteRequest r = request();
  r.mode = RoutingMode::kGuided;
  r.rules = &given;
  const std::vector<std::string> own{"small"};
  r.fallback_models = own;
  EXPECT_THAT(listing(*router.plan(four_vendors(), r, health({}))),
              ElementsAre("mid chosen", "small chain"));
}

// ---- The learned strategy, and asking again

Router learned_router() {
  RoutingConfig config;
  config.strategy = "learned";
  return Router(config, default_tasks());
}

TEST(LearnedStrategy, AsksTheStrongModelWhereTheGainIsWorthIt) {
  RouteRequest r = request();
  r.learned = LearnedChoice{
      .weak = "small", .strong = "big", .gain = 0.2, .threshold = 0.1, .why = "words"};
  auto made = learned_router().plan(four_vendors(), r, health({}));
  EXPECT_EQ(chosen(made), "big");
  EXPECT_TRUE(made->decision.learned);
  EXPECT_THAT(made->decision.reason, HasSubstr("big would gain +0.200 over small"));
  EXPECT_THAT(made->decision.reason, HasSubstr("mostly by words"));
  r.learned->gain = 0.05;
  made = learned_router().plan(four_vendors(), r, health({}));
  EXPECT_EQ(chosen(made), "small");
  EXPECT_THAT(made->decision.reason, HasSubstr("less than 0.100"));
}

TEST(LearnedStrategy, LimitsHoldForBothModels) {
  RouteRequest r = request();
  r.learned =
      LearnedChoice{.weak = "small", .strong = "best", .gain = 0.9, .threshold = 0, .why = "words"};
  const auto made = learned_router().plan(four_vendors(), r, health({}));
  EXPECT_EQ(chosen(made), "small") << "best is too slow";
  EXPECT_THAT(made->decision.reason, HasSubstr("only small meets the limits"));
  r.quality_threshold = 4.3;
  const auto neither = learned_router().plan(four_vendors(), r, health({}));
  EXPECT_EQ(chosen(neither), "big") << "base selection";
  EXPECT_FALSE(neither->decision.learned);
}

TEST(LearnedStrategy, UntrainedItIsTheRatioStrategyAndSaysSo) {
  const auto made = learned_router().plan(four_vendors(), request(), health({}));
  EXPECT_EQ(chosen(made), "small");
  EXPECT_THAT(made->decision.reason, HasSubstr("not trained"));
}

TEST(NextBetter, IsTheLeastGoodOfTheBetterOnes) {
  const Router router({}, default_tasks());
  const auto registry = four_vendors();
  const RouteRequest r = request();
  const auto next = router.next_better(registry, r, health({}), *registry->get("small"));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->decision.model->name, "mid");
  EXPECT_THAT(listing(*next), ElementsAre("mid highest_quality"));
  EXPECT_EQ(router
                .next_better(registry, r, health({{"east", VendorHealth::kBreakerOpen}}),
                             *registry->get("small"))
                ->decision.model->name,
            "big");
  EXPECT_FALSE(router.next_better(registry, r, health({}), *registry->get("best")));
}

TEST(NextBetter, PolicyRulesAndBudgetHold) {
  const Router router({}, default_tasks());
  const auto registry = four_vendors();
  RouteRequest r = request();
  const std::vector<std::string> blocked{"mid", "big"};
  r.filter.blocked_models = blocked;
  EXPECT_EQ(
      router.next_better(registry, r, health({}), *registry->get("small"))->decision.model->name,
      "best");
  const RoutingRules given =
      rules(R"([{"type":"provider_restriction","providers":["north","south"]}])");
  r = request();
  r.mode = RoutingMode::kGuided;
  r.rules = &given;
  EXPECT_EQ(
      router.next_better(registry, r, health({}), *registry->get("small"))->decision.model->name,
      "big");
  r = request();
  r.cost_budget = NanoUsd{1};
  EXPECT_FALSE(router.next_better(registry, r, health({}), *registry->get("small")));
}

}  // namespace
}  // namespace asahi::gateway
