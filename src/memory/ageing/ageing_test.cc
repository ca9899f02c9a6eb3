#include "memory/ageing/ageing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "memory/ageing/move_gate.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;

using OneRun = Run;  // testing::Test has a Run of its own

/// Three tiers in memory, runs and jobs in SQLite.
class AgeingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory).value();
    db_ = sql::open_database(place_->options()).value();
    std::vector<sql::Migration> all = jobs::migrations();
    for (const auto& one : run_migrations()) all.push_back(one);
    for (const auto& one : hit_migrations()) all.push_back(one);
    all.push_back(upward_turn_migration());
    ASSERT_TRUE(sql::Migrator(*db_, all).upgrade());
  }
  void TearDown() override {
    ageing_.reset();
    work_.join();
  }
  void open(AgeingOptions options = {}) {
    options.poll = 5ms;
    ageing_ =
        std::make_unique<Ageing>(Ageing::Parts{.hot = &hot_,
                                               .warm = &warm_,
                                               .cold = &cold_,
                                               .database = *db_,
                                               .loop = on_.loop(),
                                               .work = work_,
                                               .clock = clock_,
                                               .metrics = metrics_,
                                               .moved = [this](std::string tenant) -> Aw<void> {
                                                 moved_.insert(std::move(tenant));
                                                 if (on_moved_) co_await on_moved_();
                                               },
                                               .compact = {},
                                               .tidy = {}},
                                 std::move(options));
    ageing_->start();
  }
  Memory told(const std::string& id, int days_old, const std::string& tenant = "org") const {
    Memory one;
    one.key = {tenant, "agent", id};
    one.content = "What was said is " + tenant + "'s " + id + ".";
    one.content_hash = sha256(one.content);
    one.timestamp = clock_.now() - std::chrono::days(days_old);
    return one;
  }
  void put(const std::string& id, int days_old, const std::string& tenant = "org") {
    const Memory one = told(id, days_old, tenant);
    auto stored = on_.wait<std::vector<UpsertOutcome>>([&]() -> Task<std::vector<UpsertOutcome>> {
      std::vector<Memory> batch{one};
      co_return co_await hot_.upsert_batch(std::move(batch), {});
    });
    ASSERT_TRUE(stored);
  }
  static std::vector<std::string> ids(Store& gate) {
    std::vector<std::string> out;
    for (const Memory& one :
         static_cast<testing::MemoryStore&>(static_cast<MoveGate&>(gate).inner()).all())
      out.push_back(one.key.conversation_id);
    return out;
  }
  Result<OneRun> request(Ageing::Request request, const std::string& org = "org") {
    return on_.wait<OneRun>([&]() -> Task<OneRun> { return ageing_->request(org, request); });
  }
  Result<OneRun> find(const std::string& id, const std::string& org = "org") {
    return on_.wait<OneRun>([&]() -> Task<OneRun> { return ageing_->find(org, id); });
  }
  RunPage list(RunQuery query) {
    auto page = on_.wait<RunPage>([&]() -> Task<RunPage> { return ageing_->list(query); });
    EXPECT_TRUE(page) << page.error().message;
    return page.value_or(RunPage{});
  }
  /// The run, when it has ended.
  OneRun ended(const std::string& id, const std::string& org = "org") {
    for (int i = 0; i < 2'000; ++i) {
      const auto run = find(id, org);
      EXPECT_TRUE(run) << run.error().message;
      if (!run || run->state == RunState::kDone || run->state == RunState::kFailed)
        return run.value();
      std::this_thread::sleep_for(2ms);
    }
    ADD_FAILURE() << "the run did not end";
    return {};
  }
  Result<void> age() {
    return on_.wait<void>([&]() -> Task<void> { return ageing_->age(); });
  }

  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  testing::OnLoop on_;
  boost::asio::thread_pool work_{1};
  ManualClock clock_{parse_rfc3339("2026-11-22T10:00:00Z").value()};
  telemetry::Registry metrics_;
  std::set<std::string> moved_;
  std::function<Aw<void>()> on_moved_;  ///< after a batch
  MoveGate hot_{std::make_unique<testing::MemoryStore>(Tier::kHot), clock_};
  MoveGate warm_{std::make_unique<testing::MemoryStore>(Tier::kWarm), clock_};
  MoveGate cold_{std::make_unique<testing::MemoryStore>(Tier::kCold), clock_};
  std::unique_ptr<Ageing> ageing_;
};

TEST_F(AgeingTest, MemoriesGoToTheTierOfTheirAge) {
  open();
  put("today", 0);
  put("seventh day", 7);
  put("last week", 8);
  put("last quarter", 89);
  put("last year", 300);
  ASSERT_TRUE(age());
  EXPECT_THAT(ids(hot_), ::testing::UnorderedElementsAre("today", "seventh day"));
  EXPECT_THAT(ids(warm_), ::testing::UnorderedElementsAre("last week", "last quarter"));
  EXPECT_THAT(ids(cold_), ::testing::ElementsAre("last year"));
  EXPECT_THAT(moved_, ::testing::ElementsAre("org"));
  const std::string exposed = metrics_.expose();
  EXPECT_THAT(exposed,
              ::testing::ContainsRegex("akosha_migration_records_total\\{[^}]*source_tier=\"hot\""
                                       "[^}]*status=\"success\"[^}]*\\} 3"));
  ASSERT_TRUE(age());
  EXPECT_EQ(ids(warm_).size(), 2U) << "again: nothing is left to do";
}

TEST_F(AgeingTest, ARunThatWasAskedForTellsWhatItDid) {
  open();
  put("a", 1);
  put("b", 3);
  const auto asked = request({.step = kToWarm, .cutoff_days = 2, .batch_size = 1});
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(asked->state, RunState::kQueued);
  const OneRun run = ended(asked->id);
  EXPECT_EQ(run.state, RunState::kDone);
  EXPECT_EQ(run.records_migrated, 1U);
  EXPECT_GT(run.bytes_freed, 0U);
  EXPECT_EQ(run.errors, 0U);
  EXPECT_TRUE(run.start_time && run.end_time);
  EXPECT_THAT(ids(warm_), ::testing::ElementsAre("b"));
  EXPECT_EQ(find(asked->id, "another").error().code, Errc::kNotFound)
      << "other organisations' runs";
}

TEST_F(AgeingTest, ARunMovesMemoriesOfWhoAskedForItAndNobodyElses) {
  open();
  put("a", 10);
  put("b", 200, "another");
  const auto asked = request({.step = kToWarm, .cutoff_days = 0});
  EXPECT_EQ(ended(asked->id).records_migrated, 1U);
  EXPECT_THAT(ids(hot_), ::testing::ElementsAre("b"));
  EXPECT_THAT(ids(warm_), ::testing::ElementsAre("a"));
  EXPECT_THAT(moved_, ::testing::ElementsAre("org"));
  ASSERT_TRUE(age());
  EXPECT_THAT(ids(cold_), ::testing::ElementsAre("b")) << "the schedule moves everybody's";
}

TEST_F(AgeingTest, ADryRunCountsTheOrganisationsOwnAndMovesNothing) {
  open();
  put("a", 10);
  put("b", 11);
  put("c", 12, "another");
  const auto run = request({.step = kToWarm, .dry_run = true});
  ASSERT_TRUE(run);
  EXPECT_EQ(run->state, RunState::kDone);
  EXPECT_EQ(run->records_migrated, 2U);
  EXPECT_EQ(ids(hot_).size(), 3U);
  EXPECT_EQ(find(run->id)->records_migrated, 2U);
}

TEST_F(AgeingTest, RunsAreListedNewestFirstByPageForThoseWhoAskedForThem) {
  open();
  std::vector<std::string> asked;
  for (int i = 0; i < 3; ++i) {
    asked.push_back(request({.step = kToWarm, .dry_run = true})->id);
    clock_.advance(1s);
  }
  const auto other = request({.step = kToCold, .dry_run = true}, "another");
  clock_.advance(1s);
  ASSERT_TRUE(age());
  const auto ids_of = [](const RunPage& page) {
    std::vector<std::string> out;
    for (const OneRun& run : page.runs) out.push_back(run.id);
    return out;
  };
  const RunPage first = list({.org_id = "org", .limit = 2});
  EXPECT_THAT(ids_of(first), ::testing::ElementsAre(asked[2], asked[1]));
  ASSERT_FALSE(first.next.empty());
  const RunPage second = list({.org_id = "org", .limit = 2, .cursor = first.next});
  EXPECT_THAT(ids_of(second), ::testing::ElementsAre(asked[0]));
  EXPECT_EQ(second.next, "");
  const RunPage all = list({.org_id = "another", .scheduled = true});
  ASSERT_EQ(all.runs.size(), 3U) << "both steps of the schedule, and its own";
  EXPECT_EQ(all.runs[0].org_id, kSchedule);
  EXPECT_EQ(all.runs[2].id, other->id);
  EXPECT_TRUE(run_json(all.runs[0]).at("scheduled").as_bool());
}

TEST_F(AgeingTest, ThePlanTellsWhenAndFromWhichAge) {
  open({.hot_days = 3, .warm_days = 30, .schedule = "0 2 * * *"});
  const Ageing::Plan plan = ageing_->plan();
  EXPECT_EQ(plan.hot_days, 3);
  EXPECT_EQ(plan.warm_days, 30);
  EXPECT_EQ(plan.next_run, parse_rfc3339("2026-11-23T02:00:00Z").value());
}

TEST_F(AgeingTest, ATierThatFailsIsToldAndHoldsUpNothingElse) {
  open();
  put("warm", 10);
  put("cold", 100);
  static_cast<testing::MemoryStore&>(cold_.inner())
      .fail_upserts(1, {.code = Errc::kUnavailable, .message = "the bucket is away"});
  EXPECT_EQ(age().error().message, "the bucket is away");
  EXPECT_THAT(ids(warm_), ::testing::UnorderedElementsAre("warm", "cold"));
  ASSERT_TRUE(age());
  EXPECT_THAT(ids(cold_), ::testing::ElementsAre("cold"));
}

TEST_F(AgeingTest, AHotTierThatIsTooLargeAgesAtOnce) {
  put("old", 10);
  open({.pressure_bytes = 10});
  for (int i = 0; i < 2'000 && ids(warm_).empty(); ++i) std::this_thread::sleep_for(2ms);
  EXPECT_THAT(ids(warm_), ::testing::ElementsAre("old"));
}

TEST_F(AgeingTest, ARunEndsAtItsTimeLimitAndTheNextGoesOn) {
  open({.longest = 0ms});
  put("a", 10);
  ASSERT_TRUE(age());
  EXPECT_EQ(ids(hot_).size(), 1U);
}

TEST_F(AgeingTest, ARunEndsThoughOldMemoriesKeepArriving) {
  open({.batch_size = 2});
  for (int i = 0; i < 5; ++i) put("there" + std::to_string(i), 10);
  int arrived = 0;
  on_moved_ = [&]() -> Aw<void> {
    std::vector<Memory> more;
    for (int i = 0; i < 3; ++i) more.push_back(told("late" + std::to_string(++arrived), 20));
    if (arrived < 1'000) (void)co_await hot_.upsert_batch(std::move(more), {});
  };
  ASSERT_TRUE(age());
  EXPECT_EQ(ids(warm_).size(), 5U) << "as many as were there when it began";
  EXPECT_LT(arrived, 20);
  on_moved_ = {};
  ASSERT_TRUE(age());
  EXPECT_THAT(ids(hot_), ::testing::IsEmpty());
}

TEST_F(AgeingTest, BothStepsTakeTurns) {
  open({.batch_size = 1, .turn_batches = 2});
  for (int i = 0; i < 6; ++i) put("old" + std::to_string(i), 100);
  std::vector<std::size_t> left_when_cold_grew;
  on_moved_ = [&]() -> Aw<void> {
    if (!ids(cold_).empty() && left_when_cold_grew.size() < ids(cold_).size())
      left_when_cold_grew.push_back(ids(hot_).size());
    co_return;
  };
  ASSERT_TRUE(age());
  ASSERT_FALSE(left_when_cold_grew.empty());
  EXPECT_EQ(left_when_cold_grew.front(), 4U) << "the hot tier was not empty yet";
}

/// With access rules, after so many days of counting.
class AccessRulesTest : public AgeingTest {
 protected:
  void open_counted(int days) {
    // No cron beside.
    open({.schedule = "0 0 29 2 *", .access = {.enabled = true}, .up_patience = 0ms});
    for (int day = days; day >= 0; --day)
      ASSERT_TRUE(on_.wait<void>([&] { return hits().counting(today() - day); }));
  }
  std::int64_t today() const { return day_of(clock_.now()); }
  void find_often(const std::string& id, std::uint64_t times, int days_ago = 0) {
    ASSERT_TRUE(on_.wait<void>([&]() -> Task<void> {
      std::vector<std::pair<Key, std::uint64_t>> found{{{"org", "agent", id}, times}};
      co_return co_await hits().add(std::move(found), today() - days_ago);
    }));
  }
  OneRun last_run(const Step& step) {
    for (const OneRun& run : list({.org_id = "org", .scheduled = true}).runs) {
      if (run.step == step) return run;
    }
    ADD_FAILURE() << "no such run";
    return {};
  }
  /// The next night.
  void sleep() {
    clock_.advance(std::chrono::days(1));
    ASSERT_TRUE(on_.wait<void>([&] { return hits().counting(today()); }));
    ASSERT_TRUE(age());
  }
  void SetUp() override {
    AgeingTest::SetUp();
    made_ = std::make_unique<Hits>(*db_);
  }
  Hits& hits() { return *made_; }

 private:
  std::unique_ptr<Hits> made_;
};

TEST_F(AccessRulesTest, WhatIsAskedForOftenStaysHotUntilHardlyAnybodyAsks) {
  open_counted(0);
  put("loved", 8);
  put("liked", 8);
  find_often("loved", 8);
  find_often("loved", 2, 6);
  find_often("liked", 9);
  find_often("liked", 9, 7);  // before the window
  ASSERT_TRUE(age());
  EXPECT_THAT(ids(hot_), ::testing::ElementsAre("loved"));
  EXPECT_THAT(ids(warm_), ::testing::ElementsAre("liked"));
  EXPECT_EQ(last_run(kToWarm).kept, 1U);
  // Two hits are enough to stay, not to come back.
  for (int night = 0; night < 6; ++night) sleep();
  find_often("loved", 2);
  find_often("liked", 2);
  sleep();
  EXPECT_THAT(ids(hot_), ::testing::ElementsAre("loved"));
  for (int night = 0; night < 7; ++night) sleep();
  EXPECT_THAT(ids(hot_), ::testing::IsEmpty());
  EXPECT_THAT(ids(warm_), ::testing::UnorderedElementsAre("loved", "liked"));
}

TEST_F(AccessRulesTest, WhatIsAskedForOftenComesBackAndDoesNotGoTheNextNight) {
  open_counted(0);
  put("back", 20);
  ASSERT_TRUE(age());
  EXPECT_THAT(ids(warm_), ::testing::ElementsAre("back"));
  find_often("back", 10);
  sleep();
  EXPECT_THAT(ids(hot_), ::testing::ElementsAre("back"));
  EXPECT_THAT(ids(warm_), ::testing::IsEmpty());
  EXPECT_EQ(last_run(kToHot).records_migrated, 1U);
  sleep();
  EXPECT_THAT(ids(hot_), ::testing::ElementsAre("back"));
  EXPECT_THAT(metrics_.expose(),
              ::testing::HasSubstr("akosha_access_rules_total{action=\"promoted\"} 1"));
}

TEST_F(AccessRulesTest, WhatIsKeptIsInNoTierBelow) {
  open_counted(0);
  put("changed", 100);
  ASSERT_TRUE(age());
  ASSERT_TRUE(age());
  ASSERT_THAT(ids(cold_), ::testing::ElementsAre("changed"));
  put("changed", 20);  // the cold tier is not asked about it
  find_often("changed", 10);
  ASSERT_TRUE(age());
  EXPECT_THAT(ids(hot_), ::testing::ElementsAre("changed"));
  EXPECT_THAT(ids(cold_), ::testing::IsEmpty());
}

TEST_F(AccessRulesTest, WhatAWayUpLeftBehindDoesNotGoDown) {
  open_counted(0);
  ASSERT_TRUE(on_.wait<std::vector<UpsertOutcome>>([&]() -> Task<std::vector<UpsertOutcome>> {
    std::vector<Memory> both{told("back", 120), told("gone", 120)};
    co_return co_await warm_.upsert_batch(std::move(both), {});
  }));
  // Killed after one copy was made, before the rows below were taken away.
  put("back", 120);
  ASSERT_TRUE(on_.wait<void>([&]() -> Task<void> {
    std::vector<Key> keys{{"org", "agent", "back"}, {"org", "agent", "gone"}};
    co_return co_await hits().keep(std::move(keys), clock_.now());
  }));
  find_often("back", 5);
  ASSERT_TRUE(age());
  EXPECT_THAT(ids(hot_), ::testing::ElementsAre("back"));
  EXPECT_THAT(ids(warm_), ::testing::IsEmpty());
  EXPECT_THAT(ids(cold_), ::testing::ElementsAre("gone")) << "kept, but the hot tier has it not";
}

TEST_F(AccessRulesTest, NothingComesBackWhileTheTiersAreCopied) {
  open_counted(0);
  put("back", 20);
  ASSERT_TRUE(age());
  find_often("back", 10);
  UpwardTurn backup(*db_, clock_, "backup");
  ASSERT_TRUE(on_.wait<bool>([&] { return backup.take(48h); }).value());
  sleep();
  EXPECT_THAT(ids(warm_), ::testing::ElementsAre("back"));
  EXPECT_EQ(last_run(kToHot).records_migrated, 0U);
  ASSERT_TRUE(on_.wait<void>([&] { return backup.give_back(); }));
  sleep();
  EXPECT_THAT(ids(hot_), ::testing::ElementsAre("back"));
  EXPECT_TRUE(on_.wait<bool>([&] { return backup.take(1h); }).value()) << "the run gave it back";
}

TEST_F(AccessRulesTest, WhatNobodyAsksForGoesEarlyOnceAWholeWindowWasCounted) {
  open_counted(6);
  put("asked", 4);
  put("forgotten", 4);
  put("young", 2);
  find_often("asked", 2);
  find_often("forgotten", 1);
  ASSERT_TRUE(age());
  EXPECT_EQ(ids(hot_).size(), 3U) << "a day is missing";
  sleep();
  EXPECT_THAT(ids(hot_), ::testing::UnorderedElementsAre("asked", "young"));
  EXPECT_THAT(ids(warm_), ::testing::ElementsAre("forgotten"));
  EXPECT_EQ(last_run(kToWarm).demoted, 1U);
  const auto asked = request({.step = kToWarm, .cutoff_days = 0});
  EXPECT_EQ(ended(asked->id).records_migrated, 2U)
      << "what stayed is free again; who asks, decides";
}

TEST_F(AgeingTest, RunsThatWereAskedForTakeTurns) {
  for (int i = 0; i < 9; ++i) put("old" + std::to_string(i), 10);
  open({.turn_batches = 1});
  std::string second;
  std::size_t left = 0;
  on_moved_ = [&]() -> Aw<void> {
    if (!second.empty()) {
      if (left == 0 && !ids(cold_).empty()) left = ids(hot_).size();
      co_return;
    }
    // The first is under way: another asks for the other step.
    auto asked =
        co_await ageing_->request("org", {.step = kToCold, .cutoff_days = 0, .batch_size = 1});
    second = asked.value().id;
  };
  const auto first = request({.step = kToWarm, .batch_size = 1});
  EXPECT_EQ(ended(first->id).records_migrated, 9U);
  EXPECT_GT(left, 0U) << "the second did not wait for the first to end";
  EXPECT_EQ(ended(second).state, RunState::kDone);
}

TEST(AgeingRequest, BadInputNamesFieldAndRule) {
  const auto field = [](std::string_view body) {
    const auto parsed = Ageing::parse(json::parse(body).as_object());
    return parsed ? std::string("-") : parsed.error().field;
  };
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":"warm","cutoff_days":0})"), "-");
  EXPECT_EQ(field(R"({"target_tier":"warm"})"), "source_tier");
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":7})"), "target_tier");
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":"cold"})"), "target_tier");
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":"warm","cutoff_days":-1})"), "cutoff_days");
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":"warm","cutoff_days":1.5})"),
            "cutoff_days");
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":"warm","batch_size":0})"), "batch_size");
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":"warm","batch_size":"x"})"), "batch_size");
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":"warm","dry_run":1})"), "dry_run");
  EXPECT_EQ(field(R"({"source_tier":"hot","target_tier":"warm","colour":1})"), "colour");
}

}  // namespace
}  // namespace asahi::memory::ageing
