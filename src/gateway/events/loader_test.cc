// The way of events from the log into `inference_events`, on every engine.
#include "gateway/events/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "base/ids.h"
#include "gateway/analytics/rollup_cells.h"
#include "gateway/events/past_totals.h"
#include "gateway/events/recorder.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/temp_folder.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using sql::testing::Engine;
using ::testing::ElementsAre;

constexpr Clock::Time kNoon{std::chrono::seconds{1'795'003'200}};

class EventLoaderContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override { open_database({}); }
  void migrate() {
    const auto upgraded = sql::Migrator(*db_, migrations()).upgrade();
    ASSERT_TRUE(upgraded) << upgraded.error().message;
  }

  InferenceEvent made(std::string org = "default") {
    InferenceEvent event;
    event.event_id = make_ulid(clock_.now());
    event.request_id = "req_1";
    event.timestamp = clock_.now();
    event.org_id = std::move(org);
    event.task_type = "faq";
    event.model_selected = "gpt-4o";
    event.provider = "openai";
    event.routing_mode = "autopilot";
    event.input_tokens = 12;
    event.output_tokens = 34;
    event.latency_ms = 56.6;
    event.cost = {123'456'789};
    event.baseline_cost = {1'000'000'001};
    event.quality_score = 4.6;
    event.streamed = true;
    event.retries = 2;
    return event;
  }
  /// As the recorder writes it.
  void log(const InferenceEvent& event) {
    std::string line;
    append_json(line, event);
    log_line(line);
  }
  void log_line(const std::string& line) {
    auto log = EventLog::open(folder_.path(), clock_);
    ASSERT_TRUE(log);
    ASSERT_TRUE(log->append(line + "\n"));
  }
  std::unique_ptr<EventLoader> loader(std::string node = "node_1") {
    auto made = std::make_unique<EventLoader>(
        EventLoader::Options{
            .dir = folder_.path(), .node_id = node, .batch_bytes = 4096, .retry = 5ms},
        *db_);
    made->start();
    return made;
  }
  /// A process's life: loads what is there and ends.
  std::uint64_t load() {
    const auto process = loader();
    EXPECT_TRUE(process->catch_up(20s));
    return process->skipped_lines();
  }
  sql::Rows rows(std::string what = "SELECT * FROM inference_events ORDER BY id") {
    auto found = db_->query_blocking({std::move(what), {}});
    EXPECT_TRUE(found) << found.error().message;
    return found ? std::move(*found) : sql::Rows();
  }

  ManualClock clock_{kNoon};
  testing::TempFolder folder_;
};

TEST_P(EventLoaderContract, GathersLinesUnlessSomebodyWaitsForThem) {
  migrate();
  EventLoader process({.dir = folder_.path(), .node_id = "node_1", .gather = 24h}, *db_);
  process.start();
  for (std::size_t stored = 1; stored <= 2; ++stored) {
    log(made("acme"));
    process.wake();
    EXPECT_TRUE(process.catch_up(20s));
    EXPECT_EQ(rows().size(), stored);
  }
  log(made("acme"));
  process.wake();
  EXPECT_EQ(rows().size(), 2U);
}

// As while old rollups are being deleted, the sums of all before the others.
TEST_P(EventLoaderContract, AddsToPagesThatNoSumOfAllTellsOf) {
  migrate();
  log(made("acme"));
  load();
  rows("DELETE FROM analytics_rollups WHERE dimension = 0");
  log(made("acme"));
  load();
  EXPECT_EQ(rows().size(), 2U);
  const sql::Rows models = rows("SELECT sums FROM analytics_rollups WHERE dimension = 1");
  ASSERT_FALSE(models.empty());
  for (std::size_t row = 0; row < models.size(); ++row) {
    const auto page = analytics::parse_page(models.text(row, "sums"), 0);
    ASSERT_TRUE(page);
    ASSERT_EQ(page->size(), 1U);
    EXPECT_EQ(page->front().second.requests, 2);
  }
}

TEST_P(EventLoaderContract, NumbersRowsInTheOrderOfTheLogWithoutAGap) {
  migrate();
  std::vector<std::string> ids;
  for (int i = 0; i < 50; ++i) {  // some batches
    const InferenceEvent event = made();
    ids.push_back(event.event_id);
    log(event);
  }
  load();
  const sql::Rows found = rows();
  ASSERT_EQ(found.size(), ids.size());
  for (std::size_t row = 0; row < found.size(); ++row) {
    EXPECT_EQ(found.text(row, "event_id"), ids[row]);
    EXPECT_EQ(found.integer(row, "id"), found.integer(0, "id") + static_cast<std::int64_t>(row));
  }
}

TEST_P(EventLoaderContract, CutsNumbersToWhatTheirColumnsHold) {
  migrate();
  InferenceEvent event = made();
  event.quality_score = 1e9;
  event.cache_similarity = 77;
  event.retries = 1'000'000;
  event.input_tokens = event.output_tokens = 2'000'000'000;
  event.cost = {-999'999'999'999'999'999};
  event.baseline_cost = {999'999'999'999'999'999};
  event.cache_hit = true;
  log(event);
  EXPECT_EQ(load(), 0U);
  const sql::Rows found = rows();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.text(0, "quality_score"), "99.99");
  EXPECT_EQ(found.text(0, "cache_similarity"), "9.9999");
  EXPECT_EQ(found.integer(0, "retries"), 32'767);
  EXPECT_EQ(found.integer(0, "total_tokens"), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(found.text(0, "savings"), "999999999.999999999");
}

TEST_P(EventLoaderContract, StoresEveryFieldOfAnEvent) {
  migrate();
  InferenceEvent event = made("acme");
  event.user_id = "ann \"é\"";
  event.routing_reason = "because";
  event.tokens_saved = 46;
  event.cache_hit = true;
  event.cache_tier = 1;
  event.cache_similarity = 0.98765;
  event.fallback_used = true;
  event.error_code = "timeout";
  event.api_key_prefix = "ask_12345678";
  log(event);
  load();
  const sql::Rows found = rows();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.text(0, "event_id"), event.event_id);
  EXPECT_EQ(found.text(0, "request_id"), "req_1");
  EXPECT_EQ(found.text(0, "org_id"), "acme");
  EXPECT_EQ(found.text(0, "user_id"), "ann \"é\"");
  EXPECT_EQ(found.text(0, "task_type"), "faq");
  EXPECT_EQ(found.text(0, "model_selected"), "gpt-4o");
  EXPECT_EQ(found.text(0, "provider"), "openai");
  EXPECT_EQ(found.text(0, "routing_mode"), "autopilot");
  EXPECT_EQ(found.text(0, "routing_reason"), "because");
  EXPECT_TRUE(found.boolean(0, "cache_hit"));
  EXPECT_EQ(found.integer(0, "cache_tier"), 1);
  EXPECT_EQ(found.integer(0, "input_tokens"), 12);
  EXPECT_EQ(found.integer(0, "output_tokens"), 34);
  EXPECT_EQ(found.integer(0, "total_tokens"), 46);
  EXPECT_EQ(found.integer(0, "latency_ms"), 57);
  EXPECT_EQ(found.text(0, "cost"), "0.123456789") << "to the nano-dollar";
  EXPECT_EQ(found.text(0, "baseline_cost"), "1.000000001");
  EXPECT_EQ(found.text(0, "savings"), "0.876543212");
  EXPECT_DOUBLE_EQ(found.real(0, "quality_score"), 4.6);
  EXPECT_DOUBLE_EQ(found.real(0, "cache_similarity"), 0.988) << "the log keeps three digits";
  EXPECT_EQ(found.integer(0, "tokens_saved"), 46);
  EXPECT_TRUE(found.boolean(0, "fallback_used"));
  EXPECT_TRUE(found.boolean(0, "streamed"));
  EXPECT_EQ(found.integer(0, "retries"), 2);
  EXPECT_EQ(found.text(0, "error_code"), "timeout");
  EXPECT_EQ(found.text(0, "api_key_prefix"), "ask_12345678");
  const auto stored = parse_rfc3339(found.text(0, "timestamp"));
  ASSERT_TRUE(stored) << found.text(0, "timestamp");
  EXPECT_EQ(*stored, clock_.now());
}

TEST_P(EventLoaderContract, LoadsEachEventOnceOverRestartsAndDays) {
  migrate();
  for (int i = 0; i < 120; ++i) log(made());
  load();
  EXPECT_EQ(rows().size(), 120U) << "more than one batch and one statement";
  load();
  EXPECT_EQ(rows().size(), 120U) << "nothing new";
  log(made());
  clock_.advance(24h);
  log(made());
  load();
  EXPECT_EQ(rows().size(), 122U);
}

TEST_P(EventLoaderContract, KeepsOneRowOfALineThatStandsTwice) {
  migrate();
  const InferenceEvent event = made();
  log(event);
  log(event);
  load();
  EXPECT_EQ(rows().size(), 1U);
}

TEST_P(EventLoaderContract, ReadsOnFromItsPositionNotFromTheStart) {
  migrate();
  log(made());
  load();
  rows("DELETE FROM inference_events");
  log(made());
  load();
  EXPECT_EQ(rows().size(), 1U);
}

TEST_P(EventLoaderContract, KeepsThePositionsOfNodesApart) {
  migrate();
  log(made());
  load();
  rows("DELETE FROM inference_events");
  EXPECT_TRUE(loader("node_2")->catch_up(20s));
  EXPECT_EQ(rows().size(), 1U) << "another node's log is another log";
}

TEST_P(EventLoaderContract, SkipsCorruptLinesAndCountsThem) {
  migrate();
  log(made());
  log_line("{\"event_id\": cut");
  log(made());
  EXPECT_EQ(load(), 1U);
  EXPECT_EQ(rows().size(), 2U);
}

TEST_P(EventLoaderContract, TakesWhateverAClientOrVendorPutIntoAnEvent) {
  migrate();
  InferenceEvent event = made();
  event.user_id = std::string(254, 'x') + "é and more";  // cut inside a character at 255 bytes
  log(event);
  event = made();
  event.user_id = std::string("nul\0inside", 10);
  log(event);
  event = made();
  event.input_tokens = 5'000'000'000;
  event.output_tokens = -3;
  event.cost = {std::numeric_limits<std::int64_t>::max()};
  event.latency_ms = 1e18;
  event.task_type = std::string(300, 't');
  event.error_code = std::string(300, 'e');
  event.retries = 7;
  log(event);
  log(made());
  load();
  const sql::Rows found = rows();
  ASSERT_EQ(found.size(), 4U) << "one odd event must not hold up those behind it";
  EXPECT_EQ(found.text(0, "user_id"), std::string(254, 'x'));
  EXPECT_EQ(found.text(1, "user_id"), "nulinside");
  EXPECT_EQ(found.integer(2, "input_tokens"), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(found.integer(2, "output_tokens"), 0);
}

TEST_P(EventLoaderContract, WaitsForTheDatabaseAndLosesNothing) {
  log(made());
  const auto process = loader();  // no tables yet: every statement is refused
  while (process->healthy()) std::this_thread::yield();
  EXPECT_FALSE(process->catch_up(0ms));
  log(made());
  migrate();
  EXPECT_TRUE(process->catch_up(20s));
  EXPECT_TRUE(process->healthy());
  EXPECT_EQ(rows().size(), 2U);
}

TEST_P(EventLoaderContract, TellsOnceThatTheOldLogIsLoaded) {
  migrate();
  log(made());
  int told = 0;
  std::size_t rows_then = 0;
  EventLoader process({.dir = folder_.path(), .node_id = "node_1", .retry = 5ms}, *db_,
                      [&]() -> Result<void> {
                        if (++told == 1) return fail(Errc::kUnavailable, "not yet");
                        rows_then = rows().size();
                        return {};
                      });
  process.start();
  EXPECT_TRUE(process.catch_up(20s));
  log(made());
  EXPECT_TRUE(process.catch_up(20s));
  EXPECT_EQ(told, 2) << "once more after it failed, then never again";
  EXPECT_EQ(rows_then, 1U);
}

// ---- sums from before the start

TEST_P(EventLoaderContract, GivesTheSumsThatTotalsWouldHold) {
  migrate();
  Totals live;
  const auto happened = [&](InferenceEvent event) {
    live.add(event);
    log(event);
  };
  for (int i = 0; i < 3; ++i) happened(made());
  InferenceEvent hit = made();
  hit.cache_hit = true;
  hit.cache_tier = 1;
  hit.cost = {};
  hit.latency_ms = 1;
  happened(hit);
  InferenceEvent failed = made();
  failed.event_type = "error";
  failed.model_selected = "none";
  failed.error_code = "timeout";
  failed.cost = failed.baseline_cost = {5};
  happened(failed);
  InferenceEvent embedding = made();
  embedding.event_type = "embedding";
  embedding.routing_mode = "explicit";
  embedding.quality_score = 0;
  happened(embedding);
  happened(made("acme"));
  load();

  clock_.advance(1s);
  const auto before = totals_before(*db_, clock_.now());
  ASSERT_TRUE(before) << before.error().message;
  ASSERT_EQ(before->size(), 2U);
  const OrgTotals& stored = before->at("default");
  const OrgTotals expected = live.of("default");
  EXPECT_EQ(stored.requests, 6);
  EXPECT_EQ(stored.requests, expected.requests);
  EXPECT_EQ(stored.errors, 1);
  EXPECT_EQ(stored.cost, expected.cost);
  EXPECT_EQ(stored.cost.nanos, 4 * 123'456'789 + 5);
  EXPECT_EQ(stored.baseline_cost, expected.baseline_cost);
  EXPECT_EQ(stored.cache_saved, expected.cache_saved);
  EXPECT_EQ(stored.lookups, expected.lookups);
  EXPECT_EQ(stored.hits_by_tier, expected.hits_by_tier);
  EXPECT_EQ(stored.cost_by_model, expected.cost_by_model);
  EXPECT_EQ(stored.requests_by_model, expected.requests_by_model);
  EXPECT_EQ(stored.requests_by_mode, expected.requests_by_mode);
  EXPECT_EQ(stored.quality_count, expected.quality_count);
  EXPECT_NEAR(stored.quality_sum, expected.quality_sum, 1e-6);
  EXPECT_NEAR(stored.latency_ms_sum, expected.latency_ms_sum, 0.5 * 6);
  EXPECT_EQ(before->at("acme").requests, 1);
}

TEST_P(EventLoaderContract, LeavesOutWhatCameAfterTheStart) {
  migrate();
  log(made());
  clock_.advance(1s);
  const Clock::Time start = clock_.now();
  log(made());
  load();
  const auto before = totals_before(*db_, start);
  ASSERT_TRUE(before) << before.error().message;
  EXPECT_EQ(before->at("default").requests, 1);
}

INSTANTIATE_TEST_SUITE_P(Engines, EventLoaderContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

TEST(Totals, AddTheSumsFromBeforeToThoseOfNow) {
  Totals totals;
  InferenceEvent event;
  event.org_id = "default";
  event.model_selected = "gpt-4o";
  event.cost = {7};
  totals.add(event);
  OrgTotals before;
  before.requests = 10;
  before.errors = 2;
  before.cost = {100};
  before.cost_by_model["gpt-4o"] = {100};
  before.hits_by_tier[1] = 3;
  EXPECT_FALSE(totals.is_complete());
  totals.restore({{"default", before}, {"acme", before}});
  totals.complete();
  EXPECT_TRUE(totals.is_complete());
  const OrgTotals now = totals.of("default");
  EXPECT_EQ(now.requests, 11);
  EXPECT_EQ(now.errors, 2);
  EXPECT_EQ(now.cost.nanos, 107);
  EXPECT_EQ(now.cost_by_model.at("gpt-4o").nanos, 107);
  EXPECT_EQ(now.hits(), 3);
  EXPECT_EQ(totals.of("acme").requests, 10);
}

TEST(Totals, CountTheMoneySpentOnRequestsThatFailed) {
  Totals totals;
  InferenceEvent failed;
  failed.org_id = "default";
  failed.model_selected = "gpt-4o";
  failed.error_code = "stream_cut";
  failed.cost = failed.baseline_cost = {40};
  totals.add(failed);
  const OrgTotals org = totals.of("default");
  EXPECT_EQ(org.cost.nanos, 40);
  EXPECT_EQ(org.savings().nanos, 0);
  EXPECT_EQ(org.cost_by_model.at("gpt-4o").nanos, 40);
  EXPECT_FALSE(org.requests_by_model.contains("gpt-4o")) << "answered requests only";
}

}  // namespace
}  // namespace asahi::gateway
