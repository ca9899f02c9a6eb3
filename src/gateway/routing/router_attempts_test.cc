// What the plan tries after the chosen model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "gateway/routing/router.h"
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
using testing_models::model;
using testing_models::registry_of;
using testing_models::request;

RoutingConfig without_last_resort() {
  RoutingConfig config;
  config.fallback_model = "";
  return config;
}

Router router(RoutingConfig config = without_last_resort()) {
  return Router(std::move(config), default_tasks());
}

RoutingConfig with_chain(FallbackChain chain) {
  RoutingConfig config = without_last_resort();
  config.fallback_chains["test"] = std::move(chain);
  return config;
}

ChainSlot slot(std::string name) { return {.provider = "", .model = std::move(name)}; }

TEST(Attempts, NextBestOfOtherVendorsThenTheHighestQuality) {
  const auto plan = router().plan(four_vendors(), request(), {});
  ASSERT_TRUE(plan);
  EXPECT_THAT(listing(*plan), ElementsAre("small chosen", "mid other_vendor", "big other_vendor",
                                          "best highest_quality"));
}

TEST(Attempts, ASecondModelOfTheSameVendorIsNoNextCandidate) {
  const auto models =
      registry_of({model("a1", "a", 4.0, 100, 0.001), model("a2", "a", 4.0, 100, 0.0011),
                   model("b", "b", 3.6, 100, 0.01)});
  EXPECT_THAT(listing(*router().plan(models, request(), {})),
              ElementsAre("a1 chosen", "b other_vendor", "a2 highest_quality"));
}

TEST(Attempts, TheHighestQualityComesFromAVendorNotTriedYetIfItCan) {
  const auto models =
      registry_of({model("a1", "a", 4.0, 100, 0.001), model("a2", "a", 4.9, 900, 0.1),
                   model("b", "b", 4.5, 900, 0.1)});
  EXPECT_THAT(listing(*router().plan(models, request(), {})),
              ElementsAre("a1 chosen", "b highest_quality"));
}

TEST(Attempts, AreBoundedByMaxHopsAndKeepAPlaceForTheHighestQuality) {
  const struct {
    int hops;
    std::vector<std::string> expected;
  } rows[] = {
      {0, {"small chosen"}},
      {1, {"small chosen", "mid other_vendor"}},
      {2, {"small chosen", "mid other_vendor", "best highest_quality"}},
      {3, {"small chosen", "mid other_vendor", "big other_vendor", "best highest_quality"}},
      {9, {"small chosen", "mid other_vendor", "big other_vendor", "best highest_quality"}},
  };
  for (const auto& row : rows) {
    RoutingConfig config = without_last_resort();
    config.max_hops = row.hops;
    EXPECT_EQ(listing(*router(config).plan(four_vendors(), request(), {})), row.expected)
        << row.hops;
  }
}

TEST(Attempts, NoModelIsTriedTwice) {
  for (const char* task : {"general", "coding", "legal"}) {
    RoutingConfig config;
    config.max_hops = 10;
    const auto plan = Router(config, default_tasks()).plan(default_registry(), request(task), {});
    std::set<std::string> seen;
    for (const auto& attempt : plan->attempts) EXPECT_TRUE(seen.insert(attempt.model->name).second);
  }
}

TEST(Attempts, TheConfiguredFallbackModelIsTheLastResort) {
  RoutingConfig config;
  config.fallback_model = "a2";
  const auto models =
      registry_of({model("a1", "a", 4.0, 100, 0.001), model("a2", "a", 3.0, 900, 0.1),
                   model("b", "b", 4.5, 900, 0.1)});
  EXPECT_THAT(listing(*router(config).plan(models, request(), {})),
              ElementsAre("a1 chosen", "b highest_quality", "a2 last_resort"));
}

TEST(Attempts, KeepToPolicyHealthAndContext) {
  static const std::vector<std::string> blocked{"mid"};
  RouteRequest r = request();
  r.filter.blocked_models = blocked;
  EXPECT_THAT(
      listing(*router().plan(four_vendors(), r, health({{"south", VendorHealth::kBreakerOpen}}))),
      ElementsAre("small chosen", "best highest_quality"));
  ModelProfile tiny = model("tiny", "x", 5, 900, 0.1);
  tiny.max_input_tokens = 200;
  EXPECT_THAT(
      listing(*router().plan(registry_of({model("a", "y", 4, 100, 0.001), tiny}), request(), {})),
      ElementsAre("a chosen"));
}

TEST(Attempts, AStrictCostBudgetHoldsForHopsToo) {
  RoutingConfig config = without_last_resort();
  config.strict_cost_budget = true;
  RouteRequest r = request();
  r.cost_budget = NanoUsd{400'000};  // small 144, mid 320, big 1760, best 3200 micro-dollars
  EXPECT_THAT(listing(*router(config).plan(four_vendors(), r, {})),
              ElementsAre("small chosen", "mid other_vendor"));
}

TEST(Attempts, AfterAFallbackTheRestFollows) {
  RouteRequest r = request();
  r.quality_threshold = 4.9;
  EXPECT_THAT(listing(*router().plan(four_vendors(), r, {})),
              ElementsAre("best chosen", "big highest_quality"));
}

TEST(Attempts, AnExplicitModelStandsAloneUnlessFallbackIsAllowed) {
  RouteRequest r = explicit_request("mid");
  EXPECT_THAT(listing(*router().plan(four_vendors(), r, {})), ElementsAre("mid chosen"));
  r.allow_fallback = true;
  EXPECT_THAT(
      listing(*router().plan(four_vendors(), r, {})),
      ElementsAre("mid chosen", "small other_vendor", "big other_vendor", "best highest_quality"));
}

// ---- Fallback chains ----

TEST(FallbackChains, TheRequestsModelsAreTriedInOrder) {
  static const std::vector<std::string> models{"best", "small"};
  RouteRequest r = explicit_request("mid");
  r.fallback_models = models;
  const auto plan = router().plan(four_vendors(), r, {});
  EXPECT_THAT(listing(*plan), ElementsAre("mid chosen", "best chain", "small chain"));
  EXPECT_FALSE(plan->attempts[0].triggers.has(Trigger::kTimeout));
  EXPECT_TRUE(plan->attempts[1].triggers.has(Trigger::kTimeout));
}

TEST(FallbackChains, TheRequestMayNameAtMostThreeKnownModels) {
  static const std::vector<std::string> four{"best", "small", "mid", "big"};
  static const std::vector<std::string> unknown{"best", "gpt-9"};
  RouteRequest r = request();
  r.fallback_models = four;
  EXPECT_EQ(router().plan(four_vendors(), r, {}).error().field, "fallback_models");
  r.fallback_models = unknown;
  const auto plan = router().plan(four_vendors(), r, {});
  EXPECT_EQ(plan.error().reason, "model_not_found");
  EXPECT_EQ(plan.error().field, "fallback_models[1]");
}

TEST(FallbackChains, AConfiguredChainReplacesAutomaticHops) {
  const Router r =
      router(with_chain({.for_models = {"small"}, .slots = {slot("big"), slot("mid")}}));
  EXPECT_THAT(listing(*r.plan(four_vendors(), request(), {})),
              ElementsAre("small chosen", "big chain", "mid chain"));
  // It is not for "mid".
  EXPECT_THAT(listing(*r.plan(four_vendors(), request("coding"), {})),
              ElementsAre("mid chosen", "big other_vendor", "best highest_quality"));
}

TEST(FallbackChains, AChainForAllModelsHelpsWhereNoneIsNamed) {
  RoutingConfig config = with_chain({.for_models = {}, .slots = {slot("best")}});
  config.fallback_chains["a named one"] = {.for_models = {"mid"}, .slots = {slot("big")}};
  const Router r = router(config);
  EXPECT_THAT(listing(*r.plan(four_vendors(), request(), {})),
              ElementsAre("small chosen", "best chain"));
  EXPECT_THAT(listing(*r.plan(four_vendors(), request("coding"), {})),
              ElementsAre("mid chosen", "big chain"));
}

TEST(FallbackChains, SkipSlotsThatAreTooSlowTooDearOrDown) {
  ChainSlot dear = slot("best");
  dear.max_cost_per_1k_tokens = 0.019;
  ChainSlot late = slot("big");
  late.max_latency_ms = 249;
  const Router r = router(with_chain({.for_models = {}, .slots = {dear, late, slot("mid")}}));
  EXPECT_THAT(listing(*r.plan(four_vendors(), request(), {})),
              ElementsAre("small chosen", "mid chain"));
  // Nothing usable left: automatic hops again.
  EXPECT_THAT(
      listing(*r.plan(four_vendors(), request(), health({{"east", VendorHealth::kBreakerOpen}}))),
      ElementsAre("small chosen", "big other_vendor", "best highest_quality"));
}

TEST(FallbackChains, CarryTheirTriggers) {
  const Router r = router(
      with_chain({.for_models = {}, .triggers = {"timeout", "no_key"}, .slots = {slot("best")}}));
  const auto plan = r.plan(four_vendors(), request(), {});
  EXPECT_EQ(plan->attempts[1].triggers, (Triggers{Trigger::kTimeout, Trigger::kNoKey}));
}

TEST(FallbackChains, DefaultTriggersAreRateLimitServerErrorTimeout) {
  const Router r = router(with_chain({.for_models = {}, .slots = {slot("best")}}));
  const auto plan = r.plan(four_vendors(), request(), {});
  EXPECT_EQ(plan->attempts[1].triggers,
            (Triggers{Trigger::kRateLimit, Trigger::kServerError, Trigger::kTimeout}));
}

TEST(FallbackChains, StepInForANamedModelWhoseVendorIsDown) {
  const Router r =
      router(with_chain({.for_models = {"mid"}, .slots = {slot("best"), slot("big")}}));
  const auto plan = r.plan(four_vendors(), explicit_request("mid"),
                           health({{"east", VendorHealth::kBreakerOpen}}));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->decision.model->name, "best");
  EXPECT_TRUE(plan->decision.fallback_used);
  EXPECT_THAT(plan->decision.reason, HasSubstr("best is next in the fallback chain"));
}

TEST(FallbackChains, AMissingKeyStartsAChainOnlyWithThatTrigger) {
  const auto no_key = health({{"east", VendorHealth::kNoKey}});
  FallbackChain chain{.for_models = {"mid"}, .slots = {slot("best")}};
  EXPECT_EQ(router(with_chain(chain))
                .plan(four_vendors(), explicit_request("mid"), no_key)
                .error()
                .reason,
            "no_models_available");
  chain.triggers = {"no_key"};
  EXPECT_THAT(
      listing(*router(with_chain(chain)).plan(four_vendors(), explicit_request("mid"), no_key)),
      ElementsAre("best chosen"));
}

TEST(FallbackChains, ACostCeilingTriggerMovesOnToASlotWithinTheBudget) {
  RouteRequest r = explicit_request("big");
  r.cost_budget = NanoUsd{400'000};
  FallbackChain chain{.for_models = {"big"}, .slots = {slot("best"), slot("mid")}};
  EXPECT_EQ(router(with_chain(chain)).plan(four_vendors(), r, {})->decision.model->name, "big");
  chain.triggers = {"cost_ceiling"};
  EXPECT_EQ(router(with_chain(chain)).plan(four_vendors(), r, {})->decision.model->name, "mid");
  chain.slots = {slot("best")};
  EXPECT_EQ(router(with_chain(chain)).plan(four_vendors(), r, {}).error().reason,
            "cost_budget_unsatisfiable");
}

TEST(Triggers, FailuresOfVendorCalls) {
  const auto error = [](Errc code, std::string reason = "") {
    Error e;
    e.code = code;
    e.reason = std::move(reason);
    return e;
  };
  EXPECT_EQ(trigger_of(error(Errc::kRateLimited)), Trigger::kRateLimit);
  EXPECT_EQ(trigger_of(error(Errc::kTimeout)), Trigger::kTimeout);
  EXPECT_EQ(trigger_of(error(Errc::kUnavailable)), Trigger::kServerError);
  EXPECT_EQ(trigger_of(error(Errc::kUpstream, "stream_cut")), Trigger::kServerError);
  EXPECT_EQ(trigger_of(error(Errc::kUpstream, "vendor_auth")), Trigger::kNoKey);
  for (const Errc code : {Errc::kInvalidArgument, Errc::kCancelled, Errc::kTooLarge,
                          Errc::kInternal, Errc::kForbidden}) {
    EXPECT_EQ(trigger_of(error(code)), std::nullopt);
  }
}

TEST(CheckModels, NamesWhatTheRegistryLacks) {
  RoutingConfig config;
  config.fallback_model = "gone";
  FallbackChain chain{.for_models = {"small", "nobody"}, .slots = {slot("mid"), slot("lost"), {}}};
  chain.slots[0].provider = "west";
  config.fallback_chains["c"] = chain;
  std::vector<std::string> found;
  for (const auto& fault : check_models(config, *four_vendors())) {
    found.push_back(fault.path + "=" + fault.value);
  }
  EXPECT_THAT(found, ElementsAre("routing.fallback_model=gone",
                                 "routing.fallback_chains.c.for_models=nobody",
                                 "routing.fallback_chains.c.slot_1.provider=west",
                                 "routing.fallback_chains.c.slot_2.model=lost"));
}

TEST(CheckModels, TheDefaultsFitTheShippedModels) {
  EXPECT_THAT(check_models({}, *default_registry()), IsEmpty());
}

}  // namespace
}  // namespace asahi::gateway
