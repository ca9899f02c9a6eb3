#include "server/commands/benchmark/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace asahi::server::benchmark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const BaselinePrice kPrice{TokenPrice::per_1k(0.010), TokenPrice::per_1k(0.030)};

NanoUsd sum(const Savings& savings) {
  return std::accumulate(savings.begin(), savings.end(), NanoUsd{});
}
NanoUsd part(const Savings& savings, Technique technique) {
  return savings[static_cast<std::size_t>(technique)];
}

Reply miss(NanoUsd cost, std::int64_t input, std::int64_t output, std::string text) {
  Reply reply;
  reply.asked = reply.answered = true;
  reply.cost = cost;
  reply.input_tokens = input;
  reply.output_tokens = output;
  reply.text = std::move(text);
  return reply;
}
Reply hit(int tier, std::string query, std::string text) {
  Reply reply = miss({}, 0, 0, std::move(text));
  reply.hit = true;
  reply.tier = tier;
  reply.cached_query = std::move(query);
  return reply;
}
Reply failure(std::string error) {
  Reply reply;
  reply.asked = true;
  reply.error = std::move(error);
  return reply;
}

/// The first topic of a category that has `wordings` of them.
std::size_t topic_of(Category category, std::size_t wordings, std::size_t skip = 0) {
  for (std::size_t id = 0; id < topics().size(); ++id) {
    if (topics()[id].category != category || topics()[id].wording_count() < wordings) continue;
    if (skip-- == 0) return id;
  }
  ADD_FAILURE() << "no such topic";
  return 0;
}

TEST(BenchmarkPercentile, IsNearestRank) {
  EXPECT_EQ(percentile({}, 50), 0);
  EXPECT_EQ(percentile({7}, 99), 7);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 50), 2);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 51), 3);
  std::vector<double> hundred(100);
  std::iota(hundred.begin(), hundred.end(), 1);
  EXPECT_EQ(percentile(hundred, 95), 95);
  EXPECT_EQ(percentile(hundred, 99), 99);
  EXPECT_EQ(percentile(hundred, 0), 1);
  EXPECT_EQ(percentile(hundred, 100), 100);
}

TEST(BenchmarkSaving, OfAHitIsItsTiersAlone) {
  for (const auto& [tier, technique] :
       {std::pair{1, Technique::kExactCache}, std::pair{2, Technique::kSemanticCache},
        std::pair{3, Technique::kStepCache}}) {
    const Savings savings = split_saving({5'000}, hit(tier, "q", "a"), kPrice);
    EXPECT_EQ(part(savings, technique).nanos, 5'000);
    EXPECT_EQ(sum(savings).nanos, 5'000);
  }
  Reply shared = hit(1, "q", "a");
  shared.shared = true;
  EXPECT_EQ(part(split_saving({5'000}, shared, kPrice), Technique::kSingleFlight).nanos, 5'000);
}

TEST(BenchmarkSaving, OfAMissFallsIntoTrimmingRoutingAndLengthOfTheAnswer) {
  // Baseline: 100 tokens in, 50 out = 1,000,000 + 1,500,000 nano-dollars. Now: 80 sent, 60 out.
  Reply reply = miss({40'000}, 80, 60, "a");
  reply.trimmed_tokens = 20;
  const Savings savings = split_saving({2'500'000}, reply, kPrice);
  EXPECT_EQ(part(savings, Technique::kTrimming).nanos, 200'000);
  EXPECT_EQ(part(savings, Technique::kRouting).nanos, 800'000 + 1'800'000 - 40'000);
  EXPECT_EQ(part(savings, Technique::kAnswerLength).nanos, -300'000);
  EXPECT_EQ(sum(savings).nanos, 2'460'000);
}

TEST(BenchmarkSaving, GivesTheRestToStepsOrToTheSharedCall) {
  Reply steps = miss({10'000}, 40, 20, "a");
  steps.steps_known = true;
  EXPECT_EQ(part(split_saving({2'500'000}, steps, kPrice), Technique::kStepCache).nanos,
            2'500'000 - 1'000'000);
  Reply batched = miss({10'000}, 40, 20, "a");
  batched.batched = true;
  EXPECT_EQ(part(split_saving({2'500'000}, batched, kPrice), Technique::kBatching).nanos,
            1'500'000);
}

TEST(BenchmarkSaving, PartsAddUpToTheWholeForAnyReply) {
  std::uint64_t state = 7;
  const auto draw = [&state](std::int64_t limit) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::int64_t>((state >> 33) % static_cast<std::uint64_t>(limit));
  };
  for (int i = 0; i < 2'000; ++i) {
    Reply reply = miss({draw(10'000'000)}, draw(5'000), draw(5'000), "a");
    reply.trimmed_tokens = draw(500);
    reply.hit = draw(3) == 0;
    reply.tier = reply.hit ? static_cast<int>(1 + draw(3)) : 0;
    reply.shared = draw(2) == 0;
    reply.batched = draw(2) == 0;
    reply.steps_known = draw(2) == 0;
    const NanoUsd baseline{draw(10'000'000)};
    EXPECT_EQ(sum(split_saving(baseline, reply, kPrice)), baseline - reply.cost);
  }
}

TEST(BenchmarkReport, ComparesOnlyWhatBothRunsAnswered) {
  const std::size_t topic = topic_of(Category::kQuestions, 1);
  const std::vector<Request> traffic(4, Request{.topic = topic});
  const std::vector<Reply> baseline = {miss({1'000}, 0, 0, "a"), failure("no model"),
                                       miss({1'000}, 0, 0, "a"), Reply{}};
  const std::vector<Reply> optimized = {miss({100}, 0, 0, "a"), miss({100}, 0, 0, "a"),
                                        failure("timeout"), Reply{}};
  const Report report = make_report({}, traffic, baseline, optimized, kPrice);
  EXPECT_EQ(report.compared, 1U);
  EXPECT_EQ(report.saved().nanos, 900);
  EXPECT_DOUBLE_EQ(report.saved_percent(), 90);
  EXPECT_EQ(report.baseline.asked, 3U);
  EXPECT_EQ(report.baseline.failed, 1U);
  EXPECT_EQ(report.optimized.failed, 1U);
  EXPECT_EQ(report.lookups, 2U);
  ASSERT_EQ(report.failures.size(), 2U);
  EXPECT_EQ(report.failures[0], "baseline request 2: no model");
  EXPECT_EQ(report.failures[1], "optimised request 3: timeout");
}

TEST(BenchmarkReport, OfNothingIsEmptyNotBroken) {
  const Report report = make_report({}, {}, {}, {}, kPrice);
  EXPECT_EQ(report.saved_percent(), 0);
  for (const std::string& text :
       {as_text(report), as_json(report), as_csv(report), as_html(report)})
    EXPECT_THAT(text, Not(HasSubstr("nan")));
}

TEST(BenchmarkReport, FindsHitsThatAnswerAnotherQuestion) {
  const std::size_t port = topic_of(Category::kLookAlikes, 1);
  const std::size_t other_port = topic_of(Category::kLookAlikes, 1, 1);
  const std::size_t question = topic_of(Category::kQuestions, 2);
  const std::vector<Request> traffic = {{.topic = port},
                                        {.topic = other_port},
                                        {.topic = question},
                                        {.topic = question, .wording = 1},
                                        {.topic = question}};
  const std::string asked_port = prompt_of(traffic[0]);
  const std::string first = prompt_of(traffic[2]);
  std::vector<Reply> optimized = {miss({10}, 1, 1, "8080"), hit(2, asked_port, "8080"),
                                  miss({10}, 1, 1, "text"), hit(2, first, "text"),
                                  hit(1, "something from yesterday", "old")};
  optimized[1].similarity = 0.97;
  const Report report = make_report({}, traffic, optimized, optimized, kPrice);
  ASSERT_EQ(report.wrong.size(), 1U);
  EXPECT_EQ(report.wrong[0].request, 1U);
  EXPECT_EQ(report.wrong[0].tier, 2);
  EXPECT_EQ(report.wrong[0].similarity, 0.97);
  EXPECT_EQ(report.wrong[0].cached, asked_port);
  EXPECT_EQ(report.unverified_hits, 1U);
  EXPECT_EQ(report.hits_by_tier, (std::array<std::size_t, 4>{2, 1, 2, 0}));
}

TEST(BenchmarkReport, TellsTheSameWordsInOtherConversationsApartByTheAnswer) {
  // Two conversations that end with the same question.
  std::size_t one = topics().size(), two = topics().size();
  for (std::size_t i = 0; i < topics().size() && two == topics().size(); ++i) {
    for (std::size_t k = i + 1; k < topics().size(); ++k) {
      if (topics()[i].category != Category::kConversations ||
          topics()[i].wordings[0] != topics()[k].wordings[0])
        continue;
      one = i;
      two = k;
      break;
    }
  }
  ASSERT_LT(two, topics().size());
  const std::vector<Request> traffic = {
      {.topic = one}, {.topic = two}, {.topic = two}, {.topic = two}};
  const std::string query = prompt_of(traffic[0]);
  const std::vector<Reply> replies = {miss({10}, 1, 1, "soup"), miss({10}, 1, 1, "pasta"),
                                      hit(2, query, "pasta"), hit(2, query, "soup")};
  const Report report = make_report({}, traffic, replies, replies, kPrice);
  ASSERT_EQ(report.wrong.size(), 1U);
  EXPECT_EQ(report.wrong[0].request, 3U);
}

TEST(BenchmarkReport, AddedLatencyIsWithoutTheVendor) {
  const std::vector<Request> traffic(2);
  std::vector<Reply> replies(2, miss({1}, 1, 1, "a"));
  replies[0].total_ms = 12;
  replies[0].vendor_ms = 10;
  replies[1].total_ms = 3;
  replies[1].vendor_ms = 4;  // measured by another clock: never below nothing
  const Report report = make_report({}, traffic, replies, replies, kPrice);
  EXPECT_EQ(report.optimized.added_ms.p50, 0);
  EXPECT_EQ(report.optimized.added_ms.p99, 2);
  EXPECT_EQ(report.optimized.total_ms.p99, 12);
}

TEST(BenchmarkReply, IsReadFromTheNativeShape) {
  const auto body = parse_json(
      R"({"request_id":"req_1","response":"text","model_used":"small","tokens_input":12,
          "tokens_output":20,"cost":0.000123,"latency_breakdown":{"inference_ms":1.5},
          "cache_hit":false,"cache_tier":0,
          "cache":{"similarity":null,"cached_query":null,
                   "steps":[{"step_id":"step_1","cached":true}]},
          "optimization_techniques":["smart_routing","batching"],"predicted_quality":4.1,
          "token_optimization":{"saved_tokens":7}})");
  ASSERT_TRUE(body);
  const auto reply = read_reply(*body, 2.5);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->cost.nanos, 123'000);
  EXPECT_EQ(reply->trimmed_tokens, 7);
  EXPECT_TRUE(reply->steps_known);
  EXPECT_TRUE(reply->batched);
  EXPECT_FALSE(reply->shared);
  EXPECT_EQ(reply->vendor_ms, 1.5);
  EXPECT_EQ(reply->total_ms, 2.5);
}

TEST(BenchmarkReply, OfAnotherShapeIsRefused) {
  for (const char* text : {"[]", "{}", R"({"response":"x","cost":1})", "null"}) {
    EXPECT_FALSE(read_reply(*parse_json(text), 1)) << text;
  }
}

Report report_with(std::string asked, std::string cached) {
  Report report;
  report.setting.baseline_model = "big";
  report.lookups = report.compared = 2;
  report.hits_by_tier = {1, 0, 1, 0};
  report.wrong.push_back({1, 2, 0.9, std::move(asked), std::move(cached)});
  report.failures.push_back("optimised request 1: <b>no</b>");
  report.baseline_cost = {2'000'000};
  report.optimized_cost = {500'000};
  report.by_technique[0] = {1'600'000};
  report.by_technique[7] = {-100'000};
  report.cumulative = {{{1'000'000}, {500'000}}, {{2'000'000}, {500'000}}};
  return report;
}

TEST(BenchmarkCsv, QuotesAndDefusesFields) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"no\""), "\"say \"\"no\"\"\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
  EXPECT_EQ(csv_field("=1+1"), "\"'=1+1\"");
  EXPECT_EQ(csv_field(""), "");
}

TEST(BenchmarkCsv, HasFourFieldsInEveryRow) {
  const std::string csv = as_csv(report_with("a \"quoted\", text", "=cmd()"));
  EXPECT_THAT(csv, AllOf(HasSubstr("section,name,value,unit\r\n"),
                         HasSubstr("saving,saved,0.001500000,USD\r\n"),
                         HasSubstr("technique,answer_length,-0.000100000,USD\r\n"),
                         HasSubstr("wrong hit,\"a \"\"quoted\"\", text\",\"'=cmd()\",tier 2\r\n")));
  std::size_t begin = 0;
  while (begin < csv.size()) {
    const std::size_t end = csv.find("\r\n", begin);
    ASSERT_NE(end, std::string::npos);
    int commas = 0;
    bool quoted = false;
    for (std::size_t i = begin; i < end; ++i) {
      quoted ^= csv[i] == '"';
      commas += csv[i] == ',' && !quoted ? 1 : 0;
    }
    EXPECT_EQ(commas, 3) << csv.substr(begin, end - begin);
    begin = end + 2;
  }
}

TEST(BenchmarkHtml, EscapesEveryTextAndLoadsNothing) {
  const std::string html =
      as_html(report_with("<script>alert('x')</script>", "\"&\" <img src=http://evil>"));
  EXPECT_THAT(html,
              AllOf(HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
                    HasSubstr("&quot;&amp;&quot; &lt;img"), HasSubstr("&lt;b&gt;no&lt;/b&gt;"),
                    HasSubstr("prefers-color-scheme:dark"), HasSubstr("<svg"),
                    HasSubstr("name=\"viewport\"")));
  for (const char* foreign : {"<script", "<link", "<img", "@import", "url(", "src="})
    EXPECT_EQ(html.find(foreign) == std::string::npos || std::string_view(foreign) == "src=", true)
        << foreign;
}

TEST(BenchmarkJson, IsOneDocumentWithTheSums) {
  const auto parsed = parse_json(as_json(report_with("a", "b")));
  ASSERT_TRUE(parsed) << parsed.error().message;
  const json::value& saving = parsed->at("saving");
  EXPECT_EQ(saving.at("saved_usd").to_number<double>(), 0.0015);
  EXPECT_EQ(saving.at("by_technique_usd").at("exact_cache").to_number<double>(), 0.0016);
  EXPECT_EQ(parsed->at("wrong_hits").at("count").to_number<int>(), 1);
}

TEST(BenchmarkText, SaysWhenItIsPartialOrNotFresh) {
  Report report = report_with("a", "b");
  EXPECT_THAT(as_text(report), Not(HasSubstr("INTERRUPTED")));
  report.setting.interrupted = true;
  report.setting.fresh_cache = false;
  EXPECT_THAT(as_text(report),
              AllOf(HasSubstr("INTERRUPTED"), HasSubstr("not fresh"), HasSubstr("WRONG HITS")));
  EXPECT_THAT(as_html(report), AllOf(HasSubstr("Interrupted"), HasSubstr("not fresh")));
}

}  // namespace
}  // namespace asahi::server::benchmark
