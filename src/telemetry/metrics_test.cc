#include "telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "base/utf8.h"

namespace asahi::telemetry {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, GivesTheSameInstrumentForTheSameNameAndLabelsInAnyOrder) {
  Registry registry;
  Counter& first = registry.counter("hits_total", "Hits.", {{"tier", "1"}, {"model", "m"}});
  Counter& same = registry.counter("hits_total", "Hits.", {{"model", "m"}, {"tier", "1"}});
  Counter& other = registry.counter("hits_total", "Hits.", {{"model", "m"}, {"tier", "2"}});
  EXPECT_EQ(&first, &same);
  EXPECT_NE(&first, &other);
}

TEST(Metrics, CountersOnlyRise) {
  Registry registry;
  Counter& counter = registry.counter("cost_total", "Cost.");
  counter.add();
  counter.add(0.25);
  counter.add(-5);
  counter.add(NAN);
  counter.add(INFINITY);
  EXPECT_DOUBLE_EQ(counter.value(), 1.25);
}

TEST(Metrics, KeepsEveryAddOfManyThreads) {
  Registry registry;
  Counter& whole = registry.counter("whole_total", "Whole.");
  Counter& parts = registry.counter("parts_total", "Parts.");
  Gauge& gauge = registry.gauge("active", "Active.");
  Histogram& histogram = registry.histogram("seconds", "Seconds.", {1});
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5'000; ++i) {
          whole.add();
          parts.add(0.5);
          gauge.add(i % 2 == 0 ? 1 : -1);
          histogram.observe(0.5);
          if (i % 1'000 == 0) static_cast<void>(registry.expose());
        }
      });
    }
  }
  EXPECT_EQ(whole.value(), 20'000);
  EXPECT_EQ(parts.value(), 10'000);
  EXPECT_EQ(gauge.value(), 0);
  EXPECT_THAT(registry.expose(), HasSubstr("seconds_count 20000\nseconds_sum 10000\n"));
}

TEST(Metrics, ExposesTextOfVersion004) {
  Registry registry;
  registry.gauge("asahi_active", "Requests now.").set(3);
  registry
      .counter("asahi_requests_total", "Requests.", {{"status", "200"}, {"model", "a\"b\\c\nd"}})
      .add(2);
  Histogram& latency =
      registry.histogram("asahi_seconds", "Latency.", {0.1, 1}, {{"route", "/infer"}});
  latency.observe(0.1);  // a bound belongs to its own bucket
  latency.observe(0.5);
  latency.observe(7);
  latency.observe(NAN);
  EXPECT_EQ(registry.expose(),
            "# HELP asahi_active Requests now.\n"
            "# TYPE asahi_active gauge\n"
            "asahi_active 3\n"
            "# HELP asahi_requests_total Requests.\n"
            "# TYPE asahi_requests_total counter\n"
            "asahi_requests_total{model=\"a\\\"b\\\\c\\nd\",status=\"200\"} 2\n"
            "# HELP asahi_seconds Latency.\n"
            "# TYPE asahi_seconds histogram\n"
            "asahi_seconds_count{route=\"/infer\"} 3\n"
            "asahi_seconds_sum{route=\"/infer\"} 7.6\n"
            "asahi_seconds_bucket{route=\"/infer\",le=\"0.1\"} 1\n"
            "asahi_seconds_bucket{route=\"/infer\",le=\"1\"} 2\n"
            "asahi_seconds_bucket{route=\"/infer\",le=\"+Inf\"} 3\n");
}

TEST(Metrics, FoldsLabelSetsBeyondTheCapIntoOther) {
  Registry registry(3);
  for (int i = 0; i < 3; ++i)
    registry.counter("by_org_total", "By org.", {{"org", std::to_string(i)}}).add();
  Counter& fourth = registry.counter("by_org_total", "By org.", {{"org", "3"}});
  Counter& fifth = registry.counter("by_org_total", "By org.", {{"org", "4"}});
  EXPECT_EQ(&fourth, &fifth);
  fourth.add(5);
  EXPECT_EQ(registry.counter("by_org_total", "By org.", {{"org", "1"}}).value(), 1);
  EXPECT_EQ(&registry.counter("by_org_total", "By org.", {{"org", "other"}}), &fourth);
  EXPECT_THAT(registry.expose(), HasSubstr("by_org_total{org=\"other\"} 5\n"));
  EXPECT_THAT(registry.expose(), Not(HasSubstr("org=\"3\"")));
  // Other families have room of their own.
  EXPECT_NE(&registry.gauge("depth", "Depth.", {{"org", "3"}}),
            &registry.gauge("depth", "Depth.", {{"org", "4"}}));
}

TEST(Metrics, KeepsHostileLabelValuesFromSpoilingThePage) {
  Registry registry;
  registry.counter("x_total", "X.", {{"model", "bad\xff" + std::string(10'000, 'y')}}).add();
  const std::string page = registry.expose();
  EXPECT_TRUE(is_utf8(page));
  EXPECT_LT(page.size(), 400u);
}

TEST(Metrics, HandsOutItsValuesForExporters) {
  Registry registry;
  registry.gauge("b_active", "Now.").set(3);
  registry.counter("a_total", "Sum.", {{"tier", "1"}, {"model", "m"}}).add(2.5);
  Histogram& seconds = registry.histogram("c_seconds", "Time.", {0.1, 1});
  seconds.observe(0.05);
  seconds.observe(0.5);
  seconds.observe(5);
  const std::vector<FamilySnapshot> all = registry.collect();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "a_total");
  EXPECT_EQ(all[0].type, MetricType::kCounter);
  EXPECT_EQ(all[0].samples[0].labels, (Labels{{"model", "m"}, {"tier", "1"}}));
  EXPECT_EQ(all[0].samples[0].value, 2.5);
  EXPECT_EQ(all[1].type, MetricType::kGauge);
  EXPECT_EQ(all[1].samples[0].value, 3);
  EXPECT_EQ(all[2].type, MetricType::kHistogram);
  EXPECT_EQ(all[2].bounds, (std::vector<double>{0.1, 1}));
  EXPECT_EQ(all[2].samples[0].buckets, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(all[2].samples[0].count(), 3u);
  EXPECT_DOUBLE_EQ(all[2].samples[0].value, 5.55);
}

TEST(Metrics, RefusesBugsLoudly) {
  Registry registry;
  registry.counter("a_total", "A.");
  registry.histogram("h", "H.", {1, 2});
  EXPECT_THROW(registry.gauge("a_total", "A."), std::logic_error);
  EXPECT_THROW(registry.counter("not a name", "A."), std::logic_error);
  EXPECT_THROW(registry.counter("b_total", "B.", {{"bad-label", "x"}}), std::logic_error);
  EXPECT_THROW(registry.histogram("h", "H.", {1, 3}), std::logic_error);
  EXPECT_THROW(registry.histogram("i", "I.", {2, 1}), std::logic_error);
  EXPECT_THROW(registry.histogram("j", "J.", {}), std::logic_error);
}

}  // namespace
}  // namespace asahi::telemetry
