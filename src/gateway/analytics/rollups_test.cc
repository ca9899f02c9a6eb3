// Rollups count each event once, and go when their time is over, on every engine.
#include "gateway/analytics/testing/store_contract.h"

namespace asahi::gateway::analytics {
namespace {

using namespace std::chrono_literals;
using testing::down;
using testing::kNow;

class Rollups : public testing::AnalyticsStoreContract {};

TEST_P(Rollups, CountsALineOnceHoweverOftenItIsRead) {
  std::vector<InferenceEvent> history;
  for (int i = 0; i < 200; ++i) history.push_back(any(std::chrono::hours(5)));
  std::vector<InferenceEvent> twice = history;
  twice.push_back(history[3]);
  twice.insert(twice.begin() + 20, history[5]);
  load(twice);
  rows("DELETE FROM event_log_positions");
  run_loader();  // from the start of the log
  load({history[7]});
  const SumsQuery query{.org_id = "acme",
                        .from = down(kNow, 1h) - 6h,
                        .to = kNow + 1min,
                        .by = Dimension::kModelTask};
  expect_same(sums(query), counted(history, query, query.from, query.to));
}

TEST_P(Rollups, KeepsRowsAndRollupsTogetherWhenATransactionFails) {
  load({made(kNow - 10min)});
  RollupWriter writer(clock_);
  const InferenceEvent lost[] = {made(kNow - 5min)};
  const auto failed = db_->transaction_blocking([&](sql::Session& session) -> Result<void> {
    EXPECT_TRUE(writer.begin(session));
    InferenceEvent other = lost[0];
    other.model_selected = "never-stored";
    EXPECT_TRUE(writer.add(session, std::span(&other, 1)));
    return fail(Errc::kInternal, "the process ends here");
  });
  EXPECT_FALSE(failed);
  // The same writer goes on: numbers that were rolled back are not relied on.
  const auto stored = db_->transaction_blocking([&](sql::Session& session) -> Result<void> {
    if (auto begun = writer.begin(session); !begun) return begun;
    InferenceEvent second = lost[0];
    second.model_selected = "second";
    return writer.add(session, std::span(&second, 1));
  });
  ASSERT_TRUE(stored) << stored.error().message;
  writer.committed();
  const auto found =
      sums({.org_id = "acme", .from = kNow - 1h, .to = kNow, .by = Dimension::kModel});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].key, "gpt-4o");
  EXPECT_EQ(found[1].key, "second");
}

TEST_P(Rollups, TakesInTheRowsFromBeforeTheMigration) {
  std::vector<InferenceEvent> history;
  for (int i = 0; i < 2'500; ++i) {
    history.push_back(any(std::chrono::minutes(i % 10 == 0 ? 1'200 : 10)));
    history.back().latency_ms = std::round(history.back().latency_ms);  // as the table keeps it
  }
  load(history);
  rows("DELETE FROM analytics_rollups");
  rows("DELETE FROM analytics_keys");
  rows("UPDATE analytics_state SET value = value + 1 WHERE name = 'keys_version'");
  rows(
      "UPDATE analytics_state SET value = (SELECT MAX(id) FROM inference_events) WHERE name = "
      "'backfill_end'");
  const InferenceEvent after = made(kNow - 5min);
  history.push_back(after);
  load({after});
  for (const Dimension by : {Dimension::kNone, Dimension::kUser, Dimension::kModelTask}) {
    const SumsQuery query{.org_id = "acme", .from = down(kNow, 1h) - 24h, .to = kNow, .by = by};
    expect_same(sums(query), counted(history, query, query.from, down(kNow, 1h) + 1h));
  }
}

TEST_P(Rollups, ForgetsMinutesAndHoursWhenTheirTimeIsOver) {
  load({made(kNow - 1h)});
  EXPECT_EQ(rows("SELECT DISTINCT grain FROM analytics_rollups").size(), 3U);
  RollupWriter writer(clock_);
  clock_.advance(std::chrono::days(3));
  ASSERT_TRUE(writer.prune(*db_));
  EXPECT_EQ(rows("SELECT DISTINCT grain FROM analytics_rollups").size(), 2U);
  clock_.advance(std::chrono::days(120));
  ASSERT_TRUE(writer.prune(*db_));
  EXPECT_EQ(rows("SELECT DISTINCT grain FROM analytics_rollups").size(), 2U)
      << "hours of users stay until days are made of them";
  fold_all();
  ASSERT_TRUE(writer.prune(*db_));
  EXPECT_EQ(rows("SELECT grain FROM analytics_rollups WHERE grain < 2").size(), 0U);
  ASSERT_TRUE(loops_.wait_for([&] { return expire_rollups(*db_, "acme", clock_.now()); }));
  EXPECT_EQ(rows("SELECT * FROM analytics_rollups").size(), 0U);
}

TEST_P(Rollups, ErasesWhatNamesAPerson) {
  std::vector<InferenceEvent> history;
  for (int i = 0; i < 60; ++i) {
    history.push_back(made(kNow - i * 7h));
    history.back().user_id = i % 2 == 0 ? "ann" : "bob";
    history.back().api_key_prefix = i % 2 == 0 ? "ask_12345678" : "ask_87654321";
  }
  load(history);
  rows(
      "INSERT INTO api_keys (key_prefix, key_hash, user_id, org_id, expires_at) VALUES "
      "('ask_12345678', 'h', 'ann', 'acme', '2027-01-01T00:00:00Z')");
  const auto erased = loops_.wait_for([&] { return erase_rollups_of(*db_, "acme", "ann"); });
  ASSERT_TRUE(erased) << erased.error().message;
  EXPECT_GT(*erased, 30);
  const Clock::Time day = down(kNow, std::chrono::days(1)) + std::chrono::days(1);
  SumsQuery query{
      .org_id = "acme", .from = day - std::chrono::days(30), .to = day, .by = Dimension::kUser};
  auto found = sums(query);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].key, "bob");
  EXPECT_EQ(found[0].sums.requests, 30);
  query.by = Dimension::kApiKey;
  EXPECT_EQ(sums(query).size(), 1U);
  query.by = Dimension::kModel;
  EXPECT_EQ(sums(query)[0].sums.requests, 60) << "sums that name nobody stay";
  // Whoever comes back is counted anew, also by a process that knew the old number.
  InferenceEvent back = made(kNow);
  back.user_id = "ann";
  load({back});
  query.by = Dimension::kUser;
  found = sums(query);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].key, "ann");
  EXPECT_EQ(found[0].sums.requests, 1);
}

INSTANTIATE_TEST_SUITE_P(Engines, Rollups, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::gateway::analytics
