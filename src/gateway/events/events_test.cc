#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <latch>
#include <thread>

#include "gateway/events/event.h"
#include "gateway/events/event_log.h"
#include "gateway/events/recorder.h"
#include "gateway/events/totals.h"

namespace asahi::gateway {
namespace {

/// A folder of its own for each test.
class EventLogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "asahi-events-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::vector<std::string> all_lines() const {
    std::vector<std::string> lines;
    LogPosition at;
    for (;;) {
      const auto batch = read_log(dir_, at, 64);
      if (!batch || (batch->next.file == at.file && batch->next.offset == at.offset)) return lines;
      lines.insert(lines.end(), batch->lines.begin(), batch->lines.end());
      at = batch->next;
    }
  }

  std::string dir_;
  ManualClock clock_{Clock::Time{std::chrono::seconds{1'795'000'000}}};
};

InferenceEvent sample() {
  InferenceEvent event;
  event.event_id = "01TEST";
  event.request_id = "req_1";
  event.timestamp = Clock::Time{std::chrono::seconds{1'795'000'000}};
  event.org_id = "default";
  event.user_id = "ann \"quoted\", é";
  event.model_selected = "gpt-4o";
  event.provider = "openai";
  event.routing_mode = "autopilot";
  event.input_tokens = 12;
  event.output_tokens = 34;
  event.latency_ms = 56.789;
  event.cost = NanoUsd{123'456};
  event.baseline_cost = NanoUsd{1'140'000};
  event.fallback_used = true;
  return event;
}

TEST(InferenceEvent, SurvivesItsJsonLine) {
  std::string line;
  append_json(line, sample());
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto read = event_from_json(line);
  ASSERT_TRUE(read) << read.error().message;
  std::string again;
  append_json(again, *read);
  EXPECT_EQ(again, line);
  EXPECT_EQ(read->cost.nanos, 123'456);
  EXPECT_EQ(read->savings().nanos, 1'016'544);
  EXPECT_EQ(read->user_id, "ann \"quoted\", é");
}

TEST(InferenceEvent, WritesMillisecondsWithUpToThreeDecimals) {
  const std::pair<double, const char*> cases[] = {
      {0, "0"},         {5, "5"},      {1.2344, "1.234"}, {1.2345678, "1.235"},
      {0.05, "0.05"},   {0.0004, "0"}, {10.1, "10.1"},    {-2.25, "-2.25"},
      {1e6, "1000000"}, {NAN, "0"},    {0.999, "0.999"},  {99.9996, "100"}};
  for (const auto& [number, written] : cases) {
    InferenceEvent event = sample();
    event.latency_ms = number;
    std::string line;
    append_json(line, event);
    EXPECT_NE(line.find(std::string("\"latency_ms\":") + written + ','), std::string::npos)
        << number << ": " << line;
  }
}

TEST(InferenceEvent, IsReadAlikeWhateverTheLineLooksLike) {
  InferenceEvent event = sample();
  event.user_id = "ann é";
  event.task_type = "faq";
  event.routing_reason = "cheap";
  event.cache_hit = true;
  event.cache_tier = 2;
  event.cache_similarity = 0.987;
  event.tokens_saved = 12;
  event.cost = NanoUsd{-1};
  event.trim_savings = NanoUsd{123'456'789'012};
  event.batching_savings = NanoUsd{-7};
  event.quality_score = 4.25;
  event.hallucination = true;
  event.error_code = "timeout";
  event.retries = 3;
  event.route = "/infer";
  std::string line;
  append_json(line, event);
  const auto plain = event_from_json(line);
  // A blank, an escape, an exponent: what the program itself does not write.
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"{", "{ "},
                                 {"\"faq\"", "\"\\u0066aq\""},
                                 {"\"tokens_saved\":12", "\"unknown\":{},\"tokens_saved\":12"},
                                 {"56.789", "5.6789e1"}}) {
    std::string other = line;
    ASSERT_NE(other.find(from), std::string::npos) << from;
    other.replace(other.find(from), from.size(), to);
    const auto read = event_from_json(other);
    ASSERT_TRUE(plain && read) << other;
    std::string one, two;
    append_json(one, *plain);
    append_json(two, *read);
    EXPECT_EQ(one, line);
    EXPECT_EQ(two, line);
  }
  EXPECT_FALSE(event_from_json(line.substr(0, line.size() - 1)));
  EXPECT_FALSE(event_from_json(line + "x"));
  std::string broken = line;
  broken[broken.find("faq")] = '\xff';
  EXPECT_FALSE(event_from_json(broken)) << "PostgreSQL would refuse it";
}

TEST(InferenceEvent, WhatIsWrittenForOthersDoesNotKeepTheRestFromBeingRead) {
  InferenceEvent event = sample();
  event.trace_high = 1;
  event.trace_low = 2;
  event.http_status = 503;
  event.error_code = "timeout";
  std::string line;
  append_json(line, event);
  ASSERT_NE(line.find("\"trace_id\""), std::string::npos);
  const auto read = event_from_json(line);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->trace_high, 0U);
  EXPECT_EQ(read->org_id, event.org_id);
  EXPECT_EQ(read->cost, event.cost);
  EXPECT_EQ(read->error_code, "timeout");
}

TEST(InferenceEvent, RefusesLinesThatAreNoEvents) {
  for (const char* line :
       {"", "{", "[]", "{}", R"({"event_id":"x","request_id":"r","timestamp":"yesterday"})"}) {
    const auto read = event_from_json(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().code, Errc::kCorrupt);
  }
}

TEST(InferenceEvent, WritesCsvThatSpreadsheetsDoNotRun) {
  InferenceEvent event = sample();
  event.user_id = "=cmd()";
  std::string row;
  append_csv(row, event);
  EXPECT_NE(row.find("\"'=cmd()\""), std::string::npos) << row;
  EXPECT_EQ(std::ranges::count(csv_header(), ','), 19);
}

TEST_F(EventLogTest, KeepsLinesInOrderOverDays) {
  auto log = EventLog::open(dir_, clock_);
  ASSERT_TRUE(log);
  ASSERT_TRUE(log->append("one\ntwo\n"));
  clock_.advance(std::chrono::hours(24));
  ASSERT_TRUE(log->append("three\n"));
  EXPECT_EQ(log_files(dir_).size(), 2U);
  EXPECT_EQ(all_lines(), (std::vector<std::string>{"one", "two", "three"}));
}

TEST_F(EventLogTest, ClosesALineThatACrashCut) {
  {
    auto log = EventLog::open(dir_, clock_);
    ASSERT_TRUE(log->append("whole\n{\"cut"));
  }
  auto log = EventLog::open(dir_, clock_);
  ASSERT_TRUE(log->append("next\n"));
  EXPECT_EQ(all_lines(), (std::vector<std::string>{"whole", "{\"cut", "next"}));
}

TEST_F(EventLogTest, LeavesAnUnfinishedLineForLater) {
  auto log = EventLog::open(dir_, clock_);
  ASSERT_TRUE(log->append("first\nsec"));
  auto batch = read_log(dir_, {}, 1024);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->lines, std::vector<std::string>{"first"});
  std::ofstream(dir_ + "/" + batch->next.file, std::ios::app) << "ond\n";
  batch = read_log(dir_, batch->next, 1024);
  EXPECT_EQ(batch->lines, std::vector<std::string>{"second"});
}

TEST_F(EventLogTest, RecorderWritesAndShowsEveryEventOnce) {
  Totals totals;
  {
    auto recorder = EventRecorder::start({.dir = dir_}, clock_,
                                         {[&](const InferenceEvent& event) { totals.add(event); }});
    ASSERT_TRUE(recorder);
    std::vector<std::thread> writers;
    for (int t = 0; t < 4; ++t) {
      writers.emplace_back([&] {
        for (int i = 0; i < 1'000; ++i) (*recorder)->record(sample());
      });
    }
    for (std::thread& writer : writers) writer.join();
    ASSERT_TRUE((*recorder)->flush(std::chrono::seconds(10)));
    EXPECT_EQ(totals.of("default").requests, 4'000);
    EXPECT_EQ((*recorder)->dropped(), 0U);
  }
  EXPECT_EQ(all_lines().size(), 4'000U);
  EXPECT_EQ(totals.of("default").cost.nanos, 4'000LL * 123'456);
}

TEST_F(EventLogTest, RecorderTellsItsBacklog) {
  std::latch seen(1), go_on(1);
  auto recorder = EventRecorder::start({.dir = dir_, .batch_wait = std::chrono::milliseconds(0)},
                                       clock_, {[&](const InferenceEvent& event) {
                                         if (event.request_id != "first") return;
                                         seen.count_down();
                                         go_on.wait();
                                       }});
  ASSERT_TRUE(recorder);
  EXPECT_EQ((*recorder)->backlog(), 0U);
  InferenceEvent first = sample();
  first.request_id = "first";
  (*recorder)->record(first);
  seen.wait();
  for (int i = 0; i < 10; ++i) (*recorder)->record(sample());
  EXPECT_EQ((*recorder)->backlog(), 11U) << "an event counts until everybody has seen it";
  EXPECT_FALSE((*recorder)->flush(std::chrono::milliseconds(1)));
  go_on.count_down();
  ASSERT_TRUE((*recorder)->flush(std::chrono::seconds(10)));
  EXPECT_EQ((*recorder)->backlog(), 0U);
}

TEST_F(EventLogTest, RecorderHasFlushedOnlyWhenItsCallbackRan) {
  std::latch called(1), go_on(1);
  auto recorder =
      EventRecorder::start({.dir = dir_, .batch_wait = std::chrono::milliseconds(0)}, clock_, {});
  ASSERT_TRUE(recorder);
  (*recorder)->on_written([&] {
    called.count_down();
    go_on.wait();
  });
  (*recorder)->record(sample());
  called.wait();
  EXPECT_FALSE((*recorder)->flush(std::chrono::milliseconds(1)))
      << "what the callback uses is still in use";
  go_on.count_down();
  EXPECT_TRUE((*recorder)->flush(std::chrono::seconds(10)));
}

TEST_F(EventLogTest, RecorderGoesOnInTheLogOfTheProcessBefore) {
  for (int process = 0; process < 2; ++process) {
    auto recorder =
        EventRecorder::start({.dir = dir_, .batch_wait = std::chrono::milliseconds(0)}, clock_, {});
    ASSERT_TRUE(recorder);
    (*recorder)->record(sample());
  }
  EXPECT_EQ(log_files(dir_), std::vector<std::string>{"events_2026-11-18.jsonl"});
  EXPECT_EQ(all_lines().size(), 2U) << "the destructor writes out what is queued";
}

TEST_F(EventLogTest, StartsANewFileAtMidnightUtcOnly) {
  auto log = EventLog::open(dir_, clock_);
  ASSERT_TRUE(log);
  // 2026-11-18T11:06:40Z
  clock_.advance(std::chrono::hours(12) + std::chrono::minutes(53) + std::chrono::seconds(19));
  ASSERT_TRUE(log->append("last of the day\n"));
  EXPECT_EQ(log_files(dir_).size(), 1U);
  clock_.advance(std::chrono::seconds(1));
  ASSERT_TRUE(log->append("first of the next\n"));
  EXPECT_EQ(log_files(dir_),
            (std::vector<std::string>{"events_2026-11-18.jsonl", "events_2026-11-19.jsonl"}));
}

TEST_F(EventLogTest, KeepsEventsInMemoryWhileTheDiskRefusesAndWritesThemLater) {
  auto recorder =
      EventRecorder::start({.dir = dir_, .batch_wait = std::chrono::milliseconds(0)}, clock_, {});
  ASSERT_TRUE(recorder);
  std::filesystem::remove_all(dir_);
  clock_.advance(std::chrono::hours(24));  // the next write needs a new file
  (*recorder)->record(sample());
  while ((*recorder)->healthy()) std::this_thread::yield();
  EXPECT_EQ((*recorder)->backlog(), 1U);
  std::filesystem::create_directories(dir_);
  ASSERT_TRUE((*recorder)->flush(std::chrono::seconds(20)));
  EXPECT_TRUE((*recorder)->healthy());
  EXPECT_EQ(all_lines().size(), 1U);
  EXPECT_EQ((*recorder)->dropped(), 0U);
}

TEST_F(EventLogTest, RefusesAFolderThatCannotBeMade) {
  std::ofstream(dir_ + "/file") << "x";
  const auto log = EventLog::open(dir_ + "/file/below", clock_);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Errc::kUnavailable);
}

TEST_F(EventLogTest, ReadsPastALineLongerThanAnyEvent) {
  auto log = EventLog::open(dir_, clock_);
  ASSERT_TRUE(log->append(std::string(1'000, 'x') + "\nafter\n"));
  const auto lines = all_lines();
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back(), "after");
}

TEST_F(EventLogTest, RecorderCountsWhatDoesNotFit) {
  auto recorder = EventRecorder::start(
      {.dir = dir_, .max_queued = 10, .batch_wait = std::chrono::milliseconds(50)}, clock_, {});
  ASSERT_TRUE(recorder);
  for (int i = 0; i < 1'000; ++i) (*recorder)->record(sample());
  EXPECT_GT((*recorder)->dropped(), 0U);
  EXPECT_EQ((*recorder)->dropped() + (*recorder)->recorded(), 1'000U);
}

TEST(Totals, CountFailuresApartFromAnswers) {
  Totals totals;
  totals.add(sample());
  InferenceEvent failed = sample();
  failed.error_code = "timeout";
  failed.cost = failed.baseline_cost = {};
  totals.add(failed);
  InferenceEvent hit = sample();
  hit.cache_hit = true;
  hit.cache_tier = 1;
  hit.cost = {};
  totals.add(hit);
  const OrgTotals org = totals.of("default");
  EXPECT_EQ(org.requests, 3);
  EXPECT_EQ(org.errors, 1);
  EXPECT_EQ(org.lookups, 2);
  EXPECT_EQ(org.hits(), 1);
  EXPECT_EQ(org.cost.nanos, 123'456);
  EXPECT_EQ(org.savings().nanos, 1'016'544 + 1'140'000);
  EXPECT_EQ(totals.of("other").requests, 0);
}

}  // namespace
}  // namespace asahi::gateway
