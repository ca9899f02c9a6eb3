// Sums over rollups are those of the events, on every engine.
#include "gateway/analytics/rollup_cells.h"
#include "gateway/analytics/testing/store_contract.h"

namespace asahi::gateway::analytics {
namespace {

using namespace std::chrono_literals;
using testing::down;
using ::testing::ElementsAre;
using testing::kNow;

class StoreSums : public testing::AnalyticsStoreContract {};

TEST_P(StoreSums, AnswersAsACountOfTheEventsWould) {
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

TEST_P(StoreSums, CountsTheCurrentMinuteUpToNow) {
  load({made(kNow), made(kNow - 5s)});
  const auto found = sums({.org_id = "acme", .from = kNow - 1h, .to = kNow});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].sums.requests, 2);
}

TEST_P(StoreSums, CountsUseToTheEvent) {
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

TEST_P(StoreSums, AnswersNothingForNothing) {
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

TEST_P(StoreSums, LeavesGapsOut) {
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

TEST_P(StoreSums, PutsLateAndFutureEventsWhereTheirClocksSay) {
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

TEST_P(StoreSums, RoundsToWhatIsStillKept) {
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

TEST_P(StoreSums, SumsTheCheapKeysAsOther) {
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

TEST_P(StoreSums, FindsTheDearestUsersInHoursDaysAndWeeks) {
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

INSTANTIATE_TEST_SUITE_P(Engines, StoreSums, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::gateway::analytics
