#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/knowledge_fixture.h"

namespace asahi::memory::knowledge {
namespace {

using series::Resolution;
using series::Time;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

class SeriesStoreContract : public testing::KnowledgeContract {
 protected:
  SeriesStore::NewPoint point(std::string metric, double value, std::chrono::nanoseconds ago,
                              std::string system = "agent") {
    return {std::move(metric),
            {.at = clock_.now() - ago, .value = value, .system_id = std::move(system)}};
  }
  void add(const std::vector<SeriesStore::NewPoint>& points, const std::string& tenant = "acme") {
    const auto added = series_->add(tenant, points);
    ASSERT_TRUE(added) << added.error().message;
  }
  SeriesFound read(const std::string& metric, std::chrono::nanoseconds range,
                   const std::string& system = "", std::optional<Resolution> at_least = {},
                   const std::string& tenant = "acme") {
    auto found = series_->read(
        tenant,
        {.metric = metric, .system_id = system, .from = clock_.now() - range, .to = clock_.now()},
        at_least);
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(SeriesFound{});
  }
  double total(const SeriesFound& found) {
    double sum = 0;
    for (const auto& bucket : found.buckets) sum += bucket.sum;
    return sum;
  }
};

TEST_P(SeriesStoreContract, PointsComeBackAsTheyWereSentAndRolledUp) {
  add({point("latency", 10, minutes(3)), point("latency", 30, minutes(4)),
       point("latency", 99, minutes(2), "other")});
  add({point("latency", 20, minutes(3))});
  const auto raw = read("latency", hours(1), "agent");
  ASSERT_EQ(raw.points.size(), 3U);
  EXPECT_EQ(raw.resolution, Resolution::kRaw);
  EXPECT_EQ(raw.points[0].value, 30) << "by time";
  const auto hourly = read("latency", hours(3), "agent", Resolution::kHour);
  EXPECT_EQ(hourly.resolution, Resolution::kHour);
  EXPECT_EQ(total(hourly), 60) << "two parts of one bucket are added up";
  double least = 1000, most = 0;
  std::uint64_t points = 0;
  for (const auto& bucket : hourly.buckets) {
    least = std::min(least, bucket.min);
    most = std::max(most, bucket.max);
    points += bucket.count;
  }
  EXPECT_EQ(least, 10);
  EXPECT_EQ(most, 30);
  EXPECT_EQ(points, 3U);
}

TEST_P(SeriesStoreContract, LongRangesAreReadCoarsely) {
  add({point("latency", 1, days(6)), point("latency", 2, days(20)), point("latency", 3, days(60))});
  EXPECT_EQ(read("latency", days(7)).resolution, Resolution::kRaw) << "few, and still kept";
  EXPECT_EQ(read("latency", days(25)).resolution, Resolution::kFiveMinutes);
  EXPECT_EQ(total(read("latency", days(25))), 3);
  EXPECT_EQ(read("latency", days(80)).resolution, Resolution::kHour);
  EXPECT_EQ(total(read("latency", days(80))), 6);
}

TEST_P(SeriesStoreContract, WhatIsTooOldGoes) {
  add({point("latency", 1, minutes(1))});
  clock_.advance(days(8));
  EXPECT_EQ(series_->expire().value(), 1U) << "the point itself";
  EXPECT_EQ(total(read("latency", days(10))), 1) << "five minutes stay 90 days";
  clock_.advance(days(90));
  EXPECT_EQ(series_->expire().value(), 1U);
  EXPECT_EQ(total(read("latency", days(100))), 1) << "hours stay a year";
  clock_.advance(days(300));
  EXPECT_EQ(series_->expire().value(), 1U);
  EXPECT_EQ(series_->expire().value(), 0U);
  EXPECT_TRUE(series_->metrics("acme", clock_.now() - days(1000)).value().empty());
}

TEST_P(SeriesStoreContract, WhatIsConfiguredToGoEarlierGoesEarlier) {
  SeriesStore brief(*db_, clock_, {.kept = {.five_minutes = days(2)}});
  const auto now = clock_.now();
  ASSERT_TRUE(brief.add("acme", {point("latency", 1, minutes(1))}));
  clock_.advance(days(3));
  EXPECT_EQ(brief.expire().value(), 2U) << "the point and its five minutes";
  const SeriesFound left =
      brief
          .read("acme",
                {.metric = "latency", .from = now - days(1), .to = clock_.now() + minutes(1)})
          .value();
  EXPECT_EQ(left.resolution, series::Resolution::kHour);
  EXPECT_EQ(left.points.size(), 1U);
}

TEST_P(SeriesStoreContract, TenantsSeeNothingOfEachOther) {
  add({point("latency", 1, minutes(1))}, "acme");
  EXPECT_TRUE(read("latency", hours(1), "", {}, "rival").points.empty());
  EXPECT_TRUE(series_->metrics("rival", clock_.now() - days(1)).value().empty());
  EXPECT_EQ(series_->metrics("acme", clock_.now() - days(1)).value().size(), 1U);
}

TEST_P(SeriesStoreContract, CountsOfIngestionAreSeries) {
  const Time hour = std::chrono::floor<hours>(clock_.now()) - hours(2);
  SeriesStore::Hours counted;
  counted[{hour, "a"}] = {
      .conversations = 3, .bytes = 30, .duplicates = 1, .vectors = 2, .norms = 2};
  counted[{hour, "b"}] = {.conversations = 1, .bytes = 5};
  for (int part = 0; part < 2; ++part) {
    for (const auto& statement : SeriesStore::count("acme", counted))
      ASSERT_TRUE(db_->query_blocking(statement));
  }
  EXPECT_EQ(read("conversation_count", days(1), "a").points.at(0).value, 6) << "parts add up";
  EXPECT_EQ(read("bytes", days(1), "b").points.at(0).value, 10);
  EXPECT_EQ(read("mean_vector_norm", days(1), "a").points.at(0).value, 1);
  EXPECT_EQ(read("active_systems", days(1)).points.at(0).value, 2);
  const auto names = series_->metrics("acme", clock_.now() - days(1)).value();
  ASSERT_EQ(names.size(), 5U);
  EXPECT_TRUE(names[0].derived);
}

TEST_P(SeriesStoreContract, MoreThanMayBeReadIsSaid) {
  SeriesStore small(*db_, clock_, {.most_read = 2, .most_raw = 2});
  add({point("latency", 1, minutes(5)), point("latency", 1, minutes(15)),
       point("latency", 1, minutes(25))});
  const auto found =
      small.read("acme", {.metric = "latency", .from = clock_.now() - days(2), .to = clock_.now()});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::kTooLarge);
  EXPECT_NE(found.error().message.find("shorter time"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Engines, SeriesStoreContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::knowledge
