#include "gateway/alerts/anomaly_findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ids.h"
#include "gateway/analytics/rollups.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::gateway::alerts {
namespace {

using sql::testing::Engine;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AnomalyFindingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto place = sql::testing::TestDatabase::make(Engine::kSqliteFile);
    ASSERT_TRUE(place) << place.error().message;
    place_ = std::move(*place);
    database_ = *sql::open_database(place_->options());
    ASSERT_TRUE(sql::Migrator(*database_, migrations()).upgrade());
    store_ = std::make_unique<analytics::Store>(*database_, clock_);
  }
  /// A request in each minute from `since` to `until` before now.
  void traffic(const std::string& org, std::chrono::minutes since, std::chrono::minutes until,
               std::int64_t nanos) {
    for (auto back = since; back > until; back -= std::chrono::minutes(1)) {
      InferenceEvent event;
      event.event_id = make_ulid(clock_.now() - back);
      event.timestamp = clock_.now() - back;
      event.org_id = org;
      event.model_selected = "gpt-4o";
      event.cost = event.baseline_cost = {nanos};
      event.latency_ms = 100;
      events_.push_back(std::move(event));
    }
  }
  std::vector<Finding> find(std::vector<std::string> organisations) {
    analytics::RollupWriter writer(clock_);
    const auto written = database_->transaction_blocking([&](sql::Session& session) {
      auto begun = writer.begin(session);
      return begun ? writer.add(session, events_) : begun;
    });
    EXPECT_TRUE(written);
    auto found =
        loops_.wait_for([&] { return anomaly_findings(*store_, organisations, clock_.now()); });
    EXPECT_TRUE(found) << found.error().message;
    return std::move(*found);
  }

  testing::Loops loops_;
  ManualClock clock_;
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<analytics::Store> store_;
  std::vector<InferenceEvent> events_;
};

TEST_F(AnomalyFindingsTest, ASpikeIsAFindingOfItsOrganisation) {
  traffic("acme", std::chrono::hours(24), std::chrono::minutes(50), 1'000'000);
  traffic("acme", std::chrono::minutes(50), std::chrono::minutes(0), 9'000'000);
  traffic("calm", std::chrono::hours(24), std::chrono::minutes(0), 1'000'000);
  const std::vector<Finding> found = find({"acme", "calm"});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, "anomaly_cost_spike");
  EXPECT_EQ(found[0].org_id, "acme");
  EXPECT_EQ(found[0].severity, Severity::kHigh);
  EXPECT_FALSE(found[0].local) << "every process sees it; one tells it";
  EXPECT_GT(found[0].current, 2 * found[0].expected);
}

TEST_F(AnomalyFindingsTest, NothingHappenedWhereNothingWasAsked) {
  EXPECT_THAT(find({"nobody"}), IsEmpty());
}

}  // namespace
}  // namespace asahi::gateway::alerts
