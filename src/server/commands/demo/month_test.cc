#include "server/commands/demo/month.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace asahi::server::demo {
namespace {

using gateway::InferenceEvent;

const Clock::Time kEnd = *parse_rfc3339("2026-11-22T07:00:00Z");
constexpr gateway::BaselineRates kBaseline{TokenPrice{10'000'000}, TokenPrice{30'000'000}};

std::vector<InferenceEvent> month(MonthOptions options,
                                  std::shared_ptr<const gateway::Registry> registry) {
  options.org = "default";
  options.end = kEnd;
  std::vector<InferenceEvent> events;
  each_event_of_month(options, *registry, kBaseline,
                      [&](const InferenceEvent& event) { events.push_back(event); });
  return events;
}
const std::vector<InferenceEvent>& usual() {
  static const std::vector<InferenceEvent> events =
      month({.events = 30'000}, gateway::default_registry());
  return events;
}

struct Part {
  double cost = 0, requests = 0, hits = 0, errors = 0;
};
Part between(Clock::Time from, Clock::Time to) {
  Part part;
  for (const InferenceEvent& event : usual()) {
    if (event.timestamp < from || event.timestamp >= to) continue;
    part.cost += event.cost.dollars();
    ++part.requests;
    part.hits += event.cache_hit;
    part.errors += !event.error_code.empty();
  }
  return part;
}
constexpr auto day = std::chrono::days(1);
constexpr auto hour = std::chrono::hours(1);

TEST(DemoMonth, IsTheSameForTheSameSeed) {
  const auto line = [](const InferenceEvent& event) {
    std::string out;
    append_json(out, event);
    return out;
  };
  const auto models = gateway::default_registry();
  const auto once = month({.events = 500}, models), again = month({.events = 500}, models),
             other = month({.events = 500, .seed = 2}, models);
  ASSERT_EQ(once.size(), again.size());
  for (std::size_t i = 0; i < once.size(); ++i) EXPECT_EQ(line(once[i]), line(again[i]));
  EXPECT_NE(line(once.front()), line(other.front()));
}

TEST(DemoMonth, HoldsAsManyEventsAsAskedForInOrder) {
  EXPECT_NEAR(static_cast<double>(usual().size()), 30'000, 60);
  EXPECT_TRUE(std::ranges::is_sorted(usual(), {}, &InferenceEvent::timestamp));
  EXPECT_GE(usual().front().timestamp, kEnd - 30 * day);
  EXPECT_LT(usual().back().timestamp, kEnd);
  std::set<std::string> ids;
  for (const InferenceEvent& event : usual()) ids.insert(event.event_id);
  EXPECT_EQ(ids.size(), usual().size());
}

TEST(DemoMonth, ShowsEveryTierManyModelsTasksUsersAndErrors) {
  std::map<int, int> tiers;
  std::set<std::string> models, tasks, users, keys, errors, modes;
  for (const InferenceEvent& event : usual()) {
    ++tiers[event.cache_tier];
    models.insert(event.model_selected);
    tasks.insert(event.task_type);
    users.insert(event.user_id);
    keys.insert(event.api_key_prefix);
    modes.insert(event.routing_mode);
    if (!event.error_code.empty()) errors.insert(event.error_code);
  }
  EXPECT_EQ(tiers.size(), 4U);
  EXPECT_GE(models.size(), 12U);
  EXPECT_EQ(tasks.size(), 9U);
  EXPECT_GE(users.size(), 50U);
  EXPECT_EQ(keys.size(), 5U);
  EXPECT_EQ(modes.size(), 3U);
  EXPECT_THAT(errors, testing::IsSupersetOf({"timeout", "rate_limited", "upstream"}));
}

TEST(DemoMonth, CostsWhatThePricesOfTheModelsSay) {
  const auto models = gateway::default_registry();
  for (const InferenceEvent& event : usual()) {
    if (event.cache_hit || !event.error_code.empty()) {
      EXPECT_EQ(event.cost.nanos, 0);
      continue;
    }
    const auto cost = gateway::cost_of({.input = event.input_tokens, .output = event.output_tokens},
                                       *models->get(event.model_selected));
    EXPECT_EQ((event.cost + event.batching_savings).nanos, cost.nanos);
  }
}

TEST(DemoMonth, GrowsAndWarmsUp) {
  const Part first = between(kEnd - 28 * day, kEnd - 21 * day),
             last = between(kEnd - 7 * day, kEnd);
  EXPECT_GT(last.requests, 1.3 * first.requests);
  EXPECT_GT(last.hits / last.requests, 1.2 * first.hits / first.requests);
}

TEST(DemoMonth, EndsWithAnHourThatCostsAMultiple) {
  const Part now = between(kEnd - hour, kEnd), before = between(kEnd - hour - day, kEnd - hour);
  EXPECT_GE(now.requests, 30);
  EXPECT_GT(now.cost / now.requests, 3 * before.cost / before.requests);
}

TEST(DemoMonth, HasAnOutage) {
  const Part outage = between(kEnd - 11 * day, kEnd - 11 * day + 2 * hour);
  ASSERT_GT(outage.requests, 5);
  EXPECT_GT(outage.errors / outage.requests, 0.04);
}

TEST(DemoMonth, UsesOnlyModelsThatThereAre) {
  gateway::RegistryBuilder builder;
  gateway::ModelProfile only = *gateway::default_registry()->get("gpt-4o-mini");
  only.aliases.clear();
  ASSERT_TRUE(builder.add(only));
  for (const InferenceEvent& event : month({.events = 500}, builder.build()))
    EXPECT_EQ(event.model_selected, "gpt-4o-mini");
}

}  // namespace
}  // namespace asahi::server::demo
