// Rollups and the store that reads them, against a count of the events themselves, on every engine.
#include "gateway/analytics/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "base/ids.h"
#include "gateway/analytics/rollup_cells.h"
#include "gateway/analytics/rollups.h"
#include "gateway/analytics/search_index.h"
#include "gateway/analytics/search_words.h"
#include "gateway/events/loader.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/temp_folder.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway::analytics {
namespace {

using namespace std::chrono_literals;
using sql::testing::Engine;
using ::testing::ElementsAre;

constexpr Clock::Time kNow{std::chrono::seconds{1'795'003'200 + 37 * 60 + 20}};  // 12:37:20 UTC

class AnalyticsStoreContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(migrations())) return;
    store_ = std::make_unique<Store>(*db_, clock_);
  }

  InferenceEvent made(Clock::Time at, std::string org = "acme") {
    InferenceEvent event;
    event.event_id = make_ulid(kNow);
    event.request_id = random_id("req_", 12);
    event.timestamp = std::chrono::floor<std::chrono::milliseconds>(at);
    event.org_id = std::move(org);
    event.model_selected = "gpt-4o";
    event.task_type = "faq";
    event.provider = "openai";
    event.routing_mode = "autopilot";
    event.cost = {1'000'000};
    event.baseline_cost = {3'000'000};
    event.latency_ms = 100;
    return event;
  }
  /// Of all kinds, over `span` up to now.
  InferenceEvent any(std::chrono::seconds span) {
    const auto pick = [&](auto... of) {
      const std::array<std::string, sizeof...(of)> all{of...};
      return all[random_() % all.size()];
    };
    const auto back = std::chrono::milliseconds(
        static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(span.count() * 1'000)));
    InferenceEvent event = made(kNow - back, pick("acme", "acme", "acme", "other"));
    event.model_selected = pick("gpt-4o", "gpt-4o-mini", "claude-3-haiku", "модель", "it's \"q\"");
    event.task_type = pick("faq", "code", "", "要約");
    event.provider = pick("openai", "anthropic", "");
    event.routing_mode = pick("autopilot", "explicit", "guided");
    event.routing_reason = pick("cheapest model that is good enough", "Günstigstes Modell", "");
    event.user_id = pick("", "ann", "Ёлка Иванова", "user-" + std::to_string(random_() % 90));
    event.api_key_prefix = pick("", "ask_12345678", "ask_abcdefgh");
    event.event_type = random_() % 9 == 0 ? "embedding" : "inference";
    event.input_tokens = static_cast<std::int64_t>(random_() % 2'000);
    event.output_tokens = static_cast<std::int64_t>(random_() % 900);
    event.cost = {static_cast<std::int64_t>(random_() % 90'000'000)};
    event.baseline_cost = {static_cast<std::int64_t>(random_() % 190'000'000)};
    event.latency_ms = static_cast<double>(random_() % 4'000'000) / 1000;
    event.quality_score = random_() % 3 == 0 ? 0 : static_cast<double>(random_() % 500) / 100;
    event.fallback_used = random_() % 11 == 0;
    if (random_() % 2 == 0) event.hallucination = random_() % 5 == 0;
    if (random_() % 4 == 0) {
      event.cache_hit = true;
      event.cache_tier = 1 + static_cast<int>(random_() % 3);
      event.cost = {};
      event.tokens_saved = 100;
    } else if (random_() % 8 == 0) {
      event.error_code = pick("timeout", "rate_limited", "ошибка");
      event.event_type = "error";
    } else if (random_() % 8 == 0) {
      event.trim_savings = {12'345};
      event.batching_savings = {-54'321};
    }
    return event;
  }

  /// Through the log into the table, as a process does.
  void load(const std::vector<InferenceEvent>& events, std::size_t batch_bytes = 30'000) {
    std::string lines;
    for (const InferenceEvent& event : events) {
      append_json(lines, event);
      lines += '\n';
    }
    {
      auto log = EventLog::open(folder_.path(), clock_);
      ASSERT_TRUE(log);
      ASSERT_TRUE(log->append(lines));
    }
    run_loader(batch_bytes);
  }
  void run_loader(std::size_t batch_bytes = 30'000) {
    EventLoader loader({.dir = folder_.path(),
                        .node_id = "node_1",
                        .batch_bytes = batch_bytes,
                        .retry = 5ms,
                        .clock = &clock_},
                       *db_);
    loader.start();
    ASSERT_TRUE(loader.catch_up(30s));
    while (!loader.rollups_complete()) std::this_thread::sleep_for(1ms);
  }
  void fold_all() {
    RollupWriter writer(clock_);
    for (;;) {
      const auto more = writer.fold_day(*db_);
      ASSERT_TRUE(more) << more.error().message;
      if (!*more) return;
    }
  }
  sql::Rows rows(std::string what) {
    auto found = db_->query_blocking({std::move(what), {}});
    EXPECT_TRUE(found) << found.error().message;
    return found ? std::move(*found) : sql::Rows();
  }
  std::vector<Bucket> sums(const SumsQuery& query) {
    auto found = loops_.wait_for([&] { return store_->sums(query); });
    EXPECT_TRUE(found) << found.error().message;
    return found ? std::move(*found) : std::vector<Bucket>();
  }
  EventsPage events(const EventsQuery& query) {
    auto found = loops_.wait_for([&] { return store_->events(query); });
    EXPECT_TRUE(found) << found.error().message;
    return found ? std::move(*found) : EventsPage();
  }
  /// All pages, as request ids.
  std::vector<std::string> all(EventsQuery query) {
    std::vector<std::string> found;
    do {
      EventsPage page = events(query);
      EXPECT_LE(page.events.size(), query.limit);
      for (const InferenceEvent& event : page.events) found.push_back(event.request_id);
      query.cursor = page.next_cursor;
    } while (!query.cursor.empty() && found.size() < 100'000);
    return found;
  }

  /// What the store should answer, by going through all events.
  static std::vector<Bucket> counted(const std::vector<InferenceEvent>& events,
                                     const SumsQuery& query, Clock::Time from, Clock::Time to) {
    std::map<std::pair<std::int64_t, std::string>, Sums> buckets;
    for (const InferenceEvent& event : events) {
      if (event.org_id != query.org_id || event.timestamp < from || event.timestamp >= to) continue;
      const std::string key = key_of(query.by, event);
      if (query.key && key != *query.key) continue;
      const std::int64_t bucket =
          query.step.count() == 0 ? 0 : (event.timestamp - from) / query.step;
      Sums& sums = buckets[{bucket, key}];
      sums.add(event);
    }
    std::vector<Bucket> out;
    for (auto& [where, sums] : buckets) {
      if (layout(query.by).latencies == Latencies::kLeftOut) sums.latency = {};
      out.push_back({from + where.first * query.step, where.second, std::move(sums)});
    }
    return out;
  }
  static void expect_same(const std::vector<Bucket>& found, const std::vector<Bucket>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      SCOPED_TRACE(format_rfc3339(expected[i].start) + " " + expected[i].key);
      EXPECT_EQ(found[i].start, expected[i].start);
      EXPECT_EQ(found[i].key, expected[i].key);
      const Sums &one = found[i].sums, &two = expected[i].sums;
      EXPECT_EQ(one.requests, two.requests);
      EXPECT_EQ(one.errors, two.errors);
      EXPECT_EQ(one.hits_by_tier, two.hits_by_tier);
      EXPECT_EQ(one.lookups, two.lookups);
      EXPECT_EQ(one.cost, two.cost);
      EXPECT_EQ(one.baseline_cost, two.baseline_cost);
      EXPECT_EQ(one.savings, two.savings);
      EXPECT_EQ(one.input_tokens, two.input_tokens);
      EXPECT_EQ(one.output_tokens, two.output_tokens);
      EXPECT_EQ(one.tokens_saved, two.tokens_saved);
      EXPECT_EQ(one.fallbacks, two.fallbacks);
      EXPECT_EQ(one.quality_count, two.quality_count);
      EXPECT_EQ(one.screened, two.screened);
      EXPECT_EQ(one.hallucinations, two.hallucinations);
      EXPECT_NEAR(one.quality_sum, two.quality_sum, 1e-6);
      EXPECT_NEAR(one.latency_ms_sum, two.latency_ms_sum, 1e-4);
      EXPECT_EQ(one.latency, two.latency);
      for (std::size_t tier = 0; tier < 4; ++tier)
        EXPECT_NEAR(one.lookup_ms_sum[tier], two.lookup_ms_sum[tier], 1e-4);
      EXPECT_DOUBLE_EQ(one.tokens_sum_of_squares, two.tokens_sum_of_squares);
    }
  }

  ManualClock clock_{kNow};
  std::mt19937_64 random_{7};
  testing::TempFolder folder_;
  testing::Loops loops_;
  std::unique_ptr<Store> store_;
};

Clock::Time down(Clock::Time time, std::chrono::minutes to) {
  return Clock::Time{time.time_since_epoch() / to * to};
}

TEST_P(AnalyticsStoreContract, AnswersAsACountOfTheEventsWould) {
  std::vector<InferenceEvent> history;
  for (int i = 0; i < 1'500; ++i) history.push_back(any(std::chrono::days(30)));
  for (int i = 0; i < 500; ++i) history.push_back(any(std::chrono::hours(3)));
  load(history);
  struct Window {
    Clock::Time from, to;
    std::chrono::seconds step;
  };
  const Clock::Time day = down(kNow, std::chrono::days(1)), hour = down(kNow, 1h),
                    minute = down(kNow, 1min);
  const std::vector<Window> windows = {
      {hour - 24h, hour, 0s},
      {day - std::chrono::days(30), day, 0s},
      {hour - std::chrono::days(7), hour, 0s},
      {hour - std::chrono::days(29), hour, 1h},
      {day - std::chrono::days(30), day, std::chrono::days(1)},
      {hour - std::chrono::days(7), hour, std::chrono::days(1)},
      {minute - 61min, minute, 0s},
      {minute - 25h, minute, 5min},
      {minute - 40h, minute - 3min, 0s},
      {minute - 60min, minute, 1min},
      {hour, hour, 0s},
  };
  for (const Dimension by : kDimensions) {
    for (const Window& window : windows) {
      SumsQuery query{.org_id = "acme",
                      .from = window.from,
                      .to = window.to,
                      .by = by,
                      .key = {},
                      .step = window.step};
      Clock::Time from = window.from, to = window.to;
      if (layout(by).finest == Grain::kHour) {
        from = down(from, 1h);
        if (to != down(to, 1h)) to = to >= hour ? hour + 1h : down(to, 1h);
        if (from != window.from && window.step.count() > 0) continue;
        // Hours of users are kept for eight days; the next wider are days.
        if (window.from < day - std::chrono::days(8)) {
          from = down(from, std::chrono::days(1));
          if (window.step == 1h) continue;
        }
      }
      SCOPED_TRACE(static_cast<int>(by));
      SCOPED_TRACE(format_rfc3339(window.from) + " to " + format_rfc3339(window.to));
      expect_same(sums(query), counted(history, query, from, to));
      query.key = by == Dimension::kNone ? std::nullopt : std::optional<std::string>("модель");
      if (by == Dimension::kModel) expect_same(sums(query), counted(history, query, from, to));
    }
  }
}

TEST_P(AnalyticsStoreContract, CountsTheCurrentMinuteUpToNow) {
  load({made(kNow), made(kNow - 5s)});
  const auto found = sums({.org_id = "acme", .from = kNow - 1h, .to = kNow});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].sums.requests, 2);
}

TEST_P(AnalyticsStoreContract, CountsUseToTheEvent) {
  std::vector<InferenceEvent> history;
  for (int i = 0; i < 600; ++i) history.push_back(any(std::chrono::days(130)));
  for (int i = 0; i < 600; ++i) history.push_back(any(3h));
  history.push_back(made(kNow + 5min));  // a clock that runs ahead
  // At the border itself, and just before it.
  for (const auto back : {std::chrono::milliseconds(30h), std::chrono::milliseconds(720h)}) {
    history.push_back(made(kNow - back));
    history.push_back(made(kNow - back - 1ms));
  }
  load(history);
  const auto counted_since = [&](Clock::Time from) {
    UseByError use;
    for (const InferenceEvent& event : history) {
      if (event.org_id != "acme" || event.timestamp < from) continue;
      ++use[event.error_code].requests;
      use[event.error_code].cost += event.cost;
    }
    return use;
  };
  const auto expect_counted = [&] {
    for (const Clock::Time from :
         {kNow - 24h, kNow - 30h, kNow - 720h, kNow - 1min, kNow, kNow + 1h, down(kNow, 1h) - 5h,
          down(kNow, 1min) - 17min, kNow - std::chrono::days(2),
          kNow - std::chrono::days(2) - 37min, kNow - std::chrono::days(110),
          down(kNow, std::chrono::days(1)) - std::chrono::days(120),
          kNow - std::chrono::days(400)}) {
      SCOPED_TRACE(format_rfc3339(from));
      const auto found = loops_.wait_for([&] { return store_->use_since("acme", from); });
      ASSERT_TRUE(found) << found.error().message;
      EXPECT_EQ(*found, counted_since(from));
    }
  };
  expect_counted();
  // While old rows are still being added up, rows alone say it.
  rows("DELETE FROM analytics_rollups");
  rows(
      "UPDATE analytics_state SET value = (SELECT MAX(id) FROM inference_events) WHERE name = "
      "'backfill_end'");
  expect_counted();
}

TEST_P(AnalyticsStoreContract, AnswersNothingForNothing) {
  SumsQuery query{.org_id = "acme", .from = kNow - 24h, .to = kNow, .by = Dimension::kModel};
  EXPECT_TRUE(sums(query).empty());
  load({made(kNow - 1h)});
  query.key = "no-such-model";
  EXPECT_TRUE(sums(query).empty());
  query.key.reset();
  query.org_id = "nobody";
  EXPECT_TRUE(sums(query).empty());
  EXPECT_TRUE(events({.org_id = "nobody"}).events.empty());
}

TEST_P(AnalyticsStoreContract, LeavesGapsOut) {
  load({made(kNow - 5h), made(kNow - 2h)});
  const Clock::Time hour = down(kNow, 1h);
  const auto found = sums({.org_id = "acme",
                           .from = hour - 6h,
                           .to = hour,
                           .by = Dimension::kNone,
                           .key = {},
                           .step = 1h});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].start, hour - 5h);
  EXPECT_EQ(found[1].start, hour - 2h);
}

TEST_P(AnalyticsStoreContract, PutsLateAndFutureEventsWhereTheirClocksSay) {
  load({made(kNow)});
  load({made(kNow - std::chrono::days(20)), made(kNow + 3h), made(kNow - 90min)});
  const Clock::Time day = down(kNow, std::chrono::days(1));
  auto found = sums({.org_id = "acme",
                     .from = day - std::chrono::days(30),
                     .to = day + std::chrono::days(1),
                     .by = Dimension::kNone,
                     .key = {},
                     .step = std::chrono::days(1)});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].start, day - std::chrono::days(20));
  EXPECT_EQ(found[1].sums.requests, 3);
  found = sums({.org_id = "acme", .from = kNow - 2h, .to = kNow - 1h});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].sums.requests, 1);
}

TEST_P(AnalyticsStoreContract, RoundsToWhatIsStillKept) {
  const Clock::Time old = down(kNow - std::chrono::days(10), std::chrono::days(1)) + 10h + 17min;
  load({made(old), made(old + 50min)});
  // Minutes are gone after two days: from and to are rounded down to the hour.
  auto found = sums({.org_id = "acme", .from = old + 5min, .to = old + 47min});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].start, down(old, 1h));
  EXPECT_EQ(found[0].sums.requests, 1);
  // Of users there are days only.
  found = sums(
      {.org_id = "acme", .from = old, .to = old + std::chrono::days(1), .by = Dimension::kUser});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].start, down(old, std::chrono::days(1)));
  EXPECT_EQ(found[0].sums.requests, 2);
}

TEST_P(AnalyticsStoreContract, SumsTheCheapKeysAsOther) {
  std::vector<InferenceEvent> history;
  for (int user = 0; user < 100; ++user) {
    InferenceEvent event = made(kNow - 2h);
    event.user_id = "user-" + std::to_string(user);
    event.cost = {user < 3 ? 50 : user * 1'000LL};
    history.push_back(event);
  }
  load(history);
  SumsQuery query{.org_id = "acme", .from = kNow - 24h, .to = kNow, .by = Dimension::kUser};
  query.max_keys = 2;
  const auto found = sums(query);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].key, "other");
  EXPECT_EQ(found[0].sums.requests, 98);
  EXPECT_EQ(found[1].key, "user-98");
  EXPECT_EQ(found[2].key, "user-99");
}

TEST_P(AnalyticsStoreContract, FindsTheDearestUsersInHoursDaysAndWeeks) {
  std::vector<InferenceEvent> history;
  for (int day = 0; day < 17; ++day) {
    std::vector<InferenceEvent> today;
    for (int i = 0; i < 40; ++i) {
      InferenceEvent event = any(std::chrono::hours(20));
      event.org_id = "acme";
      event.user_id = "user-" + std::to_string(random_() % 600);
      event.timestamp += clock_.now() - kNow;
      if (i == 0) event.timestamp -= std::chrono::days(9);  // late
      today.push_back(event);
    }
    history.insert(history.end(), today.begin(), today.end());
    load(today);
    fold_all();
    clock_.advance(std::chrono::days(1));
  }
  clock_.advance(-std::chrono::days(1));
  const Clock::Time now = clock_.now(), hour = down(now, 1h) + 1h,
                    day = down(now, std::chrono::days(1));
  const sql::Rows grains = rows("SELECT DISTINCT grain FROM analytics_rollups WHERE dimension = 3");
  EXPECT_EQ(grains.size(), 3U);
  for (const Clock::Time from : {day - std::chrono::days(16), day - std::chrono::days(12),
                                 down(now, 1h) - std::chrono::days(7), down(now, 1h) - 24h}) {
    SCOPED_TRACE(format_rfc3339(from));
    SumsQuery query{.org_id = "acme", .from = from, .to = now, .by = Dimension::kUser};
    const auto exact = counted(history, query, from, hour);
    expect_same(sums(query), exact);
    query.key = "user-7";
    expect_same(sums(query), counted(history, query, from, hour));
    query.key.reset();
    query.max_keys = 9;
    const auto found = sums(query);
    ASSERT_EQ(found.size(), 10U);
    std::vector<Bucket> dearest = exact;
    std::ranges::sort(dearest, [](const Bucket& one, const Bucket& two) {
      return std::pair(two.sums.cost, one.key) < std::pair(one.sums.cost, two.key);
    });
    Sums rest;
    for (std::size_t i = 9; i < dearest.size(); ++i) rest += dearest[i].sums;
    dearest.resize(9);
    dearest.push_back({from, "other", rest});
    std::ranges::sort(dearest, {}, &Bucket::key);
    expect_same(found, dearest);
  }
  const Clock::Time monday = day - std::chrono::days(14);
  const SumsQuery daily{.org_id = "acme",
                        .from = monday,
                        .to = day,
                        .by = Dimension::kApiKey,
                        .key = {},
                        .step = std::chrono::days(1)};
  expect_same(sums(daily), counted(history, daily, monday, day));

  // In buckets narrower than what is kept of old days, these count where they start: "other" too.
  const SumsQuery hourly{.org_id = "acme",
                         .from = day - std::chrono::days(12),
                         .to = now,
                         .by = Dimension::kUser,
                         .key = {},
                         .step = 1h,
                         .max_keys = 3};
  Sums total;
  for (const Bucket& bucket : sums(hourly)) {
    if (bucket.start < day - std::chrono::days(8))
      EXPECT_EQ(bucket.start, down(bucket.start, std::chrono::days(1)));
    EXPECT_GT(bucket.sums.requests, 0);
    EXPECT_GE(bucket.sums.cost, NanoUsd{});
    EXPECT_GE(bucket.sums.errors, 0);
    total += bucket.sums;
  }
  const SumsQuery whole{.org_id = "acme", .from = {}, .to = {}};
  const auto all_of_them = counted(history, whole, hourly.from, hour);
  ASSERT_EQ(all_of_them.size(), 1U);
  EXPECT_EQ(total.requests, all_of_them[0].sums.requests);
  EXPECT_EQ(total.cost, all_of_them[0].sums.cost);
}

// ---- once each

TEST_P(AnalyticsStoreContract, CountsALineOnceHoweverOftenItIsRead) {
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

TEST_P(AnalyticsStoreContract, KeepsRowsAndRollupsTogetherWhenATransactionFails) {
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

TEST_P(AnalyticsStoreContract, TakesInTheRowsFromBeforeTheMigration) {
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

TEST_P(AnalyticsStoreContract, ForgetsMinutesAndHoursWhenTheirTimeIsOver) {
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

TEST_P(AnalyticsStoreContract, ErasesWhatNamesAPerson) {
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

// ---- events

TEST_P(AnalyticsStoreContract, PagesThroughEventsNewestFirst) {
  std::vector<InferenceEvent> history;
  for (int i = 0; i < 300; ++i) history.push_back(any(std::chrono::hours(i % 5 == 0 ? 1 : 50)));
  for (int i = 0; i < 20; ++i) history.push_back(made(kNow - 1h));  // one moment
  load(history);
  std::erase_if(history, [](const InferenceEvent& event) { return event.org_id != "acme"; });
  std::ranges::sort(history, [](const InferenceEvent& one, const InferenceEvent& two) {
    return one.timestamp > two.timestamp;
  });
  const auto found = all({.org_id = "acme", .limit = 7});
  ASSERT_EQ(found.size(), history.size());
  std::map<std::string, Clock::Time> times;
  for (const InferenceEvent& event : history) times[event.request_id] = event.timestamp;
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(times[found[i]], history[i].timestamp);
  EXPECT_EQ(std::set(found.begin(), found.end()).size(), found.size());
}

TEST_P(AnalyticsStoreContract, GivesEventsAsTheyWere) {
  InferenceEvent event = any(1h);
  event.org_id = "acme";
  event.trim_savings = {77};
  event.latency_ms = std::round(event.latency_ms);
  load({event});
  const auto found = loops_.wait_for([&] { return store_->event("acme", event.request_id); });
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->event_id, event.event_id);
  EXPECT_EQ(found->timestamp, event.timestamp);
  EXPECT_EQ(found->user_id, event.user_id);
  EXPECT_EQ(found->model_selected, event.model_selected);
  EXPECT_EQ(found->routing_reason, event.routing_reason);
  EXPECT_EQ(found->cost, event.cost);
  EXPECT_EQ(found->baseline_cost, event.baseline_cost);
  EXPECT_EQ(found->trim_savings, event.trim_savings);
  EXPECT_EQ(found->batching_savings, event.batching_savings);
  EXPECT_EQ(found->hallucination, event.hallucination);
  EXPECT_EQ(found->cache_hit, event.cache_hit);
  EXPECT_EQ(found->cache_tier, event.cache_tier);
  EXPECT_EQ(found->latency_ms, event.latency_ms);
  EXPECT_NEAR(found->quality_score, event.quality_score, 0.005);
  for (const auto& [org, id] : {std::pair<std::string, std::string>("other", event.request_id),
                                {"acme", "req_nosuchthing"}}) {
    const auto foreign = loops_.wait_for([&] { return store_->event(org, id); });
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, Errc::kNotFound);
  }
}

TEST_P(AnalyticsStoreContract, FindsEventsByFiltersAndWords) {
  std::vector<InferenceEvent> history{made(kNow - 3h)};
  for (int i = 0; i < 700; ++i) history.push_back(any(std::chrono::hours(40)));
  load(history);
  const auto expect = [&](EventsQuery query, auto wanted) {
    query.org_id = "acme";
    query.limit = 40;
    std::vector<std::string> ids;
    for (const InferenceEvent& event : history) {
      if (event.org_id == "acme" && wanted(event)) ids.push_back(event.request_id);
    }
    EXPECT_THAT(all(query), ::testing::UnorderedElementsAreArray(ids));
    EXPECT_FALSE(ids.empty()) << "the test says nothing";
  };
  using Event = InferenceEvent;
  expect({.model = "модель"}, [](const Event& e) { return e.model_selected == "модель"; });
  expect({.task_type = "要約"}, [](const Event& e) { return e.task_type == "要約"; });
  expect({.user_id = "ann"}, [](const Event& e) { return e.user_id == "ann"; });
  expect({.api_key_prefix = "ask_abcdefgh", .provider = "openai"}, [](const Event& e) {
    return e.api_key_prefix == "ask_abcdefgh" && e.provider == "openai";
  });
  expect({.error_code = "ошибка"}, [](const Event& e) { return e.error_code == "ошибка"; });
  expect({.failed = true}, [](const Event& e) { return !e.error_code.empty(); });
  expect({.cache_hit = false, .failed = false},
         [](const Event& e) { return !e.cache_hit && e.error_code.empty(); });
  expect({.cache_tier = 2}, [](const Event& e) { return e.cache_tier == 2; });
  expect({.from = kNow - 20h, .to = kNow - 3h},
         [](const Event& e) { return e.timestamp >= kNow - 20h && e.timestamp < kNow - 3h; });
  expect({.request_id = history[0].request_id, .text = ""},
         [&](const Event& e) { return e.request_id == history[0].request_id; });
  expect({.text = "MINI ann"},
         [](const Event& e) { return e.model_selected == "gpt-4o-mini" && e.user_id == "ann"; });
  expect({.text = "ёл"}, [](const Event& e) { return e.user_id == "Ёлка Иванова"; });
  expect({.text = "иванова ОШИБ"},
         [](const Event& e) { return e.user_id == "Ёлка Иванова" && e.error_code == "ошибка"; });
  expect({.text = "günst"}, [](const Event& e) { return e.routing_reason.starts_with("G"); });
  expect({.text = "it's \"q\""}, [](const Event& e) { return e.model_selected == "it's \"q\""; });
  expect({.text = "cheap good"}, [](const Event& e) { return e.routing_reason.starts_with("ch"); });
  expect({.text = history[0].request_id.substr(0, 10)}, [&](const Event& e) {
    return e.request_id.starts_with(history[0].request_id.substr(0, 10));
  });
  expect({.user_id = "ann", .text = "gpt"},
         [](const Event& e) { return e.user_id == "ann" && e.model_selected.starts_with("gpt"); });
  EXPECT_TRUE(all({.org_id = "acme", .text = "nowhere"}).empty());
  EXPECT_TRUE(all({.org_id = "acme", .model = "gpt"}).empty()) << "filters are whole values";
}

TEST_P(AnalyticsStoreContract, FindsTheSameByTheIndexAsByLookingAtAllRows) {
  std::vector<InferenceEvent> history;
  const auto add = [&](int count, std::chrono::hours back, std::chrono::minutes over) {
    for (int i = 0; i < count; ++i) {
      InferenceEvent event = made(kNow - back - i * over / count);
      event.user_id = "user-" + std::to_string(i % 97);
      event.model_selected = i % 3 == 0 ? "gpt-4o" : "claude-3";
      if (i % 2'000 == 5) event.error_code = "timeout";
      history.push_back(std::move(event));
    }
  };
  add(9'000, 2h, 60min);
  history[4'000].user_id = "Ёлка";
  add(9'000, 3h, 600min);  // older than those before, so that blocks overlap
  load(history, 1 << 20);
  ASSERT_EQ(rows("SELECT block FROM event_blocks").size(), 2U) << "and some rows in none";
  std::ranges::sort(history, std::greater{}, &InferenceEvent::timestamp);
  const auto expect = [&](EventsQuery query, auto wanted) {
    std::vector<Clock::Time> times;
    for (const InferenceEvent& event : history) {
      if (wanted(event)) times.push_back(event.timestamp);
    }
    query.org_id = "acme";
    std::vector<Clock::Time> found;
    std::set<std::string> ids;
    do {
      EventsPage page = events(query);
      for (const InferenceEvent& event : page.events) {
        EXPECT_TRUE(wanted(event));
        found.push_back(event.timestamp);
        ids.insert(event.request_id);
      }
      query.cursor = page.next_cursor;
    } while (!query.cursor.empty() && found.size() < times.size());
    EXPECT_EQ(found, times);
    EXPECT_EQ(ids.size(), times.size());
    EXPECT_FALSE(times.empty()) << "the test says nothing";
  };
  using Event = InferenceEvent;
  expect({.error_code = "timeout", .limit = 3},
         [](const Event& e) { return e.error_code == "timeout"; });
  expect({.user_id = "user-13", .limit = 50},
         [](const Event& e) { return e.user_id == "user-13"; });
  expect({.text = "user 9 claude", .limit = 400}, [](const Event& e) {
    return matches(e, {"user", "9", "claude"});  // request ids may begin with 9
  });
  expect({.text = "ёлк"}, [](const Event& e) { return e.user_id == "Ёлка"; });
  expect({.from = kNow - 4h, .to = kNow - 150min, .model = "gpt-4o", .limit = 500},
         [](const Event& e) {
           return e.timestamp >= kNow - 4h && e.timestamp < kNow - 150min &&
                  e.model_selected == "gpt-4o";
         });
  EXPECT_TRUE(all({.org_id = "acme", .text = "gpt claude"}).empty());
  EXPECT_TRUE(all({.org_id = "other", .model = "gpt-4o"}).empty());

  // Requests and users have no index of the table.
  for (const std::size_t at : {std::size_t{3}, std::size_t{5'000}, history.size() - 2}) {
    const auto one = loops_.wait_for([&] { return store_->event("acme", history[at].request_id); });
    ASSERT_TRUE(one) << one.error().message;
    EXPECT_EQ(one->event_id, history[at].event_id);
    expect({.request_id = history[at].request_id},
           [&](const Event& e) { return e.request_id == history[at].request_id; });
  }
  for (const std::string user : {"user-13", "Ёлка", "nobody"}) {
    const auto found = loops_.wait_for([&] { return rows_of_user(*db_, "acme", user); });
    ASSERT_TRUE(found) << found.error().message;
    std::vector<std::int64_t> expected;
    const sql::Rows stored =
        rows("SELECT id FROM inference_events WHERE user_id = '" + user + "' ORDER BY id");
    for (std::size_t row = 0; row < stored.size(); ++row)
      expected.push_back(stored.integer(row, "id"));
    EXPECT_EQ(*found, expected);
  }

  // What was gathered while rows were inserted is what reading them gives.
  const auto dump = [&] {
    std::vector<std::string> all;
    const sql::Rows terms = rows("SELECT block, first_term, page FROM event_terms ORDER BY 1, 2");
    for (std::size_t row = 0; row < terms.size(); ++row)
      all.push_back(terms.text(row, "block") + terms.text(row, "first_term") +
                    terms.text(row, "page"));
    const sql::Rows times =
        rows("SELECT first_ms, last_ms, times FROM event_blocks ORDER BY block");
    for (std::size_t row = 0; row < times.size(); ++row)
      all.push_back(times.text(row, "first_ms") + '-' + times.text(row, "last_ms") +
                    times.text(row, "times"));
    return all;
  };
  const std::vector<std::string> gathered = dump();
  rows("DELETE FROM event_terms");
  rows("DELETE FROM event_blocks");
  rows("UPDATE analytics_state SET value = 0 WHERE name = 'index_next'");
  for (const bool more : {true, true, false}) {
    const auto indexed = index_next_block(*db_);
    ASSERT_TRUE(indexed) << indexed.error().message;
    EXPECT_EQ(*indexed, more);
  }
  EXPECT_EQ(dump(), gathered);

  // Erased from the table and from the index, also the words that nobody else had.
  rows("DELETE FROM inference_events WHERE user_id = 'Ёлка'");
  const auto terms_with = [&] {
    const sql::Rows pages = rows("SELECT page FROM event_terms");
    Terms terms;
    for (std::size_t row = 0; row < pages.size(); ++row)
      EXPECT_TRUE(parse_terms(pages.text(row, "page"), terms));
    return terms.count("wёлка") + terms.count("uЁлка");
  };
  EXPECT_EQ(terms_with(), 2U);
  ASSERT_TRUE(loops_.wait_for([&] { return erase_search_of(*db_, "acme", "Ёлка", kNow); }));
  EXPECT_EQ(terms_with(), 0U);
  expect({.error_code = "timeout", .limit = 3},
         [](const Event& e) { return e.error_code == "timeout"; });
  ASSERT_TRUE(loops_.wait_for([&] { return expire_search(*db_, "acme", kNow); }));
  EXPECT_TRUE(rows("SELECT block FROM event_terms").empty());
}

TEST_P(AnalyticsStoreContract, IndexesNothingThatWasDeletedMeanwhile) {
  std::vector<InferenceEvent> first, second;
  for (int i = 0; i < 16'500; ++i) {
    InferenceEvent event = made(kNow - 1h);
    event.user_id = i == 9'000 ? "erased" : "ann";
    (i < 10'000 ? first : second).push_back(std::move(event));
  }
  EventLoader loader({.dir = folder_.path(), .node_id = "node_1", .retry = 5ms, .clock = &clock_},
                     *db_);
  const auto log = [&](const std::vector<InferenceEvent>& events) {
    std::string lines;
    for (const InferenceEvent& event : events) {
      append_json(lines, event);
      lines += '\n';
    }
    auto file = EventLog::open(folder_.path(), clock_);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->append(lines));
  };
  log(first);
  loader.start();
  ASSERT_TRUE(loader.catch_up(30s));
  rows("DELETE FROM inference_events WHERE user_id = 'erased'");
  log(second);
  ASSERT_TRUE(loader.catch_up(30s));
  ASSERT_EQ(rows("SELECT block FROM event_blocks").size(), 2U);
  const sql::Rows pages = rows("SELECT page FROM event_terms WHERE block = 1");
  Terms terms;
  for (std::size_t row = 0; row < pages.size(); ++row)
    ASSERT_TRUE(parse_terms(pages.text(row, "page"), terms));
  EXPECT_EQ(terms.count("uerased"), 0U);
  EXPECT_EQ(terms.at("uann").size(), static_cast<std::size_t>(kBlockEvents) - 1);
}

TEST_P(AnalyticsStoreContract, NumbersNoRowAsADeletedOneInTheIndex) {
  std::vector<InferenceEvent> history;
  for (std::int64_t i = 1; i < kBlockEvents; ++i) history.push_back(made(kNow - 1h));
  load(history, 1 << 20);
  ASSERT_EQ(rows("SELECT block FROM event_blocks").size(), 1U) << "full, and nothing behind it";
  rows("DELETE FROM inference_events WHERE id > 8000");
  InferenceEvent next = made(kNow);
  next.user_id = "late";
  load({next});
  EXPECT_EQ(all({.org_id = "acme", .user_id = "late"}).size(), 1U);
  const auto found = loops_.wait_for([&] { return store_->event("acme", next.request_id); });
  EXPECT_TRUE(found);
}

TEST_P(AnalyticsStoreContract, RefusesACursorThatIsNotOne) {
  for (const char* cursor : {"x", "12", "12-", "12-3x", "-", "1 - 2"}) {
    const auto refused =
        loops_.wait_for([&] { return store_->events({.org_id = "acme", .cursor = cursor}); });
    ASSERT_FALSE(refused) << cursor;
    EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, AnalyticsStoreContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::gateway::analytics
