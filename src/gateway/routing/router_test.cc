#include "gateway/routing/router.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "gateway/routing/testing/models.h"

namespace asahi::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_models::explicit_request;
using testing_models::four_vendors;
using testing_models::health;
using testing_models::model;
using testing_models::registry_of;
using testing_models::request;

Router router(RoutingConfig config = {}) { return Router(std::move(config), default_tasks()); }

std::string chosen(const Result<Plan>& plan) {
  return plan ? plan->decision.model->name : "error: " + plan.error().message;
}

// ---- Words of a request ----

TEST(RouteWords, R16_LatencyWordsAreSlowNormalFastInstant) {
  EXPECT_EQ(*parse_latency_preference("slow"), LatencyPreference::kSlow);
  EXPECT_EQ(*parse_latency_preference("normal"), LatencyPreference::kNormal);
  EXPECT_EQ(*parse_latency_preference("fast"), LatencyPreference::kFast);
  EXPECT_EQ(*parse_latency_preference("instant"), LatencyPreference::kInstant);
  for (const char* word : {"low", "medium", "high", "Fast", ""}) {
    const auto parsed = parse_latency_preference(word);
    ASSERT_FALSE(parsed) << word;
    EXPECT_EQ(parsed.error().code, Errc::kInvalidArgument);
    EXPECT_EQ(parsed.error().field, "latency_preference");
    EXPECT_THAT(parsed.error().message, HasSubstr("use one of slow, normal, fast, instant"));
  }
}

TEST(RouteWords, QualityAndModeWords) {
  EXPECT_EQ(*parse_quality_preference("max"), QualityPreference::kMax);
  EXPECT_THAT(parse_quality_preference("best").error().message,
              HasSubstr("low, medium, high, max"));
  EXPECT_EQ(*parse_routing_mode("guided"), RoutingMode::kGuided);
  EXPECT_EQ(parse_routing_mode("auto").error().field, "routing_mode");
}

TEST(RouteWords, R17_ModelAndModelOverrideAreSynonyms) {
  EXPECT_EQ(*requested_model("a", ""), "a");
  EXPECT_EQ(*requested_model("", "a"), "a");
  EXPECT_EQ(*requested_model("a", "a"), "a");
  EXPECT_EQ(*requested_model("", ""), "");
  EXPECT_EQ(requested_model("a", "b").error().code, Errc::kInvalidArgument);
  EXPECT_EQ(requested_model("a", "b").error().field, "model_override");
}

TEST(Router, R37_ATaskIdThatIsATaskTypeIsAHint) {
  const Router r = router();
  EXPECT_EQ(r.task_hint("", "legal"), "legal");
  EXPECT_EQ(r.task_hint("coding", "legal"), "coding");
  EXPECT_EQ(r.task_hint("", "job-17"), "");
}

// ---- Base selection ----

TEST(BaseSelection, TakesTheHighestQualityPerDollar) {
  const auto plan = router().plan(four_vendors(), request(), {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->decision.model->name, "small");
  EXPECT_DOUBLE_EQ(plan->decision.score, 4000.0);
  EXPECT_EQ(plan->decision.candidates_evaluated, 3);
  EXPECT_FALSE(plan->decision.fallback_used);
}

TEST(BaseSelection, TheScoreHasFourDecimals) {
  const auto plan = router().plan(registry_of({model("a", "x", 3.5, 100, 0.0003)}), request(), {});
  EXPECT_DOUBLE_EQ(plan->decision.score, 11666.6667);
}

TEST(BaseSelection, ThePriceIsTheMeanOfInputAndOutput) {
  ModelProfile a = model("a", "x", 4, 100, 0.002);
  ModelProfile b = model("b", "x", 4, 100, 0.002);
  b.input = TokenPrice::per_1k(0.0001);
  b.output = TokenPrice::per_1k(0.0038);
  EXPECT_EQ(chosen(router().plan(registry_of({a, b}), request(), {})), "b");
}

TEST(BaseSelection, TiesGoToQualityThenLatencyThenName) {
  EXPECT_EQ(chosen(router().plan(registry_of({model("low", "x", 3.5, 10, 0.0035),
                                              model("high", "x", 4.0, 90, 0.004)}),
                                 request(), {})),
            "high");
  EXPECT_EQ(chosen(router().plan(
                registry_of({model("late", "x", 4, 90, 0.004), model("soon", "x", 4, 80, 0.004)}),
                request(), {})),
            "soon");
  EXPECT_EQ(chosen(router().plan(
                registry_of({model("b", "x", 4, 90, 0.004), model("a", "x", 4, 90, 0.004)}),
                request(), {})),
            "a");
}

TEST(BaseSelection, R22_AFreeModelRanksBeforeEveryPricedOne) {
  const auto models =
      registry_of({model("cheap", "x", 5, 10, 0.000001), model("free", "y", 3.6, 300, 0),
                   model("free-better", "y", 3.9, 290, 0)});
  const auto plan = router().plan(models, request(), {});
  EXPECT_EQ(chosen(plan), "free-better");
  EXPECT_TRUE(std::isfinite(plan->decision.score));
  EXPECT_DOUBLE_EQ(plan->decision.score, 3.9);
  EXPECT_THAT(plan->decision.reason, HasSubstr("costs nothing"));
}

TEST(BaseSelection, R22_AFreeModelStillHasToMeetTheLimits) {
  const auto models =
      registry_of({model("cheap", "x", 4, 100, 0.001), model("free", "y", 3.4, 100, 0)});
  EXPECT_EQ(chosen(router().plan(models, request(), {})), "cheap");
}

struct Drop {
  const char* why;
  std::function<void(ModelProfile&)> spoil;
  std::function<void(RouteRequest&)> ask;
  HealthView vendors;
};

TEST(BaseSelection, DropsWhatMayNotOrCannotServe) {
  static const std::vector<std::string> kBlocked{"first"}, kAllowed{"second"}, kByPrefix{"fir*"},
      kByAlias{"first-2024"};
  const Drop rows[] = {
      {"unavailable", [](auto& m) { m.availability = Availability::kUnavailable; }, {}, {}},
      {"blocked", {}, [](auto& r) { r.filter.blocked_models = kBlocked; }, {}},
      {"blocked by prefix", {}, [](auto& r) { r.filter.blocked_models = kByPrefix; }, {}},
      {"blocked by alias", {}, [](auto& r) { r.filter.blocked_models = kByAlias; }, {}},
      {"not allowed", {}, [](auto& r) { r.filter.allowed_models = kAllowed; }, {}},
      {"blocked wins over allowed",
       {},
       [](auto& r) {
         static const std::vector<std::string> both{"first", "second"};
         r.filter.allowed_models = both;
         r.filter.blocked_models = kBlocked;
       },
       {}},
      {"open breaker", {}, {}, health({{"one", VendorHealth::kBreakerOpen}})},
      {"unreachable", {}, {}, health({{"one", VendorHealth::kUnreachable}})},
      {"no key", {}, {}, health({{"one", VendorHealth::kNoKey}})},
      {"wrong region",
       [](auto& m) { m.region = "eu"; },
       [](auto& r) { r.filter.region = "us"; },
       {}},
      {"no region", [](auto& m) { m.region = ""; }, [](auto& r) { r.filter.region = "us"; }, {}},
      {"no images",
       [](auto& m) { m.supports = {Capability::kChat, Capability::kTools}; },
       [](auto& r) { r.filter.required.add(Capability::kImages); },
       {}},
      {"embeddings only", [](auto& m) { m.supports = {Capability::kEmbeddings}; }, {}, {}},
      {"prompt and answer over the context",
       [](auto& m) { m.max_input_tokens = 1123; },
       [](auto& r) { r.max_tokens = 1024; },
       {}},
      {"answer too long",
       [](auto& m) { m.max_output_tokens = 1023; },
       [](auto& r) { r.max_tokens = 1024; },
       {}},
      {"quality", [](auto& m) { m.quality = 3.49; }, {}, {}},
      {"latency", [](auto& m) { m.avg_latency_ms = 301; }, {}, {}},
      {"cost", {}, [](auto& r) { r.cost_budget = NanoUsd{159'999}; }, {}},
  };
  for (const Drop& row : rows) {
    ModelProfile first = model("first", "one", 4.2, 100, 0.001);
    first.aliases = {"first-2024"};
    first.region = "us";
    ModelProfile second = model("second", "two", 4.0, 100, 0.0009999);
    second.region = "us";
    second.supports = {Capability::kChat, Capability::kTools, Capability::kImages};
    if (row.spoil) row.spoil(first);
    RouteRequest r = request();
    if (row.ask) row.ask(r);
    // Without the spoiling, the first has the better ratio.
    EXPECT_EQ(chosen(router().plan(registry_of({first, second}), r, row.vendors)), "second")
        << row.why;
  }
}

TEST(BaseSelection, LimitsAreInclusive) {
  ModelProfile m = model("a", "x", 3.5, 300, 0.001);
  m.max_input_tokens = 1124;
  m.max_output_tokens = 1024;
  RouteRequest r = request();
  r.max_tokens = 1024;
  r.cost_budget = NanoUsd{160'000};  // 100 in and 60 out at a micro-dollar
  EXPECT_FALSE(router().plan(registry_of({m}), r, {})->decision.fallback_used);
}

TEST(BaseSelection, ADegradedModelOrVendorStillServes) {
  ModelProfile m = model("a", "x", 4, 100, 0.001);
  m.availability = Availability::kDegraded;
  EXPECT_EQ(chosen(router().plan(registry_of({m, model("b", "y", 4, 100, 0.01)}), request(),
                                 health({{"x", VendorHealth::kDegraded}}))),
            "a");
}

TEST(BaseSelection, ACallersOwnKeyMakesUpForAMissingOne) {
  RouteRequest r = request();
  const auto no_key = health({{"north", VendorHealth::kNoKey}});
  EXPECT_EQ(chosen(router().plan(four_vendors(), r, no_key)), "mid");
  r.caller_has_key = true;
  EXPECT_EQ(chosen(router().plan(four_vendors(), r, no_key)), "small");
}

TEST(BaseSelection, RegionsMatchInAnyCase) {
  ModelProfile m = model("a", "x", 4, 100, 0.001);
  m.region = "eu";
  RouteRequest r = request();
  r.filter.region = "EU";
  EXPECT_EQ(chosen(router().plan(registry_of({m}), r, {})), "a");
}

TEST(BaseSelection, AsksEachVendorOnce) {
  std::map<std::string, int, std::less<>> asked;
  const auto models =
      registry_of({model("a", "x", 4, 1, 1), model("b", "x", 4, 1, 1), model("c", "y", 4, 1, 1)});
  ASSERT_TRUE(router().plan(models, request(), [&](std::string_view provider) {
    ++asked[std::string(provider)];
    return VendorHealth::kHealthy;
  }));
  EXPECT_THAT(asked, ElementsAre(std::pair("x", 1), std::pair("y", 1)));
}

// ---- Fallback ----

TEST(Fallback, NobodyLeftMeansTheHighestQualityPermitted) {
  RouteRequest r = request();
  r.quality_threshold = 4.9;
  const auto plan = router().plan(four_vendors(), r, {});
  ASSERT_TRUE(plan);
  const Decision& d = plan->decision;
  EXPECT_EQ(d.model->name, "best");
  EXPECT_TRUE(d.fallback_used);
  EXPECT_DOUBLE_EQ(d.score, 0);
  EXPECT_EQ(d.candidates_evaluated, 4);
  EXPECT_THAT(d.reason, HasSubstr("no model meets quality >= 4.9 (missed by 4), latency <= 300 ms "
                                  "(missed by 1), so the highest quality permitted: best (4.8)"));
}

TEST(Fallback, KeepsToThePolicyAndToHealthyVendors) {
  static const std::vector<std::string> blocked{"best"};
  RouteRequest r = request();
  r.quality_threshold = 4.9;
  r.filter.blocked_models = blocked;
  EXPECT_EQ(chosen(router().plan(four_vendors(), r, {})), "big");
  EXPECT_EQ(
      chosen(router().plan(four_vendors(), r, health({{"south", VendorHealth::kBreakerOpen}}))),
      "mid");
}

TEST(Fallback, PrefersAContextThatFits) {
  ModelProfile best = model("best", "x", 5, 100, 0.01);
  best.max_input_tokens = 1000;
  RouteRequest r = request();
  r.quality_threshold = 4.95;
  EXPECT_EQ(chosen(router().plan(registry_of({best, model("other", "y", 4, 100, 0.01)}), r, {})),
            "other");
}

TEST(Fallback, WhenNoContextFitsTheNearestIsTried) {
  ModelProfile a = model("a", "x", 5, 100, 0.01);
  ModelProfile b = model("b", "y", 4, 100, 0.01);
  b.max_input_tokens = 20'000;
  RouteRequest r = request();
  r.input_tokens = 50'000;
  const auto plan = router().plan(registry_of({a, b}), r, {});
  EXPECT_EQ(chosen(plan), "b");
  EXPECT_THAT(plan->decision.reason, HasSubstr("context window (missed by 2)"));
}

TEST(Fallback, R21_TheCostBudgetIsComparedWithTheEstimateOfThisRequest) {
  RouteRequest r = request();
  r.input_tokens = 1000;
  // small: 1000·0.9 + 600·0.9 micro-dollars = $0.00144; its price per 1,000 tokens is below the
  // budget either way.
  r.cost_budget = NanoUsd{1'440'000};
  EXPECT_FALSE(router().plan(four_vendors(), r, {})->decision.fallback_used);
  r.cost_budget = NanoUsd{1'439'999};
  const auto plan = router().plan(four_vendors(), r, {});
  EXPECT_TRUE(plan->decision.fallback_used);
  EXPECT_THAT(plan->decision.reason, HasSubstr("cost <= $0.001439999 (missed by 4)"));
}

TEST(Fallback, R21_AStrictCostBudgetAnswers400InsteadOfFallingBack) {
  RoutingConfig strict;
  strict.strict_cost_budget = true;
  RouteRequest r = request();
  r.cost_budget = NanoUsd{1};
  const auto plan = router(strict).plan(four_vendors(), r, {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(plan.error().reason, "cost_budget_unsatisfiable");
  EXPECT_EQ(plan.error().field, "cost_budget");
  EXPECT_EQ(chosen(router().plan(four_vendors(), r, {})), "best");
  // Without a budget the option changes nothing.
  r.cost_budget.reset();
  r.quality_threshold = 4.9;
  EXPECT_EQ(chosen(router(strict).plan(four_vendors(), r, {})), "best");
}

TEST(Fallback, NobodyPermittedIsAnErrorThatNamesTheCause) {
  static const std::vector<std::string> all{"*"};
  const auto error = [](const std::shared_ptr<const Registry>& models, const RouteRequest& r,
                        const HealthView& vendors = {}) {
    const auto plan = router().plan(models, r, vendors);
    return plan ? Error{} : plan.error();
  };
  EXPECT_EQ(error(registry_of({}), request()).reason, "no_models_available");
  EXPECT_EQ(error(registry_of({}), explicit_request("a")).reason, "no_models_available");

  RouteRequest r = request();
  r.filter.blocked_models = all;
  EXPECT_EQ(error(four_vendors(), r).code, Errc::kForbidden);
  EXPECT_EQ(error(four_vendors(), r).reason, "model_blocked");

  r = request();
  r.filter.region = "eu";
  EXPECT_EQ(error(four_vendors(), r).reason, "compliance_violation");

  r = request();
  r.filter.required.add(Capability::kImages);
  EXPECT_EQ(error(four_vendors(), r).code, Errc::kInvalidArgument);
  EXPECT_THAT(error(four_vendors(), r).message, HasSubstr("chat, images"));

  const auto down = [](VendorHealth state) { return [state](std::string_view) { return state; }; };
  EXPECT_EQ(error(four_vendors(), request(), down(VendorHealth::kBreakerOpen)).reason,
            "circuit_open");
  EXPECT_EQ(error(four_vendors(), request(), down(VendorHealth::kBreakerOpen)).code,
            Errc::kUnavailable);
  const Error no_key = error(four_vendors(), request(), down(VendorHealth::kNoKey));
  EXPECT_EQ(no_key.reason, "no_models_available");
  EXPECT_THAT(no_key.message, HasSubstr("set one of KEY"));
}

// ---- Autopilot ----

TEST(Autopilot, R23_StartsFromTheTaskTable) {
  const struct {
    const char* task;
    double quality;
    int latency;
  } rows[] = {{"faq", 3.5, 300},         {"summarization", 3.5, 500},
              {"reasoning", 4.0, 500},   {"coding", 4.0, 500},
              {"translation", 3.5, 300}, {"classification", 3.0, 200},
              {"creative", 3.5, 500},    {"legal", 4.2, 2000},
              {"general", 3.5, 300},     {"never heard of", 3.5, 300}};
  for (const auto& row : rows) {
    const RouteLimits limits = router().autopilot_limits(request(row.task));
    EXPECT_DOUBLE_EQ(limits.min_quality, row.quality) << row.task;
    EXPECT_EQ(limits.max_latency_ms, row.latency) << row.task;
    EXPECT_FALSE(limits.max_cost) << row.task;
  }
}

TEST(Autopilot, R23_ConfiguredTasksOverrideTheTable) {
  TaskTable tasks = default_tasks();
  tasks["coding"] = {.quality_threshold = 4.2, .latency_budget_ms = 900, .cache_ttl_hours = 4};
  tasks["support"] = {.quality_threshold = 3.1, .latency_budget_ms = 700, .cache_ttl_hours = 1};
  const Router r({}, tasks);
  EXPECT_DOUBLE_EQ(r.autopilot_limits(request("coding")).min_quality, 4.2);
  EXPECT_EQ(r.autopilot_limits(request("support")).max_latency_ms, 700);
}

TEST(Autopilot, AnOrganisationsDefaultsAreOfTasksWithoutARow) {
  RouteRequest r = request("poetry");
  r.default_quality_threshold = 4.4;
  r.default_latency_budget_ms = 1'500;
  EXPECT_DOUBLE_EQ(router().autopilot_limits(r).min_quality, 4.4);
  EXPECT_EQ(router().autopilot_limits(r).max_latency_ms, 1'500);
  r.latency_budget_ms = 100;
  EXPECT_EQ(router().autopilot_limits(r).max_latency_ms, 100) << "the caller's own word";
  RouteRequest known = request("coding");
  known.default_quality_threshold = 1;
  EXPECT_DOUBLE_EQ(router().autopilot_limits(known).min_quality, 4.0) << "a row of its own";
}

TEST(Autopilot, R20_AnExplicitQualityOnlyRaisesTheFloor) {
  RouteRequest r = request("coding");
  r.quality_threshold = 3.0;
  EXPECT_DOUBLE_EQ(router().autopilot_limits(r).min_quality, 4.0);
  r.quality_threshold = 4.5;
  EXPECT_DOUBLE_EQ(router().autopilot_limits(r).min_quality, 4.5);
}

TEST(Autopilot, R20_AnExplicitLatencyReplacesTheDefault) {
  RouteRequest r = request("coding");
  r.latency_budget_ms = 2000;
  EXPECT_EQ(router().autopilot_limits(r).max_latency_ms, 2000);
  r.latency_budget_ms = 100;
  EXPECT_EQ(router().autopilot_limits(r).max_latency_ms, 100);
}

TEST(Autopilot, R20_TheCostBudgetAlwaysApplies) {
  RouteRequest r = request("coding");
  r.cost_budget = NanoUsd{5};
  EXPECT_EQ(router().autopilot_limits(r).max_cost, NanoUsd{5});
}

TEST(Autopilot, TheReasonNamesTaskAndConfidence) {
  const auto plan = router().plan(four_vendors(), request("coding", 0.5), {});
  EXPECT_EQ(plan->decision.task_type_detected, "coding");
  EXPECT_EQ(
      plan->decision.reason,
      "Autopilot: task coding (confidence 0.50), quality >= 4.0, latency <= 500 ms; mid has the "
      "best quality per dollar of 2 candidates");
}

TEST(Autopilot, BelowThirtyPercentConfidenceAPromptIsGeneral) {
  const auto doubtful = router().plan(four_vendors(), request("legal", 0.27), {});
  EXPECT_EQ(doubtful->decision.model->name, "small");
  EXPECT_EQ(doubtful->decision.task_type_detected, "legal");
  EXPECT_TRUE(doubtful->decision.treated_as_general);
  EXPECT_THAT(doubtful->decision.reason, HasSubstr("too low: treated as general"));
  const auto trusted = router().plan(four_vendors(), request("legal", 0.30), {});
  EXPECT_FALSE(trusted->decision.treated_as_general);
  EXPECT_EQ(trusted->decision.model->name, "big");
  EXPECT_FALSE(
      router().plan(four_vendors(), request("general", 0.1), {})->decision.treated_as_general);
}

// ---- Guided ----

RouteLimits guided(const std::string& task, std::optional<QualityPreference> quality,
                   std::optional<LatencyPreference> latency) {
  RouteRequest r = request(task);
  r.mode = RoutingMode::kGuided;
  r.quality_preference = quality;
  r.latency_preference = latency;
  return router().guided_limits(r);
}

TEST(Guided, PreferencesStandForNumbers) {
  using Q = QualityPreference;
  using L = LatencyPreference;
  const struct {
    Q preference;
    double quality;
  } qualities[] = {{Q::kLow, 3.0}, {Q::kMedium, 3.5}, {Q::kHigh, 4.0}, {Q::kMax, 4.5}};
  for (const auto& row : qualities) {
    EXPECT_DOUBLE_EQ(guided("general", row.preference, {}).min_quality, row.quality);
  }
  const struct {
    L preference;
    int latency;
  } latencies[] = {{L::kSlow, 2000}, {L::kNormal, 500}, {L::kFast, 300}, {L::kInstant, 150}};
  for (const auto& row : latencies) {
    EXPECT_EQ(guided("general", {}, row.preference).max_latency_ms, row.latency);
  }
  EXPECT_DOUBLE_EQ(guided("general", {}, {}).min_quality, 3.5);
  EXPECT_EQ(guided("general", {}, {}).max_latency_ms, 500);
}

TEST(Guided, TasksHaveFloors) {
  using Q = QualityPreference;
  using L = LatencyPreference;
  for (const char* task : {"coding", "reasoning"}) {
    EXPECT_DOUBLE_EQ(guided(task, Q::kLow, L::kSlow).min_quality, 4.0) << task;
    EXPECT_EQ(guided(task, Q::kLow, L::kSlow).max_latency_ms, 500) << task;
    EXPECT_DOUBLE_EQ(guided(task, Q::kMax, L::kInstant).min_quality, 4.5) << task;
    EXPECT_EQ(guided(task, Q::kMax, L::kInstant).max_latency_ms, 150) << task;
  }
  EXPECT_DOUBLE_EQ(guided("legal", Q::kLow, L::kSlow).min_quality, 4.2);
  EXPECT_EQ(guided("legal", Q::kLow, L::kSlow).max_latency_ms, 2000);
  EXPECT_EQ(guided("legal", Q::kLow, L::kNormal).max_latency_ms, 500);
}

TEST(Guided, TheCallersOwnNumbersAreNotDropped) {
  RouteRequest r = request();
  r.mode = RoutingMode::kGuided;
  r.quality_threshold = 3.2;
  r.latency_budget_ms = 900;
  r.cost_budget = NanoUsd{7};
  EXPECT_DOUBLE_EQ(router().guided_limits(r).min_quality, 3.2);
  EXPECT_EQ(router().guided_limits(r).max_latency_ms, 900);
  EXPECT_EQ(router().guided_limits(r).max_cost, NanoUsd{7});
  r.quality_preference = QualityPreference::kHigh;
  r.latency_preference = LatencyPreference::kFast;
  EXPECT_DOUBLE_EQ(router().guided_limits(r).min_quality, 4.0);
  EXPECT_EQ(router().guided_limits(r).max_latency_ms, 300);
  r.quality_threshold = 4.7;
  r.latency_budget_ms = 100;
  EXPECT_DOUBLE_EQ(router().guided_limits(r).min_quality, 4.7);
  EXPECT_EQ(router().guided_limits(r).max_latency_ms, 100);
}

TEST(Guided, ChoosesAmongWhatIsLeft) {
  RouteRequest r = request("faq");
  r.mode = RoutingMode::kGuided;
  r.quality_preference = QualityPreference::kMax;
  r.latency_preference = LatencyPreference::kSlow;
  const auto plan = router().plan(four_vendors(), r, {});
  EXPECT_EQ(chosen(plan), "best");
  EXPECT_FALSE(plan->decision.fallback_used);
  EXPECT_THAT(plan->decision.reason, HasSubstr("Guided: quality max, latency slow, task faq"));
}

// ---- Explicit ----

TEST(Explicit, TakesTheNamedModelWhateverTheLimits) {
  RouteRequest r = explicit_request("best");
  r.quality_threshold = 5;
  r.latency_budget_ms = 50;
  r.cost_budget = NanoUsd{1};
  const auto plan = router().plan(four_vendors(), r, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->decision.model->name, "best");
  EXPECT_EQ(plan->decision.candidates_evaluated, 1);
  EXPECT_DOUBLE_EQ(plan->decision.score, 0);
  EXPECT_FALSE(plan->decision.fallback_used);
  EXPECT_EQ(plan->decision.reason, "Explicit: the caller named best");
}

TEST(Explicit, R19_AnUnknownModelIsModelNotFound) {
  const auto plan = router().plan(four_vendors(), explicit_request("gpt-9"), {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(plan.error().reason, "model_not_found");
  EXPECT_EQ(plan.error().field, "model");
}

TEST(Explicit, WithoutAModelIsInvalid) {
  EXPECT_EQ(router().plan(four_vendors(), explicit_request(""), {}).error().field, "model");
}

TEST(Explicit, FollowsAliases) {
  ModelProfile m = model("a", "x", 4, 100, 0.001);
  m.aliases = {"a-2024-08-06"};
  EXPECT_EQ(chosen(router().plan(registry_of({m}), explicit_request("a-2024-08-06"), {})), "a");
}

TEST(Explicit, TheModelMustBePermittedAndAble) {
  static const std::vector<std::string> blocked{"best"};
  RouteRequest r = explicit_request("best");
  r.filter.blocked_models = blocked;
  EXPECT_EQ(router().plan(four_vendors(), r, {}).error().reason, "model_blocked");
  r = explicit_request("best");
  r.filter.region = "eu";
  EXPECT_EQ(router().plan(four_vendors(), r, {}).error().reason, "compliance_violation");
  r = explicit_request("best");
  r.filter.required = {Capability::kChat, Capability::kImages, Capability::kTools};
  const auto plan = router().plan(four_vendors(), r, {});
  EXPECT_EQ(plan.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(plan.error().message, HasSubstr("does not support tools, images"));
}

TEST(Explicit, ListsNoAlternativesWhereNobodyIsShownThem) {
  RouteRequest r = explicit_request("small");
  r.list_alternatives = false;
  const auto plan = router().plan(four_vendors(), r, {});
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->decision.alternatives.empty());
}

TEST(Explicit, ListsAlternativesBestSavingFirst) {
  ModelProfile off = model("off", "x", 4, 1, 0);
  off.availability = Availability::kUnavailable;
  ModelProfile vectors = model("vectors", "x", 4, 1, 0);
  vectors.supports = {Capability::kEmbeddings};
  const auto models = registry_of(
      {model("dear", "a", 4.8, 800, 0.020), model("named", "b", 4.0, 200, 0.003),
       model("cheap", "c", 3.6, 100, 0.001), model("free", "d", 3.0, 100, 0), off, vectors});
  const auto plan = router().plan(models, explicit_request("named"), {});
  ASSERT_TRUE(plan);
  const auto& found = plan->decision.alternatives;
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].model->name, "free");
  EXPECT_EQ(found[0].estimated_cost.nanos, 0);
  EXPECT_DOUBLE_EQ(found[0].savings_percent, 100.0);
  EXPECT_EQ(found[1].model->name, "cheap");
  EXPECT_EQ(found[1].estimated_cost.nanos, 160'000);
  EXPECT_DOUBLE_EQ(found[1].savings_percent, 66.7);
  EXPECT_EQ(found[2].model->name, "dear");
  EXPECT_DOUBLE_EQ(found[2].savings_percent, -566.7);
  EXPECT_EQ(plan->decision.estimated_cost.nanos, 480'000);
}

TEST(Explicit, ABrokenVendorIsAnErrorUnlessTheRequestAllowsFallback) {
  const auto open = health({{"east", VendorHealth::kBreakerOpen}});
  RouteRequest r = explicit_request("mid");
  const auto refused = router().plan(four_vendors(), r, open);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_EQ(refused.error().reason, "circuit_open");
  r.allow_fallback = true;
  const auto plan = router().plan(four_vendors(), r, open);
  EXPECT_EQ(chosen(plan), "small");
  EXPECT_TRUE(plan->decision.fallback_used);
  EXPECT_THAT(plan->decision.reason, HasSubstr("mid's vendor east keeps failing"));
}

TEST(Explicit, AMissingKeyNamesTheVariable) {
  const auto no_key = health({{"east", VendorHealth::kNoKey}});
  RouteRequest r = explicit_request("mid");
  const auto refused = router().plan(four_vendors(), r, no_key);
  EXPECT_EQ(refused.error().reason, "no_models_available");
  EXPECT_THAT(refused.error().message, HasSubstr("set KEY"));
  r.caller_has_key = true;
  EXPECT_EQ(chosen(router().plan(four_vendors(), r, no_key)), "mid");
}

TEST(Explicit, AModelMarkedUnavailableIsRefused) {
  ModelProfile m = model("a", "x", 4, 100, 0.001);
  m.availability = Availability::kUnavailable;
  EXPECT_EQ(router().plan(registry_of({m}), explicit_request("a"), {}).error().reason,
            "no_models_available");
}

TEST(Explicit, AStrictBudgetHoldsForANamedModelToo) {
  RoutingConfig strict;
  strict.strict_cost_budget = true;
  RouteRequest r = explicit_request("best");
  r.cost_budget = NanoUsd{1};
  EXPECT_EQ(router(strict).plan(four_vendors(), r, {}).error().reason, "cost_budget_unsatisfiable");
}

TEST(Explicit, AnEmbedderCanBeNamedForEmbeddings) {
  ModelProfile m = model("vectors", "x", 0, 0, 0.001);
  m.supports = {Capability::kEmbeddings};
  m.max_output_tokens = 0;
  RouteRequest r = explicit_request("vectors");
  r.filter.required = {Capability::kEmbeddings};
  EXPECT_EQ(chosen(router().plan(registry_of({m, model("chat", "x", 4, 1, 1)}), r, {})), "vectors");
  r.model = "chat";
  EXPECT_THAT(chosen(router().plan(registry_of({m, model("chat", "x", 4, 1, 1)}), r, {})),
              HasSubstr("does not support embeddings"));
}

// ---- The shipped models ----

TEST(ShippedModels, EveryTaskFindsAModel) {
  for (const auto& [task, settings] : default_tasks()) {
    const auto plan = router().plan(default_registry(), request(task), {});
    ASSERT_TRUE(plan) << task;
    EXPECT_FALSE(plan->decision.fallback_used) << task << ": " << plan->decision.reason;
    EXPECT_GE(plan->decision.model->quality, settings.quality_threshold);
    EXPECT_LE(plan->decision.model->avg_latency_ms, settings.latency_budget_ms);
  }
}

TEST(ShippedModels, EuropeanResidencyStaysInEurope) {
  RouteRequest r = request("coding");
  r.filter.region = "eu";
  const auto plan = router().plan(default_registry(), r, {});
  EXPECT_EQ(chosen(plan), "codestral-latest");
  for (const auto& attempt : plan->attempts) EXPECT_EQ(attempt.model->region, "eu");
}

TEST(ShippedModels, ImagesNeverReachATextModel) {
  RouteRequest r = request("coding");
  r.filter.required.add(Capability::kImages);
  const auto plan = router().plan(default_registry(), r, {});
  for (const auto& attempt : plan->attempts) {
    EXPECT_TRUE(attempt.model->supports.has(Capability::kImages)) << attempt.model->name;
  }
}

}  // namespace
}  // namespace asahi::gateway
