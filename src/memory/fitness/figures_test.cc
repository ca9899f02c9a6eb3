#include "memory/fitness/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::memory::fitness {
namespace {

const Clock::Time kFrom = parse_rfc3339("2026-11-23T09:00:00Z").value();

json::object reply(std::string_view rows) {
  return {{"structuredContent", json::parse(rows)}, {"isError", false}};
}
Samples samples(std::string_view rows, std::size_t most = 1'000) {
  auto read = samples_of(reply(rows), "quick", kFrom, most);
  EXPECT_TRUE(read) << read.error().message;
  return read.value_or(Samples{});
}
Samples of_latencies(std::string selector, int count, int failed) {
  Samples out;
  for (int i = 1; i <= count; ++i)
    out.good.push_back({.trace_id = {},
                        .selector = selector,
                        .failed = i <= failed,
                        .latency_ms = static_cast<double>(i)});
  return out;
}

TEST(PathPart, KeepsLettersDigitsAndUnderscoresAndIsShort) {
  EXPECT_EQ(path_part("claude-sonnet 4.5/é"), "claude_sonnet_4_5___");
  EXPECT_EQ(path_part(std::string(80, 'a')), std::string(50, 'a'));
  EXPECT_EQ((Figure{.task_class = "quick", .selector = "gpt_5"}.path()),
            "routing_fitness/quick/gpt_5");
}

TEST(SamplesOf, ReadsRowsAndCountsWhatIsNone) {
  const Samples read = samples(R"({"traces":[
    {"trace_id":"a","selector":"x","latency_ms":12,"outcome":"success","task_class":"quick"},
    {"selector":"x","latency_ms":1.5,"success":false},
    {"selector":"","latency_ms":1,"outcome":"success"},
    {"selector":"x","latency_ms":-1,"outcome":"success"},
    {"selector":"x","latency_ms":"1","outcome":"success"},
    {"selector":"x","latency_ms":1,"outcome":"maybe"},
    {"selector":"x","latency_ms":1},
    7]})");
  ASSERT_EQ(read.good.size(), 2U);
  EXPECT_FALSE(read.good[0].failed);
  EXPECT_TRUE(read.good[1].failed);
  EXPECT_EQ(read.malformed, 6U);
}

TEST(SamplesOf, LeavesOutOtherClassesAndWhatIsTooOldAndWhatIsTooMuch) {
  constexpr std::string_view kRow =
      R"({"selector":"x","latency_ms":1,"outcome":"success","started_at":"2026-11-23T09:30:00Z"})";
  const Samples read = samples(
      R"([{"selector":"x","latency_ms":1,"outcome":"success","task_class":"reasoning"},
          {"selector":"x","latency_ms":1,"outcome":"success","started_at":"2026-11-23T08:59:00Z"},)" +
      std::string(kRow) + "]");
  EXPECT_EQ(read.good.size(), 1U);
  EXPECT_EQ(read.malformed, 0U);
  EXPECT_EQ(samples("[" + std::string(kRow) + "," + std::string(kRow) + "]", 1).good.size(), 1U);
}

TEST(SamplesOf, UnderstandsTextAndRefusesNonsense) {
  const json::object text{
      {"content",
       json::parse(
           R"([{"type":"text","text":"{\"traces\":[{\"selector\":\"x\",\"latency_ms\":1,\"outcome\":\"failure\"}]}"}])")}};
  EXPECT_EQ(samples_of(text, "quick", kFrom, 10).value().good.size(), 1U);
  for (const char* nonsense : {R"({"content":[{"type":"text","text":"no json"}]})", "{}",
                               R"({"structuredContent":{"traces":7}})", R"({"content":7})"}) {
    const auto read = samples_of(json::parse(nonsense).as_object(), "quick", kFrom, 10);
    ASSERT_FALSE(read) << nonsense;
    EXPECT_EQ(read.error().code, Errc::kUpstream);
  }
}

TEST(Figures, AreSharesAndTheNearestRank) {
  Figures sums;
  sums.add("one", "quick", of_latencies("x", 100, 25));
  auto all = sums.figures();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_DOUBLE_EQ(all[0].failure_rate, 0.25);
  EXPECT_DOUBLE_EQ(all[0].score(), 0.75);
  EXPECT_EQ(all[0].p99_latency_ms, 99);
  EXPECT_EQ(all[0].samples, 100U);
  EXPECT_EQ(all[0].components, 1U);
  sums.add("two", "quick", of_latencies("x", 1, 0));
  sums.add("two", "reasoning", of_latencies("y", 1, 1));
  all = sums.figures();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].p99_latency_ms, 99);
  EXPECT_EQ(all[0].components, 2U);
  EXPECT_EQ(all[1].p99_latency_ms, 1) << "of one, itself";
  EXPECT_EQ(all[1].score(), 0);
}

TEST(Figures, ATraceToldTwiceCountsOnceAndNamesThatBecomeTheSameAreOne) {
  Figures sums;
  Samples twice;
  twice.good = {{.trace_id = "a", .selector = "gpt-5", .failed = false, .latency_ms = 1},
                {.trace_id = "a", .selector = "gpt-5", .failed = true, .latency_ms = 2},
                {.trace_id = "b", .selector = "gpt.5", .failed = true, .latency_ms = 3}};
  sums.add("one", "quick", twice);
  const auto all = sums.figures();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].selector, "gpt_5");
  EXPECT_EQ(all[0].samples, 2U);
  EXPECT_DOUBLE_EQ(all[0].failure_rate, 0.5);
}

}  // namespace
}  // namespace asahi::memory::fitness
