#include "gateway/alerts/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/analytics/rollups.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway::alerts {
namespace {

using sql::testing::Engine;
using ::testing::SizeIs;

class AlertStoreTest : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(migrations())) return;
    store_ = std::make_unique<Store>(*db_);
  }
  /// The value of a task that must succeed.
  template <class Make>
  auto must(Make make) {
    auto done = loops_.wait_for(std::move(make));
    EXPECT_TRUE(done) << done.error().message;
    return std::move(*done);
  }
  template <class Make>
  void ok(Make make) {
    const auto done = loops_.wait_for(std::move(make));
    EXPECT_TRUE(done) << done.error().message;
  }
  Alert alert(std::string id, std::string org = "", Severity severity = Severity::kHigh) {
    Alert made;
    made.id = "alt_" + id;
    made.kind = "error_spike";
    made.subject = id;
    made.org_id = std::move(org);
    made.node = "node_1";
    made.severity = severity;
    made.title = "title";
    made.message = "message";
    made.metric = "asahi_errors_total";
    made.current = 11.5;
    made.expected = 10;
    made.fired_at = made.last_seen_at = now_;
    return made;
  }
  bool insert(const Alert& made) {
    return must([&] { return store_->insert(made); });
  }
  std::vector<std::string> ids(AlertQuery query) {
    std::vector<std::string> all;
    for (const Alert& found : must([&] { return store_->list(query); }).alerts)
      all.push_back(found.id);
    return all;
  }
  void event(std::string id, std::string org, std::string_view time, double cost,
             std::string model = "gpt-4o", std::string error = "") {
    InferenceEvent added;
    added.event_id = id;
    added.request_id = "req";
    added.timestamp = *parse_rfc3339(time);
    added.org_id = std::move(org);
    added.model_selected = std::move(model);
    added.cost = nano_usd_from_dollars(cost);
    added.baseline_cost = nano_usd_from_dollars(cost + 1.5);
    added.cache_hit = cost == 0;
    added.cache_tier = cost == 0 ? 1 : 0;
    added.error_code = std::move(error);
    const ManualClock clock(now_);
    analytics::RollupWriter writer(clock);
    const auto done = db_->transaction_blocking([&](sql::Session& session) -> Result<void> {
      if (auto begun = writer.begin(session); !begun) return begun;
      return writer.add(session, std::span(&added, 1));
    });
    ASSERT_TRUE(done) << done.error().message;
  }

  const Clock::Time now_{std::chrono::sys_days{std::chrono::year{2026} / 11 / 21} +
                         std::chrono::hours(12)};
  std::unique_ptr<Store> store_;
  testing::Loops loops_;
};

TEST_P(AlertStoreTest, KeepsAnAlertWhole) {
  Alert one = alert("1", "acme");
  one.told = true;
  EXPECT_TRUE(insert(one));
  one.current = 99;
  one.occurrences = 2;
  one.resolved_at = now_ + std::chrono::minutes(5);
  ok([&] { return store_->save(one); });
  const AlertPage page = must([&] { return store_->list({.view = {.org_id = "acme"}}); });
  ASSERT_THAT(page.alerts, SizeIs(1));
  const Alert& found = page.alerts[0];
  EXPECT_EQ(alert_json(found), alert_json(one));
  EXPECT_TRUE(found.told);
  EXPECT_EQ(found.key(), one.key());
}

TEST_P(AlertStoreTest, ShowsEachCallerHisOwn) {
  insert(alert("1", "acme"));
  insert(alert("2", "other"));
  insert(alert("3"));
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids({.view = {.org_id = "acme"}}), (Ids{"alt_1"}));
  EXPECT_EQ(ids({.view = {.org_id = "acme", .installation = true}}), (Ids{"alt_3", "alt_1"}));
  const auto marked = loops_.wait_for([&] {
    return store_->mark("alt_2", {.org_id = "acme", .installation = true}, Store::Mark::kDismissed,
                        "me", now_);
  });
  ASSERT_FALSE(marked);
  EXPECT_EQ(marked.error().code, Errc::kNotFound);
}

TEST_P(AlertStoreTest, FiltersAndPages) {
  for (int i = 1; i <= 5; ++i) {
    insert(alert(std::to_string(i), "acme", i == 3 ? Severity::kCritical : Severity::kMedium));
  }
  Alert over = alert("6", "acme");
  over.resolved_at = now_;
  insert(over);
  const View acme{.org_id = "acme"};
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids({.view = acme, .severity = Severity::kCritical}), (Ids{"alt_3"}));
  EXPECT_EQ(ids({.view = acme, .active = false}), (Ids{"alt_6"}));
  EXPECT_EQ(ids({.view = acme, .kind = "nothing"}), Ids{});
  const AlertPage first = must([&] { return store_->list({.view = acme, .limit = 4}); });
  EXPECT_EQ(first.next, "alt_3");
  EXPECT_EQ(first.active, (std::array<std::int64_t, 4>{0, 4, 0, 1}));
  EXPECT_EQ(ids({.view = acme, .limit = 4, .before = first.next}), (Ids{"alt_2", "alt_1"}));
}

TEST_P(AlertStoreTest, TheFirstToAcknowledgeStaysNamedAndSavingDoesNotForgetHim) {
  const Alert one = alert("1", "acme");
  insert(one);
  const View acme{.org_id = "acme"};
  const auto mark = [&](Store::Mark how, std::string who) {
    return must([&] { return store_->mark("alt_1", acme, how, who, now_); });
  };
  EXPECT_EQ(mark(Store::Mark::kAcknowledged, "ann").acknowledged_by, "ann");
  EXPECT_EQ(mark(Store::Mark::kAcknowledged, "bob").acknowledged_by, "ann");
  ok([&] { return store_->save(one); });
  EXPECT_EQ(mark(Store::Mark::kDismissed, "bob").acknowledged_by, "ann");
  EXPECT_THAT(ids({.view = acme}), SizeIs(0));
  EXPECT_THAT(ids({.view = acme, .dismissed = true}), SizeIs(1));
}

TEST_P(AlertStoreTest, OneProcessTellsWhatAllSee) {
  Alert here = alert("1", "acme"), there = alert("2", "acme");
  here.subject = there.subject = "";
  here.local = there.local = false;
  there.node = "node_2";
  EXPECT_TRUE(insert(here));
  EXPECT_FALSE(insert(there));
  EXPECT_THAT(must([&] { return store_->open_of("node_1"); }), SizeIs(1));
  EXPECT_THAT(must([&] { return store_->open_of("node_2"); }), SizeIs(0));
  here.resolved_at = now_;
  ok([&] { return store_->save(here); });
  EXPECT_TRUE(insert(there));
}

TEST_P(AlertStoreTest, AProcessEndsWhatItsCrashLeftOpen) {
  Alert before = alert("1"), after = alert("2");
  before.subject = after.subject = "same";
  EXPECT_TRUE(insert(before));
  EXPECT_TRUE(insert(after));
  const auto open = must([&] { return store_->open_of("node_1"); });
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].id, "alt_2");
}

TEST_P(AlertStoreTest, TidiesWhatNobodySeesAnyMoreAndWhatIsOld) {
  Alert forgotten = alert("1"), old = alert("2"), fresh = alert("3");
  forgotten.last_seen_at = now_ - std::chrono::hours(2);
  old.fired_at = now_ - std::chrono::days(100);
  insert(forgotten);
  insert(old);
  insert(fresh);
  ok([&] {
    return store_->tidy(now_, now_ - std::chrono::hours(1), now_ - std::chrono::days(90));
  });
  const View all{.org_id = "", .installation = true};
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids({.view = all, .active = true}), (Ids{"alt_3"}));
  EXPECT_EQ(ids({.view = all}), (Ids{"alt_3", "alt_1"}));
}

TEST_P(AlertStoreTest, SumsCostsByOrganisationAndDay) {
  event("1", "acme", "2026-11-19T23:59:59.999Z", 1.25);
  event("2", "acme", "2026-11-20T00:00:00.000Z", 2);
  event("3", "acme", "2026-11-20T12:00:00.000Z", 0.5);
  event("4", "other", "2026-11-20T12:00:00.000Z", 7);
  event("5", "acme", "2026-11-21T00:00:00.000Z", 100);
  const auto day = std::chrono::floor<std::chrono::days>(now_);
  auto costs = must([&] { return store_->costs(day - std::chrono::days(7), day); });
  std::ranges::sort(costs, {}, [](const auto& cost) { return cost.org_id + cost.day; });
  ASSERT_THAT(costs, SizeIs(3));
  EXPECT_EQ(costs[0].day, "2026-11-19");
  EXPECT_EQ(costs[1].day, "2026-11-20");
  EXPECT_DOUBLE_EQ(costs[1].cost, 2.5);
  EXPECT_EQ(costs[2].org_id, "other");
}

TEST_P(AlertStoreTest, DigestsADay) {
  event("1", "acme", "2026-11-20T00:00:00.000Z", 2, "gpt-4o");
  event("2", "acme", "2026-11-20T12:00:00.000Z", 0, "gpt-4o");
  event("3", "other", "2026-11-20T23:59:59.000Z", 7, "claude");
  event("4", "other", "2026-11-20T13:00:00.000Z", 0.5, "claude", "timeout");
  event("5", "acme", "2026-11-21T00:00:00.000Z", 100);
  Alert of_day = alert("1");
  of_day.fired_at = now_ - std::chrono::days(1);
  insert(of_day);
  insert(alert("2", "", Severity::kLow));
  insert(alert("3"));
  const Clock::Time day = std::chrono::floor<std::chrono::days>(now_) - std::chrono::days(1);
  const Digest digest = must([&] { return store_->digest(day); });
  EXPECT_EQ(digest.day, "2026-11-20");
  EXPECT_EQ(digest.requests, 4);
  EXPECT_EQ(digest.errors, 1);
  EXPECT_EQ(digest.hits, 1);
  EXPECT_DOUBLE_EQ(digest.cost, 9.5);
  EXPECT_DOUBLE_EQ(digest.savings, 6);
  ASSERT_THAT(digest.models, SizeIs(2));
  EXPECT_EQ(digest.models[0].name, "claude");
  EXPECT_EQ(digest.models[0].requests, 2);
  EXPECT_DOUBLE_EQ(digest.models[0].cost, 7.5);
  ASSERT_THAT(digest.alerts, SizeIs(2));
  const Digest empty = must([&] { return store_->digest(day - std::chrono::days(30)); });
  EXPECT_EQ(empty.requests, 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, AlertStoreTest,
                         ::testing::Values(Engine::kSqliteFile, Engine::kPostgres));

}  // namespace
}  // namespace asahi::gateway::alerts
