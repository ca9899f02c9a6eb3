#include "gateway/analytics/compute/recommendations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/analytics/testing/events.h"

namespace asahi::gateway::analytics {
namespace {

using testing::answered;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::hit;
using ::testing::IsEmpty;
using ::testing::Not;

const Clock::Time kThen = testing::at("2026-11-22T10:00:00Z");
constexpr TiersOn kAllOn = {false, true, true, true};

/// Recommendations about these events.
std::vector<Recommendation> about(const std::vector<InferenceEvent>& events,
                                  const TiersOn& tiers = kAllOn) {
  std::map<std::string, Sums> models;
  for (const InferenceEvent& event : events) models[event.model_selected].add(event);
  std::vector<Bucket> buckets;
  for (const auto& [model, sums] : models) buckets.push_back({kThen, model, sums});
  return recommendations(testing::sums_of(events), by_key(std::move(buckets)), tiers);
}
std::vector<std::string> ids(const std::vector<Recommendation>& found) {
  std::vector<std::string> names;
  for (const Recommendation& one : found) names.push_back(one.id);
  return names;
}
std::vector<InferenceEvent> many(int count, double dollars, const std::string& model = "gpt-4o") {
  std::vector<InferenceEvent> events;
  for (int i = 0; i < count; ++i) {
    events.push_back(answered(kThen, dollars));
    events.back().model_selected = model;
  }
  return events;
}

TEST(Recommendations, NeedTenRequests) {
  EXPECT_THAT(about(many(9, 1)), IsEmpty());
  EXPECT_THAT(about({}), IsEmpty());
}

TEST(Recommendations, HighPriorityFirstAndTheLargestSavingOfThose) {
  EXPECT_THAT(ids(about(many(10, 1))), ElementsAre("expensive_model:gpt-4o", "low_cache_hit_rate",
                                                   "low_tier2_hit_rate", "one_model:gpt-4o"));
}

TEST(Recommendations, EstimatesFollowTheCosts) {
  const auto found = about(many(10, 1));
  EXPECT_EQ(found[0].estimated_savings, 4);  // 0.4 × $10
  EXPECT_EQ(found[0].category, "routing");
  EXPECT_EQ(found[1].estimated_savings, 3);  // 0.3 × $10
  EXPECT_EQ(found[1].category, "cache");
  EXPECT_EQ(found[3].category, "model");
  EXPECT_EQ(to_string(found[3].priority), "low");
}

TEST(Recommendations, NothingToSayAboutAWellRunSystem) {
  std::vector<InferenceEvent> events;
  for (int i = 0; i < 100; ++i) {
    events.push_back(i % 2 == 0 ? hit(kThen, i % 3 == 0 ? 1 : 2) : answered(kThen, 0.001));
    // The same tokens every time, so that nothing varies but the model.
    events.back().input_tokens = 100;
    events.back().output_tokens = 50;
    events.back().model_selected = i % 4 < 2 ? "gpt-4o" : "claude";
  }
  EXPECT_THAT(ids(about(events)), IsEmpty());
}

TEST(Recommendations, AnExpensiveModelNeedsTraffic) {
  auto events = many(70, 0.001, "cheap");
  for (const InferenceEvent& event : many(30, 0.5, "dear")) events.push_back(event);
  EXPECT_THAT(ids(about(events)), Not(Contains("expensive_model:dear"))) << "30 % is not more";
  for (const InferenceEvent& event : many(10, 0.5, "dear")) events.push_back(event);
  EXPECT_THAT(ids(about(events)), Contains("expensive_model:dear"));
}

TEST(Recommendations, TokensThatVaryAreWorthALook) {
  auto events = many(20, 0.001);
  events[0].input_tokens = 10'000;
  EXPECT_THAT(ids(about(events)), Contains("token_variation"));
  EXPECT_THAT(ids(about(many(20, 0.001))), Not(Contains("token_variation")));
}

TEST(Recommendations, ATierThatIsOffIsToBeSwitchedOn) {
  for (const Recommendation& one : about(many(20, 0.001), {false, true, false, false})) {
    if (one.id != "low_tier2_hit_rate") continue;
    EXPECT_EQ(one.title, "Switch the semantic cache on");
    return;
  }
  ADD_FAILURE() << "nothing was said about tier 2";
}

}  // namespace
}  // namespace asahi::gateway::analytics
