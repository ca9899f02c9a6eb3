#pragma once
// Rollups and the store that reads them, against a count of the events themselves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "base/ids.h"
#include "gateway/analytics/rollups.h"
#include "gateway/analytics/store.h"
#include "gateway/events/loader.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/temp_folder.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway::analytics::testing {

using namespace std::chrono_literals;

inline constexpr Clock::Time kNow{
    std::chrono::seconds{1'795'003'200 + 37 * 60 + 20}};  // 12:37:20 UTC

/// A store over rollups and rows, and events to fill it with; counts them itself, too.
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

  /// Into the log, as a process does; a loader brings it into the table.
  void log(const std::vector<InferenceEvent>& events) {
    std::string lines;
    for (const InferenceEvent& event : events) {
      append_json(lines, event);
      lines += '\n';
    }
    auto file = EventLog::open(folder_.path(), clock_);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->append(lines));
  }
  /// Through the log into the table, as a process does.
  void load(const std::vector<InferenceEvent>& events, std::size_t batch_bytes = 30'000) {
    ASSERT_NO_FATAL_FAILURE(log(events));
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
  gateway::testing::TempFolder folder_;
  gateway::testing::Loops loops_;
  std::unique_ptr<Store> store_;
};

/// The last whole `to` (an hour, a day) before `time`.
inline Clock::Time down(Clock::Time time, std::chrono::minutes to) {
  return Clock::Time{time.time_since_epoch() / to * to};
}

}  // namespace asahi::gateway::analytics::testing
