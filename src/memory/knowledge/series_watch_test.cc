#include "memory/knowledge/series_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/knowledge_fixture.h"

namespace asahi::memory::knowledge {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

series::Time at(int hour) { return series::Time{std::chrono::hours(480'000 + hour)}; }

std::vector<std::string> kinds(const Findings& found) {
  std::vector<std::string> out;
  for (const Pattern& each : found.patterns) out.push_back(each.category + ":" + each.type);
  return out;
}

TEST(SeriesFindings, TellATrendWithItsStrengthAsConfidence) {
  std::vector<series::Point> points;
  for (int i = 0; i < 48; ++i) points.push_back({at(i), 10.0 + i, "desk"});
  const Findings found = findings("load", points);
  ASSERT_THAT(kinds(found), Contains("trend:increasing"));
  EXPECT_NEAR(found.patterns[0].confidence, 1, 1e-9);
  EXPECT_THAT(found.patterns[0].description, HasSubstr("load is increasing: +470 %"));
  ASSERT_FALSE(found.insights.empty());
  EXPECT_EQ(found.insights[0].type, "trend");
}

TEST(SeriesFindings, TellAnOutlierByChebyshev) {
  std::vector<series::Point> points;
  for (int i = 0; i < 100; ++i) points.push_back({at(i), i % 2 == 0 ? 1.0 : -1.0, "desk"});
  points[70].value = 20;
  const Findings found = findings("load", points);
  const auto outlier = std::ranges::find(found.patterns, "anomaly", &Pattern::category);
  ASSERT_NE(outlier, found.patterns.end());
  const double z = outlier->metadata.at("z_score").as_double();
  EXPECT_GT(z, 3);
  EXPECT_DOUBLE_EQ(outlier->confidence, 1 - 1 / (z * z));
  EXPECT_EQ(outlier->metadata.at("at").as_string(), format_rfc3339(at(70)));
}

TEST(SeriesFindings, TellAStepToANewLevel) {
  std::vector<series::Point> points;
  for (int i = 0; i < 60; ++i) points.push_back({at(i), i < 30 ? 5.0 : 50.0, "desk"});
  const Findings found = findings("load", points);
  EXPECT_THAT(kinds(found), Contains("changepoint:abrupt_up"));
  EXPECT_TRUE(std::ranges::any_of(found.insights,
                                  [](const Insight& each) { return each.type == "level_shift"; }));
}

TEST(SeriesFindings, TellSystemsThatMoveTogether) {
  std::vector<series::Point> points;
  for (int i = 0; i < 40; ++i) {
    points.push_back({at(i), std::sin(i * 0.7), "desk"});
    points.push_back({at(i), 3 * std::sin(i * 0.7) + 1, "shop"});
  }
  EXPECT_THAT(kinds(findings("load", points)), Contains("correlation:moves_together"));
}

TEST(SeriesFindings, SayNothingOfWhatIsLevelOrTooShort) {
  std::vector<series::Point> points;
  EXPECT_THAT(kinds(findings("load", points)), IsEmpty());
  for (int i = 0; i < 50; ++i) points.push_back({at(i), 7, "desk"});
  EXPECT_THAT(kinds(findings("load", points)), IsEmpty());
  points.resize(3);
  EXPECT_THAT(kinds(findings("load", points)), IsEmpty());
}

class SeriesWatchContract : public testing::KnowledgeContract {
 protected:
  void SetUp() override {
    KnowledgeContract::SetUp();
    if (IsSkipped()) return;
    std::vector<SeriesStore::NewPoint> points;
    for (int i = 0; i < 48; ++i) {
      points.push_back(
          {"load", {clock_.now() - std::chrono::hours(48 - i), 10.0 + i, "desk", "{}"}});
    }
    ASSERT_TRUE(series_->add("acme", points));
    ASSERT_TRUE(series_->add("globex", points));
  }
  Hub hub_{clock_};
};

TEST_P(SeriesWatchContract, TellsWhoListensAndEachFindingOnce) {
  SeriesWatch watch(*series_, hub_, clock_, {});
  EXPECT_EQ(watch.look().value(), 0U) << "nobody is connected";
  const auto listener = hub_.join(Reach::whole("acme"), [] {});
  ASSERT_TRUE(listener->subscribe("patterns:trend"));
  ASSERT_TRUE(listener->subscribe("insights"));
  EXPECT_GE(watch.look().value(), 2U);
  const auto events = listener->take();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].channel, "patterns:trend");
  EXPECT_EQ(events[0].name, "pattern.detected");
  const json::object pattern = parse_json(*events[0].data).value().as_object();
  for (const char* field :
       {"pattern_id", "pattern_type", "description", "confidence", "timestamp", "metric_name"})
    EXPECT_TRUE(pattern.contains(field)) << field;
  EXPECT_EQ(pattern.at("pattern_type"), "increasing");
  EXPECT_EQ(events[1].name, "insight.generated");
  const json::object insight = parse_json(*events[1].data).value().as_object();
  for (const char* field : {"insight_id", "insight_type", "title", "description", "data"})
    EXPECT_TRUE(insight.contains(field)) << field;

  EXPECT_EQ(watch.look().value(), 0U) << "it is known by now";
  EXPECT_TRUE(listener->take().empty());
  EXPECT_TRUE(hub_.recent(Reach::whole("globex"), "insights", 10).empty())
      << "nothing crosses tenants";
  clock_.advance(std::chrono::hours(24));
  ASSERT_TRUE(
      series_->add("acme", {{"load", {clock_.now() - std::chrono::hours(1), 90, "desk", "{}"}}}));
  EXPECT_GE(watch.look().value(), 1U) << "a trend that lasts is told once a day";
}

INSTANTIATE_TEST_SUITE_P(Engines, SeriesWatchContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::knowledge
