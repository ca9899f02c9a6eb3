#include "memory/events/hub.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

struct HubTest : ::testing::Test {
  std::unique_ptr<Hub::Subscriber> join(const std::string& tenant, const std::string& channel) {
    auto made = hub.join(Reach::whole(tenant), [this] { ++woken; });
    EXPECT_TRUE(made->subscribe(channel).value());
    return made;
  }
  ManualClock clock;
  Hub hub{clock, {.queue = 3, .recent = 2, .recent_channels = 2}};
  int woken = 0;
};

TEST_F(HubTest, TellsThoseOfTheTenantWhoListen) {
  const auto listener = join("acme", "metrics");
  const auto elsewhere = join("acme", "anomalies");
  const auto stranger = join("other", "metrics");
  hub.publish("acme", "metrics", "aggregation.completed", {{"record_count", 3}});
  const auto events = listener->take();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].name, "aggregation.completed");
  EXPECT_EQ(*events[0].data, R"({"record_count":3})");
  EXPECT_TRUE(elsewhere->take().empty());
  EXPECT_TRUE(stranger->take().empty());
  EXPECT_EQ(woken, 1);
  EXPECT_TRUE(hub.is_heard("acme", "metrics"));
  EXPECT_FALSE(hub.is_heard("other", "insights"));
}

TEST_F(HubTest, KnowsWhoseAreConnected) {
  const auto one = join("acme", "metrics"), other = join("acme", "insights");
  const auto stranger = join("beta", "metrics");
  EXPECT_EQ(hub.tenants(10), (std::vector<std::string>{"acme", "beta"}));
  EXPECT_EQ(hub.tenants(1), (std::vector<std::string>{"acme"}));
}

TEST_F(HubTest, LosesTheOldestOfWhoDoesNotTakeThemAndSaysHowMany) {
  const auto slow = join("acme", "metrics");
  for (int i = 0; i < 5; ++i) hub.publish("acme", "metrics", "x", {{"n", i}});
  EXPECT_EQ(woken, 1) << "one signal for all that wait";
  const auto events = slow->take();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(*events[0].data, R"({"n":2})");
  EXPECT_EQ(slow->take_lost(), 2U);
  EXPECT_EQ(slow->take_lost(), 0U);
}

TEST_F(HubTest, ForgetsWhoLeaves) {
  {
    const auto gone = join("acme", "metrics");
    EXPECT_EQ(hub.subscribers(), 1U);
  }
  EXPECT_EQ(hub.subscribers(), 0U);
  hub.publish("acme", "metrics", "x", {});
  EXPECT_EQ(woken, 0);
}

TEST_F(HubTest, RemembersTheLastEventsOfAChannel) {
  for (int i = 0; i < 3; ++i) {
    clock.advance(std::chrono::seconds(1));
    hub.publish("acme", "patterns:a", "pattern.detected", {{"n", i}});
  }
  const auto kept = hub.recent(Reach::whole("acme"), "patterns:", 10);
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(*kept[0].data, R"({"n":2})") << "newest first";
  EXPECT_TRUE(hub.recent(Reach::whole("other"), "patterns:", 10).empty());
  hub.publish("acme", "patterns:b", "pattern.detected", {});
  hub.publish("acme", "patterns:c", "pattern.detected", {});
  EXPECT_TRUE(hub.recent(Reach::whole("acme"), "patterns:a", 10).empty())
      << "the oldest channel gave way";
}

TEST_F(HubTest, KnowsItsChannels) {
  const auto listener = join("acme", "patterns:errors");
  EXPECT_FALSE(*listener->subscribe("patterns:errors"));
  for (const char* bad : {"", "patterns", "patterns:", "patterns:a b", "secrets", "Metrics"})
    EXPECT_FALSE(listener->subscribe(bad)) << bad;
  EXPECT_TRUE(listener->unsubscribe("patterns:errors"));
  EXPECT_FALSE(listener->unsubscribe("patterns:errors"));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(listener->subscribe("patterns:c" + std::to_string(i)));
  }
  EXPECT_EQ(listener->subscribe("metrics").error().code, Errc::kTooLarge);
}

TEST_F(HubTest, WhoSeesSomeSystemsHearsOfThoseOnly) {
  const auto all = join("acme", "metrics");
  const Reach some("acme", std::vector<std::string>{"a", "c"});
  auto bounded = hub.join(some, [] {});
  ASSERT_TRUE(bounded->subscribe("metrics"));
  hub.publish("acme", "metrics", "x", {{"n", 2}}, {"a", "b"});
  hub.publish("acme", "metrics", "x", {{"n", 3}});
  hub.publish("acme", "metrics", "x", {{"n", 1}}, {"a"});
  const auto heard = bounded->take();
  ASSERT_EQ(heard.size(), 1U) << "not of b, and of nothing that is about all";
  EXPECT_EQ(*heard[0].data, R"({"n":1})");
  EXPECT_EQ(all->take().size(), 3U);
  EXPECT_EQ(hub.recent(some, "metrics", 10).size(), 1U);
}

}  // namespace
}  // namespace asahi::memory
